"""Which visit, and which order of it, a lab's result answers. Sure, or not at all.

The patient, the ordering clinic and the order code must agree in any case. Then a placer order
number that both sides know decides; without one, the specimen must have been taken on the day of
the visit or at most ``window`` days later, and exactly one such visit may hold the order. Blank
identifiers never match, and two possible visits are a question for a person, not for a rule. So is
the visit of a newborn on its parent's card: twins share everything but a mark that no laboratory
sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mapping.collection_time import collected_at, usable
from mapping.finding import Finding, Severity
from mapping.report import LabReport
from mapping.visit import Order, Visit

DEFAULT_WINDOW = 30
"""Days from the visit to the taking of the specimen."""

CANCELLING = frozenset({"ZA", "ZB"})
"""h6 of card events that take back earlier ones (SPEC114 p. 4): nothing was ordered at them."""


class Outcome(StrEnum):
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"


class Reason(StrEnum):
    """Why a visit was or was not taken; the values are finding codes."""

    SAME_PLACER_NUMBER = "match-placer-number"
    ONLY_VISIT = "match-only-visit"
    NO_NATIONAL_ID = "match-no-national-id"
    NO_CLINIC = "match-no-clinic"
    NO_DATE = "match-no-date"
    NO_VISIT = "match-no-visit"
    OTHER_CLINIC = "match-other-clinic"
    OTHER_PATIENT = "match-other-patient"
    BIRTH_DATE_DIFFERS = "match-birth-date-differs"
    VISIT_CANCELLED = "match-visit-cancelled"
    NO_SUCH_ORDER = "match-no-such-order"
    ORDER_CANCELLED = "match-order-cancelled"
    NEWBORN = "match-newborn"
    PLACER_NUMBER_DIFFERS = "match-placer-number-differs"
    BEFORE_VISIT = "match-before-visit"
    AFTER_WINDOW = "match-after-window"
    SEVERAL_VISITS = "match-several-visits"
    SEVERAL_ORDERS = "match-several-orders"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A visit that was looked at. ``reason`` is why it was refused, or why it is possible."""

    visit: Visit
    order: Order | None
    reason: Reason


MISMATCHES = frozenset({Reason.OTHER_CLINIC, Reason.OTHER_PATIENT, Reason.BIRTH_DATE_DIFFERS})
"""Reasons by which a report speaks of somebody else than the visit."""


@dataclass(frozen=True, slots=True)
class Match:
    """``visit`` and ``order`` are set exactly when ``outcome`` is MATCHED.

    ``reasons`` are the deciding ones, without repetition. ``candidates`` are all visits that were
    looked at, so that a person can choose. The order carries its quantity and the opt-out.
    """

    outcome: Outcome
    visit: Visit | None = None
    order: Order | None = None
    reasons: tuple[Reason, ...] = ()
    candidates: tuple[Candidate, ...] = ()

    def findings(self, place: str, order_code: str) -> tuple[Finding, ...]:
        """The reasons as findings for a person: errors unless matched."""
        matched = self.outcome is Outcome.MATCHED
        severity = Severity.INFORMATION if matched else Severity.ERROR
        parameters = (("order_code", order_code),)
        return tuple(
            Finding(reason, "", place, "", severity, parameters) for reason in self.reasons
        )


def match_visit(
    report: LabReport,
    order_code: str,
    clinic_code: str,
    visits: Iterable[Visit],
    window: int = DEFAULT_WINDOW,
) -> Match:
    """Find the one visit of ``visits`` at which ``order_code`` was ordered for this report.

    ``clinic_code`` is the ordering clinic's institution code; ``window`` is in days. A result for
    which the day of collection, order, receipt and report are all unknown matches by placer
    number only.
    """
    national_id = report.patient.national_id.strip()
    if not national_id:
        return Match(Outcome.UNMATCHED, reasons=(Reason.NO_NATIONAL_ID,))
    if not clinic_code.strip():
        return Match(Outcome.UNMATCHED, reasons=(Reason.NO_CLINIC,))
    day = _day_of(report)
    candidates: list[Candidate] = []
    for visit in visits:
        reason = _refusal(report, visit, clinic_code.strip(), national_id)
        if reason is not None:
            candidates.append(Candidate(visit, None, reason))
            continue
        orders = [order for order in visit.orders if order.order_code == order_code]
        if not orders:
            candidates.append(Candidate(visit, None, Reason.NO_SUCH_ORDER))
        valid = [order for order in orders if not order.cancelled]
        if orders and not valid:
            candidates.append(Candidate(visit, None, Reason.ORDER_CANCELLED))
        for order in valid:
            reason = _possibility(report, visit, order, day, window)
            candidates.append(Candidate(visit, order, reason))
    return _decide(candidates)


