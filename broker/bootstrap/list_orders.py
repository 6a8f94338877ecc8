"""What the control door does with NHI's lists of cases not uploaded: stores them, part by part, so
that a long list holds up no commit of a door and an import that broke off goes on. And with NHI's
overviews, which are short."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from broker.store.nhi_overviews import store_overview
from broker.store.unuploaded import ListHead, append_rows, begin_list, end_list
from broker.store.writer import Writer
from broker.web.control import Order
from mapping.rates.nhi_overview import NhiOverview, OverviewDay
from mapping.unuploaded import UnuploadedRow


def list_orders(writer: Writer, clock: Callable[[], datetime]) -> Mapping[str, Order]:
    """The orders of the control door by their names."""

    async def begin(raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        head = head_from_json(json.loads(raw))
        list_id, stored = await writer.write(lambda c: begin_list(c, head, clock()))
        return {"list_id": list_id, "stored": stored}

    async def append(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        rows = [UnuploadedRow(**row) for row in map(_with_day, json.loads(raw))]
        list_id, position = int(query["list_id"]), int(query["position"])
        await writer.write(lambda c: append_rows(c, list_id, position, rows))
        return {"stored": position + len(rows)}

    async def end(_: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        list_id, rows = int(query["list_id"]), int(query["rows"])
        await writer.write(lambda c: end_list(c, list_id, rows))
        return {"stored": rows}

    async def overview(raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        told = overview_from_json(json.loads(raw))
        await writer.write(lambda c: store_overview(c, told, clock()))
        return {"days": len(told.days)}

    return {
        "list-begin": begin,
        "list-rows": append,
        "list-end": end,
        "nhi-overview": overview,
    }


def overview_from_json(data: Mapping[str, Any]) -> NhiOverview:
    """The inverse of :func:`broker.rates.plain.overview_to_json`."""
    names = ("due", "uploaded", "own", "commissioned")
    days = tuple(
        OverviewDay(date.fromisoformat(day["visit_on"]), *(Decimal(day[name]) for name in names))
        for day in data["days"]
    )
    from_on, until_on, data_on = (
        date.fromisoformat(data[name]) for name in ("from_on", "until_on", "data_on")
    )
    return NhiOverview(data["institution_code"], from_on, until_on, data_on, days)


def head_to_json(head: ListHead) -> dict[str, Any]:
    """A head as plain values."""
    return {
        "institution_code": head.institution_code,
        "from_on": head.from_on.isoformat() if head.from_on else None,
        "until_on": head.until_on.isoformat() if head.until_on else None,
        "sha256": head.sha256.hex(),
    }


def head_from_json(data: Mapping[str, Any]) -> ListHead:
    """The inverse of :func:`head_to_json`."""
    return ListHead(
        data["institution_code"],
        _day(data["from_on"]),
        _day(data["until_on"]),
        bytes.fromhex(data["sha256"]),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _with_day(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "card_on": date.fromisoformat(row["card_on"])}
