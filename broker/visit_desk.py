"""What drafting asks about visits, and what it tells of those that a person could mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mapping.match import day_of
from mapping.match_candidates import rank_candidates
from mapping.report import LabReport
from mapping.visit import Visit

KnownVisits = Sequence[tuple[int, Visit]]
"""Visits with their ids."""


@dataclass(frozen=True, slots=True)
class VisitDesk:
    """Answers what drafting asks about visits. Each call may look into the store."""

    answers: Callable[[int, str], Sequence[str]]
    """``(visit_id, order_code)`` → collection times of the results that the order has."""
    near: Callable[[LabReport, str], KnownVisits]
    """``(report, clinic_code)`` → visits of others that the report could mean."""
    choice: Callable[[str, str, str], tuple[int, Visit] | None]
    """``(slot, order_identity, day)`` → the visit that a person chose."""
    expect: Callable[[Sequence[tuple[str, str, str]]], None] = lambda _: None
    """Of these results (slot, order identity, day) the choice is about to be asked for."""


def candidates_text(
    report: LabReport, order_code: str, clinic_code: str, visits: Iterable[tuple[int, Visit]]
) -> str:
    """The ranked candidates as JSON: ``{"day", "visits": [{"visit", "visit_on", "order_code",
    "score", "reason", "signs"}]}``; ``""`` where there are none. Nothing of it names a person."""
    known = list(visits)
    ranked = rank_candidates(report, order_code, clinic_code, [visit for _, visit in known])
    if not ranked:
        return ""
    day = day_of(report)
    told: list[dict[str, Any]] = [
        {
            "visit": next(known_id for known_id, visit in known if visit is each.visit),
            "visit_on": each.visit.visit_on.isoformat(),
            "order_code": each.order.order_code if each.order else "",
            "score": each.score,
            "reason": each.reason.value,
            "signs": [sign.value for sign in each.signs],
        }
        for each in ranked
    ]
    return json.dumps({"day": day.isoformat() if day else "", "visits": told})
