"""Which visits a person could mean where no rule may decide, and the match that they made."""

from __future__ import annotations

from collections.abc import Iterable

from mapping.match import (
    CANCELLING,
    Candidate,
    Match,
    Outcome,
    Reason,
    card_event,
    day_of,
    possibility_of,
    refusal_of,
)
from mapping.match_score import DEFAULT_WINDOW, signs_of
from mapping.order_family import same_family
from mapping.report import LabReport
from mapping.visit import Order, Visit


def rank_candidates(
    report: LabReport,
    order_code: str,
    clinic_code: str,
    visits: Iterable[Visit],
    window: int = DEFAULT_WINDOW,
    most: int = 5,
) -> tuple[Candidate, ...]:
    """The visits at the ordering clinic that a person could mean, the likeliest first: those of
    the patient, and those of ``visits`` of whom id or order number are nearly the same. Each has
    its order of that code, else one of its family."""
    day = day_of(report)
    national_id = report.patient.national_id.strip().upper()
    found: dict[tuple[object, ...], Candidate] = {}
    for visit in visits:
        if visit.institution_code != clinic_code.strip() or visit.visit_type in CANCELLING:
            continue
        if visit.provisional:
            continue
        order = _nearest_order(report, visit, order_code)
        if order is None:
            continue
        reason = refusal_of(report, visit, clinic_code.strip(), national_id)
        if reason is None:
            reason = possibility_of(report, visit, order, day, window)
        if order.order_code != order_code:
            reason = Reason.NO_SUCH_ORDER
        elif order.cancelled:
            reason = Reason.ORDER_CANCELLED
        signs = signs_of(report, visit, order, order_code, day, window)
        candidate = Candidate(visit, order, reason, signs)
        if candidate.score <= 0:
            continue
        event = (*card_event(visit), visit.national_id)
        if event not in found or found[event].score < candidate.score:
            found[event] = candidate
    ranked = sorted(
        found.values(), key=lambda each: (each.score, each.visit.visit_on), reverse=True
    )
    return tuple(ranked[:most])


def chosen(visit: Visit, order_code: str) -> Match:
    """The match that a person made: as far as the visit and its order still stand."""
    lines = [order for order in visit.orders if order.order_code == order_code]
    valid = [order for order in lines if not order.cancelled]
    if visit.cancelled or visit.visit_type in CANCELLING:
        return Match(Outcome.UNMATCHED, reasons=(Reason.VISIT_CANCELLED,))
    if visit.provisional:
        return Match(Outcome.UNMATCHED, reasons=(Reason.NO_CARD_DATA,))
    if not valid:
        reason = Reason.ORDER_CANCELLED if lines else Reason.NO_SUCH_ORDER
        return Match(Outcome.UNMATCHED, reasons=(reason,))
    # Of lines with different wishes the one that keeps the patient's.
    order = next((each for each in valid if each.upload_opted_out), valid[0])
    return Match(Outcome.MATCHED, visit, order, (Reason.CHOSEN,))


def _nearest_order(report: LabReport, visit: Visit, order_code: str) -> Order | None:
    lines = [order for order in visit.orders if order.order_code == order_code]
    lines = lines or [each for each in visit.orders if same_family(each.order_code, order_code)]
    number = report.placer_order_number.strip()
    numbered = [each for each in lines if number and each.placer_order_number.strip() == number]
    valid = [each for each in lines if not each.cancelled]
    return next(iter([*numbered, *valid, *lines]), None)
