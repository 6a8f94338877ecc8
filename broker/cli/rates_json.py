"""The rates as one JSON object: quantities and percentages as text, days as ISO dates."""

from __future__ import annotations

from typing import Any

from broker.rates.outlook import Expected
from broker.rates.view import SCORED, RatesView
from mapping.rates.counted_order import CountedOrder
from mapping.rates.rate import Rate


def rates_to_json(view: RatesView) -> dict[str, Any]:
    """Everything that was asked for; orders are named by visit and record, never by patient."""
    found = view.found
    told: dict[str, Any] = {
        "month": str(found.month),
        "institutions": list(view.institutions) or None,
        "asked_at": found.asked_at.isoformat(timespec="seconds"),
        "rates": {str(name): _rate(rate) for name, rate in found.rates.items()},
        "score": _score(view),
        "outlook": {
            "month": _expected(view.outlook.month),
            "quarter": _expected(view.outlook.quarter),
        },
        "differences": [
            {
                "from": str(first),
                "to": str(second),
                "causes": [
                    {
                        "cause": str(each.cause),
                        "uploaded": _text(each.uploaded),
                        "due": _text(each.due),
                        "order_count": len(each.orders),
                        **(
                            {"orders": [_order(order) for order in each.orders]}
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
        told["cut"] = {
            "by": str(view.cut),
            "rows": [
                {
                    "key": row.key,
                    "rates": {str(name): _rate(rate) for name, rate in row.rates.items()},
                }
                for row in view.cut_rows()
            ],
        }
    return told


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "percent": None if rate.percent is None else _text(rate.percent),
        "uploaded": _text(rate.uploaded),
        "due": _text(rate.due),
        "own": _text(rate.own),
        "commissioned": _text(rate.commissioned),
        "opted_out": _text(rate.opted_out),
        "data_on": rate.data_on.isoformat(),
    }


def _score(view: RatesView) -> dict[str, Any] | None:
    tier = view.found.tier(SCORED)
    if view.found.tiers is None or tier is None:
        return None
    way = view.way_up()
    told: dict[str, Any] = {
        "tiers": view.found.tiers.edition,
        "rate": str(SCORED),
        "points": _text(tier.points),
        "next": None,
    }
    if way is not None:
        told["next"] = {
            "at_least": _text(way.tier.at_least),
            "points": _text(way.tier.points),
            "needed": _text(way.needed),
            "reachable": way.reachable,
            "order_count": len(way.orders),
        }
        if view.wants_orders:
            told["next"]["orders"] = [
                {**_order(each.order), "points": _text(each.points)} for each in way.orders
            ]
    return told


def _expected(expected: Expected | None) -> dict[str, Any] | None:
    if expected is None:
        return None
    return {
        "first": expected.first.isoformat(),
        "last": expected.last.isoformat(),
        "due": _text(expected.forecast.due),
        "within_24h": _text(expected.within_24h),
        "whole_month": _text(expected.whole_month),
        "score": None if expected.score is None else _text(expected.score),
    }


def _order(order: CountedOrder) -> dict[str, Any]:
    return {
        "institution": order.institution_code,
        "visit_id": order.visit_id,
        "visit_on": order.visit_on.isoformat(),
        "order_code": order.order_code,
        "quantity": _text(order.quantity),
        "progress": str(order.progress),
        "held_reason": order.held_reason,
        "lab": order.lab_code,
        "record_id": order.record_id,
    }


def _text(value: object) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