def _decide(candidates: list[Candidate]) -> Match:
    looked_at = tuple(candidates)
    for reason in (Reason.SAME_PLACER_NUMBER, Reason.ONLY_VISIT):
        possible = [candidate for candidate in candidates if candidate.reason is reason]
        if not possible:
            continue
        if reason is Reason.ONLY_VISIT:
            # The parent's result could as well be the child's.
            possible += [each for each in candidates if each.reason is Reason.NEWBORN]
        first = possible[0]
        if any(_event(other.visit) != _event(first.visit) for other in possible):
            return Match(Outcome.AMBIGUOUS, None, None, (Reason.SEVERAL_VISITS,), looked_at)
        # Two lines of one code at one visit are alike for the upload unless one is opted out.
        if any(_terms(other.order) != _terms(first.order) for other in possible):
            return Match(Outcome.AMBIGUOUS, None, None, (Reason.SEVERAL_ORDERS,), looked_at)
        return Match(Outcome.MATCHED, first.visit, first.order, (reason,), looked_at)
    reasons = tuple(dict.fromkeys(candidate.reason for candidate in candidates))
    return Match(Outcome.UNMATCHED, None, None, reasons or (Reason.NO_VISIT,), looked_at)


def _event(visit: Visit) -> tuple[object, ...]:
    """What names a visit towards NHI; the same card event may have come in by two files."""
    return (
        visit.institution_code,
        visit.card_at,
        visit.visit_type,
        visit.visit_serial,
        visit.birth_on,
        visit.newborn_birth_on,
        visit.newborn_mark,
    )


def _terms(order: Order | None) -> tuple[bool, str]:
    return (order.upload_opted_out, order.dispensing_code) if order else (False, "")


def _refusal(report: LabReport, visit: Visit, clinic_code: str, national_id: str) -> Reason | None:
    birth_on = report.patient.birth_on
    if visit.institution_code != clinic_code:
        return Reason.OTHER_CLINIC
    if visit.national_id.strip().upper() != national_id.upper():
        return Reason.OTHER_PATIENT
    if birth_on is not None and birth_on not in (visit.birth_on, visit.newborn_birth_on):
        return Reason.BIRTH_DATE_DIFFERS
    cancelled = visit.cancelled or visit.visit_type in CANCELLING
    return Reason.VISIT_CANCELLED if cancelled else None


def _possibility(
    report: LabReport, visit: Visit, order: Order, day: date | None, window: int
) -> Reason:
    ours, theirs = order.placer_order_number.strip(), report.placer_order_number.strip()
    numbered = bool(ours and theirs)
    if numbered and ours != theirs:
        return Reason.PLACER_NUMBER_DIFFERS
    if day is not None and day < visit.visit_on:
        return Reason.BEFORE_VISIT
    if numbered:
        return Reason.SAME_PLACER_NUMBER
    if day is None:
        return Reason.NO_DATE
    if (day - visit.visit_on).days > window:
        return Reason.AFTER_WINDOW
    return Reason.NEWBORN if visit.newborn_mark else Reason.ONLY_VISIT


def _day_of(report: LabReport) -> date | None:
    taken = collected_at(report, report.observations)
    if taken is not None:
        return taken[0].day
    others = (report.ordered_at, report.specimen.received_at, report.reported_at)
    return next((moment.day for moment in map(usable, others) if moment is not None), None)


def room_for(visit: Visit, order_code: str) -> int:
    """How many results of ``order_code`` the orders of ``visit`` leave room for, at least one."""
    lines = [order for order in visit.orders if order.order_code == order_code]
    return max(1, int(sum(order.quantity for order in lines if not order.cancelled)))
