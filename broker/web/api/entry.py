"""Results that came on paper: the orders that wait for one, what the form knows already, and the
entering, for an order of a visit or where no visit is known yet."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from aiohttp import web

from broker.access.masking import masked_date, masked_id
from broker.access.roles import Permission
from broker.hand_entry import (
    MOST_ROWS,
    EntryRow,
    EntrySubject,
    EntryWrong,
    entry_csv,
    entry_rows,
    entry_sources,
    may_enter_for,
    require_source,
)
from broker.store.open_orders import open_orders, remembered, visit_in_reach
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, Operation, bad, not_found, page, paged
from broker.web.api.shapes import (
    DAY,
    NUMBER,
    TEXT,
    TRUTH,
    every,
    page_of,
    shape,
    text,
    told,
    whole,
)
from broker.web.console.desk import DESK
from broker.web.console.entry import receive_entry
from broker.web.console.wording import say
from broker.web.identity import person_of, refusal
from broker.web.problem import problem
from mapping.catalogue.tables import order_code
from mapping.visit import Visit


async def open_ones(call: Call) -> Answer:
    """Their patients masked."""
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(
        lambda c: open_orders(
            c,
            person.reach,
            desk.today,
            call.limit + 1,
            visit_id=call.query.get("visit", 0),
            after=_after(call.query.get("after", "")),
        )
    )
    shown = rows[: call.limit]
    more = _key(shown[-1]) if len(rows) > call.limit else None
    return page([_open(each) for each in shown], more)


async def show_entry(call: Call) -> Answer:
    """What the form of the order begins with: the rows of its last record, never a value."""
    visit = await _visit(call)
    return {
        "visit": call.path["visit"],
        "clinic_code": visit.institution_code,
        "patient": masked_id(visit.national_id),
        "birth_on": masked_date(visit.birth_on),
        "visit_on": visit.visit_on.isoformat(),
        **await _form(call, call.path["order"]),
    }


async def show_entry_without_visit(call: Call) -> Answer:
    """The same where no visit is known yet; an empty form where no order is named."""
    return await _form(call, call.query.get("order", ""))


async def _form(call: Call, code: str) -> dict[str, Any]:
    desk, person = call.request.app[DESK], person_of(call.request)
    known = await desk.read(lambda c: remembered(c, person.reach, code)) if code else None
    return {
        "order_code": code,
        "name": _name(code),
        "sources": entry_sources(desk.profiles, person),
        "source": known.source_id if known else "",
        "specimen": known.record.value("h22") if known else "",
        "rows": [asdict(each) for each in entry_rows(code, known)],
    }


async def enter(call: Call) -> Answer:
    """The visit says who the patient is and who ordered."""
    visit = await _visit(call)
    subject = EntrySubject(visit.national_id, visit.birth_on, visit.institution_code)
    return await _enter(call, subject, call.path["order"])


async def enter_without_visit(call: Call) -> Answer:
    """It waits for its visit as any other result does."""
    asked = call.body
    if not may_enter_for(person_of(call.request), asked["clinic_code"]):
        raise not_found()
    try:
        birth_on = date.fromisoformat(asked["birth_on"])
    except ValueError:
        raise bad(web.HTTPConflict, "no-such-day", "birth_on is no day.") from None
    subject = EntrySubject(asked["national_id"].upper(), birth_on, asked["clinic_code"])
    return await _enter(call, subject, asked["order_code"])


async def _enter(call: Call, subject: EntrySubject, code: str) -> Answer:
    desk, person, asked = call.request.app[DESK], person_of(call.request), call.body
    rows = [EntryRow(**each) for each in asked["rows"]]
    try:
        source = require_source(asked["source"], desk.profiles, person)
        raw = entry_csv(subject, code, asked, rows, desk.clock())
    except EntryWrong as wrong:
        raise refusal(
            web.HTTPConflict,
            problem(
                409,
                wrong.name.replace("_", "-"),
                say("en", f"entry.{wrong.name}"),
                more={"title_zh": say("zh", f"entry.{wrong.name}")},
            ),
        ) from None
    receipt_id = await receive_entry(call.request, source, code, subject.institution_code, raw)
    return {"receipt": receipt_id}


async def _visit(call: Call) -> Visit:
    desk, person = call.request.app[DESK], person_of(call.request)
    visit = await desk.read(lambda c: visit_in_reach(c, person.reach, call.path["visit"]))
    if visit is None or all(each.order_code != call.path["order"] for each in visit.orders):
        raise not_found()
    return visit


def _open(row: AnyRow) -> dict[str, Any]:
    return {
        "visit": row.visit_id,
        "order_code": row.order_code,
        "name": _name(row.order_code),
        "clinic_code": row.institution_code,
        "patient": masked_id(row.national_id),
        "birth_on": masked_date(row.birth_on),
        "visit_on": row.visit_on.isoformat(),
    }


def _name(code: str) -> str:
    known = order_code(code)
    return known.name_zh if known else ""


def _key(row: AnyRow) -> str:
    return f"{row.visit_on.toordinal()}.{row.visit_id}.{row.order_code}"


def _after(key: str) -> tuple[date, int, str] | None:
    if not key:
        return None
    day, number, code = key.split(".")
    return date.fromordinal(int(day)), int(number), code


_P = Permission
_ORDER = text(12, pattern="[0-9A-Za-z]{1,12}")
_OF_VISIT = {"visit": whole(1), "order": _ORDER}
_AT = text(40, shortest=1, pattern=r"[0-9T:+ .Z-]*", about="ISO 8601; of Taipei without an offset.")
_RESULT = {
    "source": text(100, shortest=1),
    "specimen": text(100),
    "collected_at": _AT,
    "reported_at": _AT,
    "received_at": text(40, pattern=r"[0-9T:+ .Z-]*", about="Now where it is left out."),
    "rows": {
        "type": "array",
        "items": shape(
            {
                "item": text(400, shortest=1),
                "value": text(400),
                "unit": text(400),
                "method": text(400),
                "reference": text(400),
                "flag": text(400),
            },
            "item",
            "value",
        ),
        "minItems": 1,
        "maxItems": MOST_ROWS,
    },
}
_NEEDED = ("source", "collected_at", "reported_at", "rows")
_OPEN = {
    "visit": NUMBER,
    "order_code": TEXT,
    "name": TEXT,
    "clinic_code": TEXT,
    "patient": TEXT,
    "birth_on": TEXT,
    "visit_on": DAY,
}
_FORM = {
    "sources": every(TEXT),
    "source": TEXT,
    "specimen": TEXT,
    "rows": every(
        told(
            item=TEXT,
            unit=TEXT,
            method=TEXT,
            reference=TEXT,
            value=TEXT,
            flag=TEXT,
            remembered=TRUTH,
        )
    ),
}
OPERATIONS = (
    Operation(
        "GET",
        "/orders/open",
        "listOpenOrders",
        "Orders of visits that no result has answered, the newest visits first",
        _P.ENTER_RESULT,
        open_ones,
        query=paged(
            {"visit": whole(1)},
            by_number=False,
            key=r"([1-9][0-9]{5}\.[0-9]{1,12}\.[0-9A-Za-z]{1,12})?",
        ),
        answers=page_of(**_OPEN),
    ),
    Operation(
        "GET",
        "/visits/{visit}/orders/{order}",
        "showEntry",
        "What is known already of a result to be entered: items, units, methods, ranges",
        _P.ENTER_RESULT,
        show_entry,
        path_parts=_OF_VISIT,
        answers=told(**_OPEN, **_FORM),
    ),
    Operation(
        "GET",
        "/results/form",
        "showEntryWithoutVisit",
        "What is known already of a result whose visit is not known yet",
        _P.ENTER_RESULT,
        show_entry_without_visit,
        query={"order": _ORDER},
        answers=told(order_code=TEXT, name=TEXT, **_FORM),
    ),
    Operation(
        "POST",
        "/visits/{visit}/orders/{order}/result",
        "enterResult",
        "Enter the result of an order of a visit, which came on paper",
        _P.ENTER_RESULT,
        enter,
        path_parts=_OF_VISIT,
        body=shape(_RESULT, *_NEEDED),
        answers=told(receipt=NUMBER),
    ),
    Operation(
        "POST",
        "/results",
        "enterResultWithoutVisit",
        "Enter a result whose visit is not known yet; it waits for it",
        _P.ENTER_RESULT,
        enter_without_visit,
        body=shape(
            {
                **_RESULT,
                "clinic_code": text(10, pattern="[0-9A-Z]{10}"),
                "national_id": text(10, pattern="[0-9A-Za-z]{10}"),
                "birth_on": text(10, pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}"),
                "order_code": _ORDER,
            },
            *_NEEDED,
            "clinic_code",
            "national_id",
            "birth_on",
            "order_code",
        ),
        answers=told(receipt=NUMBER),
    ),
)
