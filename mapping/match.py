"""Which visit, and which order of it, a lab's result answers. Sure, or not at all.

The patient, the ordering clinic and the order code must agree in any case. Then a placer order
number that both sides know decides; without one, the specimen must have been taken on the day of
the visit or at most ``window`` days later, and exactly one such visit may hold the order. Where
several do, those whose order has its results already step back. What speaks for the visit must
reach a threshold. Blank identifiers never match, and two possible visits are a question for a
person, not for a rule. So is the visit of a newborn on its parent's card: twins share everything
but a mark that no laboratory sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from mapping.body_parts import uploaded_body_parts
from mapping.collection_time import collected_at, usable
from mapping.finding import Finding, Severity
from mapping.match_score import DEFAULT_WINDOW, THRESHOLD, Sign, score_of, signs_of
from mapping.report import LabReport
from mapping.roc_fields import written_moment
from mapping.same_order import bare_time
from mapping.visit import Order, Visit

CANCELLING = frozenset({"ZA", "ZB"})
"""h6 of card events that take back earlier ones (SPEC114 p. 4): nothing was ordered at them."""

Answers = Callable[[Visit, str], Sequence[str]]
"""``(visit, order_code)`` → the collection times of the results that its order has already, as
:func:`mapping.same_order.collection_time` gives them."""

_EXACT = 11
"""Length of a time that is known to the minute."""


class Outcome(StrEnum):
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"


class Reason(StrEnum):
    """Why a visit was or was not taken; the values are finding codes."""

    SAME_PLACER_NUMBER = "match-placer-number"
    ONLY_VISIT = "match-only-visit"
    OPEN_ORDER = "match-open-order"
    SAME_RESULT = "match-same-result"
    CHOSEN = "match-chosen"
    NO_NATIONAL_ID = "match-no-national-id"
    NO_CLINIC = "match-no-clinic"
    NO_DATE = "match-no-date"
    NO_VISIT = "match-no-visit"
    OTHER_CLINIC = "match-other-clinic"
    OTHER_PATIENT = "match-other-patient"
    BIRTH_DATE_DIFFERS = "match-birth-date-differs"
    VISIT_CANCELLED = "match-visit-cancelled"
    NO_CARD_DATA = "match-no-card-data"
    NO_SUCH_ORDER = "match-no-such-order"
    ORDER_CANCELLED = "match-order-cancelled"
    NEWBORN = "match-newborn"
    PLACER_NUMBER_DIFFERS = "match-placer-number-differs"
    BEFORE_VISIT = "match-before-visit"
    AFTER_WINDOW = "match-after-window"
    SEVERAL_VISITS = "match-several-visits"
    SEVERAL_ORDERS = "match-several-orders"
    UNSURE = "match-unsure"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A visit that was looked at. ``reason`` is why it was refused, or why it is possible."""

    visit: Visit
    order: Order | None
    reason: Reason
    signs: tuple[Sign, ...] = ()
    """What speaks for and against it."""

    @property
    def score(self) -> int:
        """The points of its signs."""
        return score_of(self.signs)


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
    answers: Answers | None = None,
) -> Match:
    """Find the one visit of ``visits`` at which ``order_code`` was ordered for this report.

    ``clinic_code`` is the ordering clinic's institution code; ``window`` is in days. A result for
    which the day of collection, order, receipt and report are all unknown matches by placer
    number only. ``answers`` is asked only where several visits are possible.
    """
    national_id = report.patient.national_id.strip()
    if not national_id:
        return Match(Outcome.UNMATCHED, reasons=(Reason.NO_NATIONAL_ID,))
    if not clinic_code.strip():
        return Match(Outcome.UNMATCHED, reasons=(Reason.NO_CLINIC,))
    day = day_of(report)
    candidates: list[Candidate] = []
    for visit in visits:
        reason = refusal_of(report, visit, clinic_code.strip(), national_id)
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
            reason = possibility_of(report, visit, order, day, window)
            signs = signs_of(report, visit, order, order_code, day, window)
            candidates.append(Candidate(visit, order, reason, signs))
    match = _decide(_told_repeats(candidates))
    if answers is not None and match.reasons == (Reason.SEVERAL_VISITS,):
        match = _among_open(match, report, order_code, answers)
    certain = match.reasons == (Reason.SAME_RESULT,) or _best_score(match) >= THRESHOLD
    if match.outcome is Outcome.MATCHED and not certain:
        return Match(Outcome.UNMATCHED, None, None, (Reason.UNSURE,), match.candidates)
    return match


def _told_repeats(candidates: list[Candidate]) -> list[Candidate]:
    """Who has an order every month may have it once more at a visit that is not known yet."""
    events = {
        card_event(each.visit) for each in candidates if each.order and not each.visit.cancelled
    }
    if len(events) <= 1:
        return candidates
    return [
        replace(each, signs=(*each.signs, Sign.REPEATED)) if Sign.IN_WINDOW in each.signs else each
        for each in candidates
    ]


