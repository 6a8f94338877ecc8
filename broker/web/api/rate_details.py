"""Rates beside each other: boards, cuts, differences down to the orders, what would help, what NHI
published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.access.roles import Permission
from broker.rates.board import BoardRow, board_of
from broker.rates.month import Month, rates_of
from broker.rates.outlook import Outlook, outlook_of
from broker.rates.plain import (
    cut_to_json,
    expected_to_json,
    order_to_json,
    rate_to_json,
    score_to_json,
)
from broker.rates.view import RatesView
from broker.web.api.operation import Answer, Call, Operation, not_found, page, paged
from broker.web.api.shapes import DAY, NUMBER, TEXT, choice, every, or_null, page_of, text, told
from broker.web.console.desk import DESK
from broker.web.identity import person_of
from mapping.rates.benchmarks import Benchmark, BenchmarkRow, benchmarks
from mapping.rates.counted_order import UPLOADED, Progress, RateName
from mapping.rates.cuts import Cut
from mapping.rates.groups import Groups
from mapping.rates.plain_number import plain_number


async def board(call: Call) -> Answer:
    """All clinics, groups and divisions that the caller sees, with points and outlook."""
    desk, person, month = call.request.app[DESK], person_of(call.request), month_of(call)
    reach, closed = person.reach, desk.settings.holidays
    found = await desk.read(
        lambda c: board_of(c, reach, month, desk.clock(), desk.groups(), closed)
    )
    mean = found.mean_group_score
    return {
        "month": str(month),
        "data_on": found.data_on.isoformat(),
        "tiers": found.tiers.edition if found.tiers else None,
        "mean_group_points": None if mean is None else plain_number(mean),
        "everywhere": _row(found.everywhere),
        "divisions": [_row(each) for each in found.divisions],
        "groups": [_row(each) for each in found.groups],
        "clinics": [_row(each) for each in found.clinics],
    }


async def outlook(call: Call) -> Answer:
    """How the month and its quarter are expected to end; null with too little to learn from."""
    desk, month, reach = call.request.app[DESK], month_of(call), reach_of(call)
    closed = desk.settings.holidays
    found = await desk.read(lambda c: outlook_of(c, reach, month, desk.clock(), closed))
    return {
        "data_on": found.data_on.isoformat(),
        "month": expected_to_json(found.month),
        "quarter": expected_to_json(found.quarter),
    }


async def cut(call: Call) -> Answer:
    view = await _view(call, cut=Cut(call.query.get("by", Cut.DAY.value)))
    return {
        "month": str(view.found.month),
        "by": str(view.cut),
        "items": cut_to_json(view),
    }


async def differences(call: Call) -> Answer:
    """Why the second rate is another than the first; the orders of one institution by name."""
    first = RateName(call.query.get("first", RateName.WITHIN_24H.value))
    second = RateName(call.query.get("second", RateName.WHOLE_MONTH.value))
    view = await _view(call, explained=(first, second))
    with_orders = "institution" in call.query
    known = first in view.found.by_order and second in view.found.by_order
    return {
        "month": str(view.found.month),
        "first": first.value,
        "second": second.value,
        "is_known": known,
        "causes": [
            {
                "cause": each.cause.value,
                "text": each.text("en"),
                "text_zh": each.text("zh"),
                "uploaded": plain_number(each.uploaded),
                "due": plain_number(each.due),
                "order_count": len(each.orders),
                "orders": [order_to_json(order) for order in each.orders] if with_orders else None,
            }
            for _, _, causes in view.differences()
            for each in causes
        ],
    }


async def what_would_help(call: Call) -> Answer:
    """The points now, and the fewest open orders that reach the next tier."""
    view = await _view(call, wants_orders="institution" in call.query)
    return {"month": str(view.found.month), "score": score_to_json(view)}


async def missing(call: Call) -> Answer:
    """Orders that are not uploaded, in the order of institution and day."""
    view = await _view(call)
    begin: int = call.query.get("after", 0)
    orders = [
        order
        for order in view.found.orders
        if order.progress not in UPLOADED and order.progress is not Progress.OPTED_OUT
    ]
    shown = orders[begin : begin + call.limit]
    end = begin + len(shown)
    return page(list(map(order_to_json, shown)), end if end < len(orders) else None)


async def published(call: Call) -> Answer:
    """What NHI published of divisions and cities, each table with its period and data date."""
    return {"items": [_benchmark(each) for each in benchmarks()]}


def month_of(call: Call) -> Month:
    """The month that is asked for, else the present one."""
    asked = call.query.get("month")
    today = call.request.app[DESK].today
    return Month.of(today) if asked is None else Month(int(asked[:4]), int(asked[5:]))


def reach_of(call: Call) -> frozenset[str] | None:
    """The institution that is asked for, else all that the caller sees; 404 for another's."""
    person, asked = person_of(call.request), call.query.get("institution")
    if asked is None:
        return person.reach
    if not person.sees(asked):
        raise not_found()
    return frozenset({asked})


async def _view(
    call: Call,
    cut: Cut | None = None,
    explained: tuple[RateName, ...] | None = None,
    wants_orders: bool = False,
) -> RatesView:
    desk, month, reach = call.request.app[DESK], month_of(call), reach_of(call)
    found = await desk.read(lambda c: rates_of(c, reach, month, desk.clock()))
    return RatesView(
        found,
        Outlook(found.data_on, None, None),
        desk.groups() if cut is Cut.GROUP else Groups(),
        (),
        cut,
        explained,
        wants_orders,
    )


