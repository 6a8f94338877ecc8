"""``labbroker unuploaded FILE.xlsx``: NHI's own figures beside ours, each difference explained."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from adapters.folder.formats.nhi_overview import read_nhi_overview
from broker.cli.control_client import ask_service
from broker.cli.rates_text import signed
from broker.cli.store_access import changing, reading
from broker.rates.compared_overview import ComparedOverview, compared, compared_to_json
from broker.rates.plain import overview_to_json
from broker.store.location import StoreLocation
from broker.store.nhi_overviews import store_overview
from broker.web.control import find_control
from mapping.errors import Language
from mapping.finding import Finding
from mapping.rates.nhi_overview import GapCause
from mapping.rates.plain_number import plain_number
from mapping.rates.rate import Rate

_MOST_ORDERS = 20


def compare_overview(
    arguments: argparse.Namespace, store: StoreLocation, raw: bytes, name: str
) -> int:
    """0 where nothing asks for a person: no day differs but by what was uploaded since, 1 else."""
    findings: list[Finding] = []
    told = read_nhi_overview(raw, name, findings, arguments.institution or "")
    control = find_control(store.folder)
    if control is not None:
        ask_service(control, "nhi-overview", json.dumps(overview_to_json(told)).encode())
    else:
        with changing(store) as connection:
            store_overview(connection, told, datetime.now(UTC))
    with reading(store) as connection:
        found = compared(connection, told)
    if arguments.json:
        texts = [each.message(arguments.language) for each in findings]
        told_json = {**compared_to_json(found), "findings": texts}
        sys.stdout.write(json.dumps(told_json, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(found, findings, arguments.language)) + "\n")
    return int(any(gap.cause is not GapCause.NEWER for gap in found.gaps))


def _lines(
    found: ComparedOverview, findings: Sequence[Finding], language: Language
) -> Iterator[str]:
    zh, overview = language == "zh", found.overview
    label = "資料擷取日期" if zh else "data of"
    yield (
        f"{overview.institution_code} {overview.from_on}/{overview.until_on}  "
        f"{label} {overview.data_on}"
    )
    yield f"  {'健保署' if zh else 'NHI'}: {_shown(found.theirs)}"
    yield f"  {'本系統' if zh else 'here'}: {_shown(found.ours)}"
    if not found.gaps:
        yield "無差異" if zh else "no day differs"
    for gap in found.gaps:
        columns = ("已上傳", "應上傳") if zh else ("uploaded", "due")
        yield (
            f"  {gap.visit_on} {gap.text(language)}: {columns[0]} {signed(gap.uploaded)}, "
            f"{columns[1]} {signed(gap.due)}"
        )
        for order in gap.orders[:_MOST_ORDERS]:
            record = f"record {order.record_id}" if order.record_id is not None else "-"
            yield f"    visit {order.visit_id} {order.order_code} {order.progress} {record}"
        if len(gap.orders) > _MOST_ORDERS:
            more = len(gap.orders) - _MOST_ORDERS
            yield f"    … {more} " + ("筆（--json 全列）" if zh else "more (--json)")
    yield from (f"  {each.message(language)}" for each in findings)


def _shown(rate: Rate) -> str:
    percent = "-" if rate.percent is None else f"{rate.percent} %"
    return f"{percent} ({plain_number(rate.uploaded)}/{plain_number(rate.due)})"