def _best_score(match: Match) -> int:
    of_visit = [each for each in match.candidates if each.order is match.order]
    return max((each.score for each in of_visit), default=0)


def _among_open(match: Match, report: LabReport, order_code: str, answers: Answers) -> Match:
    """Several visits hold the order: of those that have their results already, only one whose
    result was taken at the very same minute is meant - it is that result again."""
    taken = collected_at(report, report.observations)
    at = bare_time(written_moment(taken[0])) if taken is not None else ""
    open_orders: list[Candidate] = []
    again: list[Candidate] = []
    judged: list[Candidate] = []
    for candidate in match.candidates:
        if candidate.reason is not Reason.ONLY_VISIT:
            judged.append(candidate)
            continue
        known = set(answers(candidate.visit, order_code))
        if any(_same_minute(each, at) for each in known):
            again.append(candidate)
        elif any(not each or each.startswith(at) or at.startswith(each) for each in known):
            # It may be that result again, or not.
            open_orders.append(candidate)
        elif len(known) < room_for(candidate.visit, order_code):
            open_orders.append(candidate)
        else:
            candidate = replace(candidate, signs=(*candidate.signs, Sign.ANSWERED))
        judged.append(candidate)
    looked_at = tuple(judged)
    newborn = any(each.reason is Reason.NEWBORN for each in judged)
    left, reason = (again, Reason.SAME_RESULT) if again else (open_orders, Reason.OPEN_ORDER)
    events = {card_event(each.visit) for each in left}
    if newborn or len(events) != 1 or len({_terms(each) for each in left}) != 1:
        return replace(match, candidates=looked_at)
    return Match(Outcome.MATCHED, left[0].visit, left[0].order, (reason,), looked_at)


def _same_minute(one: str, other: str) -> bool:
    return len(one) >= _EXACT <= len(other) and one[:_EXACT] == other[:_EXACT]


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
        if any(card_event(other.visit) != card_event(first.visit) for other in possible):
            return Match(Outcome.AMBIGUOUS, None, None, (Reason.SEVERAL_VISITS,), looked_at)
        # Two lines of one code at one visit are alike for the upload unless one is opted out.
        if any(_terms(other) != _terms(first) for other in possible):
            return Match(Outcome.AMBIGUOUS, None, None, (Reason.SEVERAL_ORDERS,), looked_at)
        return Match(Outcome.MATCHED, first.visit, first.order, (reason,), looked_at)
    reasons = tuple(dict.fromkeys(candidate.reason for candidate in candidates))
    return Match(Outcome.UNMATCHED, None, None, reasons or (Reason.NO_VISIT,), looked_at)


def card_event(visit: Visit) -> tuple[object, ...]:
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


def _terms(candidate: Candidate) -> tuple[bool, str, str]:
    order = candidate.order
    if order is None:
        return (False, "", "")
    parts = uploaded_body_parts(order, candidate.visit.visit_on)
    return (order.upload_opted_out, order.dispensing_code, parts)


def refusal_of(
    report: LabReport, visit: Visit, clinic_code: str, national_id: str
) -> Reason | None:
    """Why the visit cannot be meant whatever was ordered at it, or None."""
    birth_on = report.patient.birth_on
    if visit.institution_code != clinic_code:
        return Reason.OTHER_CLINIC
    if visit.national_id.strip().upper() != national_id.upper():
        return Reason.OTHER_PATIENT
    if birth_on is not None and birth_on not in (visit.birth_on, visit.newborn_birth_on):
        return Reason.BIRTH_DATE_DIFFERS
    if visit.cancelled or visit.visit_type in CANCELLING:
        return Reason.VISIT_CANCELLED
    return Reason.NO_CARD_DATA if visit.provisional else None


def possibility_of(
    report: LabReport, visit: Visit, order: Order, day: date | None, window: int
) -> Reason:
    """Whether the order can be meant, by numbers and days: the reason for or against it."""
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


def day_of(report: LabReport) -> date | None:
    """The Taipei day that is laid against the days of visits: of collection, else of the order,
    the receipt of the specimen or the report; None where all are unknown."""
    taken = collected_at(report, report.observations)
    if taken is not None:
        return taken[0].day
    others = (report.ordered_at, report.specimen.received_at, report.reported_at)
    return next((moment.day for moment in map(usable, others) if moment is not None), None)


def room_for(visit: Visit, order_code: str) -> int:
    """How many results of ``order_code`` the orders of ``visit`` leave room for, at least one."""
    lines = [order for order in visit.orders if order.order_code == order_code]
    return max(1, int(sum(order.quantity for order in lines if not order.cancelled)))
