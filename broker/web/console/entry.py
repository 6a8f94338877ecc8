"""Single entry by hand, for the result that came on paper: the visit gives who and when, the last
record of the order gives item, unit, method and range; what is left is the value."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from adapters.ports.intake import Door, Media, Payload
from broker.access.person import Person
from broker.access.roles import Permission
from broker.store.open_orders import Remembered, open_orders, remembered, visit_in_reach
from broker.web.console.actions import Notice, Subject, audit, done, form_of, notice_of
from broker.web.console.desk import DESK, Desk
from broker.web.console.rendering import language_of, not_there, render
from broker.web.console.wording import say
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code, report_items
from mapping.moment import TAIPEI
from mapping.visit import Visit

_LISTED = 60
_MOST_ROWS = 40
_COLUMNS = (
    "national_id",
    "birth_on",
    "clinic_code",
    "accession_number",
    "order_code",
    "item_name",
    "value",
    "unit",
    "method",
    "reference",
    "flag",
    "specimen",
    "collected_at",
    "received_at",
    "reported_at",
)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One line of the form; ``remembered`` says that unit, method and range are of the last one."""

    item: str
    unit: str = ""
    method: str = ""
    reference: str = ""
    value: str = ""
    flag: str = ""
    remembered: bool = False


class EntryWrong(Exception):
    """``name`` is the text that says what is missing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@requires(Permission.ENTER_RESULT)
async def show_open_orders(request: web.Request) -> web.Response:
    """The orders that wait for a result; ``?visit=`` those of one visit."""
    desk, person = request.app[DESK], person_of(request)
    given = request.query.get("visit", "")
    visit_id = int(given) if given.isascii() and given.isdigit() and len(given) < 12 else 0
    rows = await desk.read(
        lambda c: open_orders(c, person.reach, desk.today, _LISTED, visit_id=visit_id)
    )
    return render(
        request,
        "entry_list.html",
        "entry",
        rows=[(row, order_code(row.order_code)) for row in rows],
        visit_id=visit_id,
        notice=notice_of(request),
    )


@requires(Permission.ENTER_RESULT)
async def show_entry(request: web.Request) -> web.Response:
    """The form for one order of one visit."""
    return await _form(request)


@requires(Permission.ENTER_RESULT)
async def take_entry(request: web.Request) -> web.Response:
    """Take the result in through the same door as a file of the source."""
    desk, person = request.app[DESK], person_of(request)
    language, form = language_of(person), await form_of(request)
    visit, code = await _visit(request, desk, person), request.match_info["order"]
    rows = _rows_of(form)
    try:
        source = _source(form.get("source", ""), desk, person)
        raw = entry_csv(visit, code, form, rows, desk.clock())
    except EntryWrong as wrong:
        notice = Notice("bad", say(language, f"entry.{wrong.name}"))
        return await _form(request, notice=notice, form=form, rows=rows)
    payload = Payload(source, Door.COMMAND, Media.CSV, raw, name=f"entry-{person.login}.csv")
    accepted = await desk.receive(payload)
    subject = Subject("receipt", str(accepted.receipt_id), visit.institution_code)
    await audit(request, "enter", subject, {"order_code": code})
    raise done(f"/entry?visit={request.match_info['visit']}", "entered", n=accepted.receipt_id)


def entry_csv(
    visit: Visit, code: str, form: dict[str, str], rows: list[EntryRow], now: datetime
) -> bytes:
    """The result as a file with our own column names. Raises :class:`EntryWrong`."""
    given = [row for row in rows if row.value]
    if not given:
        raise EntryWrong("value_needed")
    if any(not row.item for row in given):
        raise EntryWrong("item_needed")
    times = {name: _time(form.get(name, "")) for name in ("collected_at", "reported_at")}
    received = _time(form.get("received_at", "")) or now.astimezone(TAIPEI)
    if None in times.values():
        raise EntryWrong("time_needed")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    number = f"P{now.astimezone(TAIPEI):%y%m%d%H%M%S%f}"
    for row in given:
        writer.writerow(
            (
                visit.national_id,
                visit.birth_on.isoformat(),
                visit.institution_code,
                number,
                code,
                row.item,
                row.value,
                row.unit,
                row.method,
                row.reference,
                row.flag,
                form.get("specimen", ""),
                *(
                    at.strftime("%Y-%m-%d %H:%M") if at else ""
                    for at in (times["collected_at"], received, times["reported_at"])
                ),
            )
        )
    return out.getvalue().encode()


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=TAIPEI) if text else None
    except ValueError:
        return None


def _rows_of(form: dict[str, str]) -> list[EntryRow]:
    rows = []
    for number in range(1, _MOST_ROWS + 1):
        item, unit, method, reference, value, flag = (
            form.get(f"{name}{number}", "")[:400]
            for name in ("item", "unit", "method", "reference", "value", "flag")
        )
        if item or value:
            rows.append(EntryRow(item, unit, method, reference, value, flag))
    return rows


async def _visit(request: web.Request, desk: Desk, person: Person) -> Visit:
    visit_id = int(request.match_info["visit"])
    visit = await desk.read(lambda c: visit_in_reach(c, person.reach, visit_id))
    code = request.match_info["order"]
    if visit is None or all(each.order_code != code for each in visit.orders):
        raise not_there(request)
    return visit


def _sources(desk: Desk, person: Person) -> list[str]:
    """Sources whose files have our own columns: others could not be read."""
    return [
        name
        for name, profile in sorted(desk.profiles.items())
        if profile.lab_code
        and profile.file is None
        and not profile.csv.columns
        and (person.role != "lab" or person.sees(name) or person.sees(profile.lab_code))
    ]


def _source(name: str, desk: Desk, person: Person) -> str:
    if name not in _sources(desk, person):
        raise EntryWrong("source_needed")
    return name


async def _form(
    request: web.Request,
    notice: Notice | None = None,
    form: dict[str, str] | None = None,
    rows: list[EntryRow] | None = None,
) -> web.Response:
    desk, person = request.app[DESK], person_of(request)
    visit, code = await _visit(request, desk, person), request.match_info["order"]

    def look(connection: Connection) -> Remembered | None:
        return remembered(connection, person.reach, code)

    known = await desk.read(look)
    given = form or {}
    now = f"{desk.clock().astimezone(TAIPEI):%Y-%m-%dT%H:%M}"
    specimen = known.record.value("h22") if known else ""
    named = order_code(code)
    values: dict[str, Any] = {
        "visit": visit,
        "visit_id": int(request.match_info["visit"]),
        "code": code,
        "name": named.name_zh if named else "",
        "sources": _sources(desk, person),
        "source": given.get("source", known.source_id if known else ""),
        "specimen": given.get("specimen", specimen),
        "specimen_remembered": bool(specimen) and "specimen" not in given,
        "collected_at": given.get("collected_at", ""),
        "reported_at": given.get("reported_at", now),
        "received_at": given.get("received_at", now),
        "rows": rows or entry_rows(code, known),
    }
    return render(request, "entry.html", "entry", notice=notice, **values)


def entry_rows(code: str, known: Remembered | None) -> list[EntryRow]:
    """The official rows of the order, else those of the last record, else an empty one; each with
    what was said last."""
    rows = known.record.rows if known else ()
    by_name = {row["r2"].value: row for row in rows if "r2" in row}
    by_number = {row["r1"].value: row for row in rows if "r1" in row}
    official = {item.name: item for item in report_items(code)}
    names = list(official) or list(by_name) or [""]
    found = []
    for name in names[:_MOST_ROWS]:
        item = official.get(name)
        row = by_name.get(name) or (by_number.get(str(item.number)) if item else None)
        unit = item.units[0] if item and len(item.units) == 1 else ""

        def said(tag: str, row: Any = row) -> str:
            return row[tag].value if row is not None and tag in row else ""

        low, high = said("r6-1"), said("r6-2")
        reference = f"{low}-{high}" if low and high else low
        found.append(
            EntryRow(
                item=name,
                unit=said("r5") or unit,
                method=said("r3"),
                reference=reference,
                remembered=row is not None,
            )
        )
    return found