def _row(row: BoardRow) -> dict[str, Any]:
    tier = row.next_tier
    return {
        "key": row.key,
        "clinics": row.clinics,
        "rates": {
            rate.name.value: rate_to_json(rate)
            for rate in (row.within_24h, row.whole_month, row.ic_card)
        },
        "points": None if row.score is None else plain_number(row.score),
        "next_points": None if tier is None else plain_number(tier.points),
        "orders_needed": row.orders_needed,
        "month": expected_to_json(row.outlook.month),
        "quarter": expected_to_json(row.outlook.quarter),
    }


def _benchmark(table: Benchmark) -> dict[str, Any]:
    return {
        "id": table.id,
        "by": table.by,
        "measure": table.measure,
        "period": table.period,
        "data_on": table.data_on.isoformat(),
        "name": table.name("en"),
        "name_zh": table.name("zh"),
        "kinds": list(table.kinds),
        "rows": [_published(row) for row in table.rows],
        "total": None if table.total is None else _published(table.total),
    }


def _published(row: BenchmarkRow) -> dict[str, Any]:
    def number(value: Any) -> str | None:
        return None if value is None else plain_number(value)

    return {
        "key": row.key,
        "due": row.due,
        "uploaded": row.uploaded,
        "percent": number(row.percent),
        "percent_before": number(row.percent_before),
        "groups": row.groups,
        "points": number(row.points),
        "percents": [number(each) for each in row.percents],
    }


MONTH = text(7, pattern="(19|20)[0-9]{2}-(0[1-9]|1[0-2])")
INSTITUTION = text(10, pattern="[0-9A-Z]{10}")
_ASKED = {"month": MONTH, "institution": INSTITUTION}
_RATE = told(
    percent=or_null(TEXT),
    uploaded=TEXT,
    due=TEXT,
    own=TEXT,
    commissioned=TEXT,
    opted_out=TEXT,
    data_on=DAY,
)
_RATES = {"type": "object", "additionalProperties": _RATE}
_EXPECTED = {"type": ["object", "null"]}
_ROW = told(
    key=TEXT,
    clinics=NUMBER,
    rates=_RATES,
    points=or_null(TEXT),
    next_points=or_null(TEXT),
    orders_needed=or_null(NUMBER),
    month=_EXPECTED,
    quarter=_EXPECTED,
)
ORDER: Mapping[str, Any] = {
    "institution": TEXT,
    "visit_id": NUMBER,
    "visit_on": DAY,
    "order_code": TEXT,
    "quantity": TEXT,
    "progress": TEXT,
    "held_reason": TEXT,
    "lab": TEXT,
    "record_id": or_null(NUMBER),
}
_P = Permission
OPERATIONS = (
    Operation(
        "GET",
        "/rates/board",
        "showBoard",
        "Rates, points and outlook of all clinics, groups and divisions of the caller",
        _P.SEE_RATES,
        board,
        query={"month": MONTH},
        answers=told(
            month=TEXT,
            data_on=DAY,
            tiers=or_null(TEXT),
            mean_group_points=or_null(TEXT),
            everywhere=_ROW,
            divisions=every(_ROW),
            groups=every(_ROW),
            clinics=every(_ROW),
        ),
    ),
    Operation(
        "GET",
        "/rates/outlook",
        "showOutlook",
        "What the month and its quarter are expected to come to",
        _P.SEE_RATES,
        outlook,
        query=_ASKED,
        answers=told(data_on=DAY, month=_EXPECTED, quarter=_EXPECTED),
    ),
    Operation(
        "GET",
        "/rates/cut",
        "cutRates",
        "The rates of a month by day, order code, laboratory …",
        _P.SEE_RATES,
        cut,
        query={**_ASKED, "by": choice(*Cut)},
        answers=told(month=TEXT, by=TEXT, items=every(told(key=TEXT, rates=_RATES))),
    ),
    Operation(
        "GET",
        "/rates/differences",
        "explainDifference",
        "Why two rates differ, by cause; with `institution` down to the orders",
        _P.SEE_RATES,
        differences,
        query={**_ASKED, "first": choice(*RateName), "second": choice(*RateName)},
        answers=told(
            month=TEXT,
            first=TEXT,
            second=TEXT,
            is_known={"type": "boolean", "description": "Whether both are known by order."},
            causes=every(
                told(
                    cause=TEXT,
                    text=TEXT,
                    text_zh=TEXT,
                    uploaded=TEXT,
                    due=TEXT,
                    order_count=NUMBER,
                    orders={"type": ["array", "null"], "items": told(**ORDER)},
                )
            ),
        ),
    ),
    Operation(
        "GET",
        "/rates/what-if",
        "showWhatWouldHelp",
        "The fewest open orders that reach the next tier; with `institution` by name",
        _P.SEE_RATES,
        what_would_help,
        query=_ASKED,
        answers=told(month=TEXT, score={"type": ["object", "null"]}),
    ),
    Operation(
        "GET",
        "/rates/missing",
        "listMissing",
        "Orders of a month that are not uploaded",
        _P.SEE_RATES,
        missing,
        query=paged(_ASKED),
        answers=page_of(**ORDER),
    ),
    Operation(
        "GET",
        "/rates/published",
        "listPublished",
        "NHI's published tables of divisions and cities",
        _P.SEE_RATES,
        published,
        answers=told(items=every({"type": "object"})),
    ),
)
