"""Rates as plain values for JSON: quantities and percentages as text, days as ISO dates."""

from __future__ import annotations

from typing import Any

from broker.rates.outlook import Expected
from broker.rates.view import SCORED, RatesView
from mapping.rates.counted_order import CountedOrder
from mapping.rates.nhi_overview import Gap, NhiOverview
from mapping.rates.plain_number import plain_number
from mapping.rates.rate import Rate


def rates_to_json(view: RatesView) -> dict[str, Any]:
    """Everything that was asked for; orders are named by visit and record, never by patient."""
    found = view.found
    told: dict[str, Any] = {
        "month": str(found.month),
        "institutions": list(view.institutions) or None,
        "asked_at": found.asked_at.isoformat(timespec="seconds"),
        "rates": {str(name): rate_to_json(rate) for name, rate in found.rates.items()},
        "score": score_to_json(view),
        "outlook": {
            "month": expected_to_json(view.outlook.month),
            "quarter": expected_to_json(view.outlook.quarter),
        },
        "differences": [
            {
                "from": str(first),
                "to": str(second),
                "causes": [
                    {
                        "cause": str(each.cause),
                        "uploaded": plain_number(each.uploaded),
                        "due": plain_number(each.due),
                        "order_count": len(each.orders),
                        **(
                            {"orders": [order_to_json(order) for order in each.orders]}
                            if view.explained is not None
                            else {}
                        ),
                    }
                    for each in causes
                ],
            }
            for first, second, causes in view.differences()
        ],
    }
    if view.cut is not None:
        told["cut"] = {"by": str(view.cut), "rows": cut_to_json(view)}
    if found.overview is not None:
        told["overview"] = {
            **overview_to_json(found.overview),
            "gaps": gaps_to_json(found.overview_gaps()),
        }
    return told


def cut_to_json(view: RatesView) -> list[dict[str, Any]]:
    """The parts of the cut."""
    return [
        {
            "key": row.key,
            "rates": {str(name): rate_to_json(rate) for name, rate in row.rates.items()},
        }
        for row in view.cut_rows()
    ]


def rate_to_json(rate: Rate) -> dict[str, Any]:
    """A rate without its name."""
    return {
        "percent": None if rate.percent is None else plain_number(rate.percent),
        "uploaded": plain_number(rate.uploaded),
        "due": plain_number(rate.due),
        "own": plain_number(rate.own),
        "commissioned": plain_number(rate.commissioned),
        "opted_out": plain_number(rate.opted_out),
        "data_on": rate.data_on.isoformat(),
    }


def score_to_json(view: RatesView) -> dict[str, Any] | None:
    """The points and the way to the next tier; None without a table or orders."""
    tier = view.found.tier(SCORED)
    if view.found.tiers is None or tier is None:
        return None
    way = view.way_up()
    told: dict[str, Any] = {
        "tiers": view.found.tiers.edition,
        "rate": str(SCORED),
        "points": plain_number(tier.points),
        "next": None,
    }
    if way is not None:
        told["next"] = {
            "at_least": plain_number(way.tier.at_least),
            "points": plain_number(way.tier.points),
            "needed": plain_number(way.needed),
            "reachable": way.reachable,
            "order_count": len(way.orders),
        }
        if view.wants_orders:
            told["next"]["orders"] = [
                {**order_to_json(each.order), "points": plain_number(each.points)}
                for each in way.orders
            ]
    return told


def expected_to_json(expected: Expected | None) -> dict[str, Any] | None:
    """How a period is expected to end."""
    if expected is None:
        return None
    return {
        "first": expected.first.isoformat(),
        "last": expected.last.isoformat(),
        "due": plain_number(expected.forecast.due),
        "within_24h": plain_number(expected.within_24h),
        "whole_month": plain_number(expected.whole_month),
        "score": None if expected.score is None else plain_number(expected.score),
    }


def order_to_json(order: CountedOrder) -> dict[str, Any]:
    """An order by its visit and record, never by its patient."""
    return {
        "institution": order.institution_code,
        "visit_id": order.visit_id,
        "visit_on": order.visit_on.isoformat(),
        "order_code": order.order_code,
        "quantity": plain_number(order.quantity),
        "progress": str(order.progress),
        "held_reason": order.held_reason,
        "lab": order.lab_code,
        "record_id": order.record_id,
    }


def overview_to_json(overview: NhiOverview) -> dict[str, Any]:
    """An overview as plain values."""
    return {
        "institution_code": overview.institution_code,
        "from_on": overview.from_on.isoformat(),
        "until_on": overview.until_on.isoformat(),
        "data_on": overview.data_on.isoformat(),
        "days": [
            {
                "visit_on": day.visit_on.isoformat(),
                "due": plain_number(day.due),
                "uploaded": plain_number(day.uploaded),
                "own": plain_number(day.own),
                "commissioned": plain_number(day.commissioned),
            }
            for day in overview.days
        ],
    }


def gaps_to_json(found: tuple[Gap, ...]) -> list[dict[str, Any]]:
    """By how much ours are larger than NHI's, by day and cause."""
    return [
        {
            "visit_on": each.visit_on.isoformat(),
            "cause": str(each.cause),
            "uploaded": plain_number(each.uploaded),
            "due": plain_number(each.due),
            "orders": [order_to_json(order) for order in each.orders],
        }
        for each in found
    ]
