"""From a parsed payload to drafts of records: match, convert, check. Pure but for one look-up.

Whatever stops a result becomes a draft that is *held* with a reason; nothing vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from broker.deadline import clock_start, due_at
from broker.states import HeldReason
from broker.visit_desk import VisitDesk, candidates_text
from mapping.agreements import Parties, find_agreement, parties_of
from mapping.by_service import stricter_findings
from mapping.code_evidence import Undecided
from mapping.codes import OrderResult, SplitReport, split_orders
from mapping.collection_time import usable
from mapping.convert import convert
from mapping.finding import Finding, Severity
from mapping.line_habits import LineHabits
from mapping.match import Match, day_of, match_visit, room_for
from mapping.match_candidates import chosen
from mapping.merge import row_names
from mapping.moment import TAIPEI
from mapping.order_identity import order_identities
from mapping.profile import Agreement, Route, SourceProfile
from mapping.record import UploadRecord
from mapping.report import LabReport, ObservationStatus, ReportStatus
from mapping.report_place import places_within
from mapping.roc_fields import written_moment
from mapping.rules import NO_LISTS, ImportedLists, check_record
from mapping.visit import Visit

VisitLookup = Callable[[str, str], Sequence[tuple[int, Visit]]]
"""``(clinic_code, national_id)`` → that person's visits there with their ids."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One result on its way: ready when ``held_reason`` is None."""

    slot: str
    place: str
    order_identity: str
    order_code: str
    lab_code: str
    clinic_code: str
    national_id: str
    uploader_code: str = ""
    visit_id: int | None = None
    held_reason: HeldReason | None = None
    findings: tuple[Finding, ...] = ()
    record: UploadRecord | None = None
    order: OrderResult | None = None
    clock_started_at: datetime | None = None
    due_at: datetime | None = None
    cancelled: bool = False
    """The laboratory took the whole order back."""
    corrected: bool = False
    """It says that it corrects what it said before."""
    reported: str = ""
    """When the laboratory said it, as in r10; ``""`` if it did not say."""
    room: int = 1
    """How many results the visit's orders of this code leave room for."""
    birth_on: date | None = None
    placer_order_number: str = ""
    """By these, besides the national id, a visit that comes later may be the one."""
    candidates: str = ""
    """The visits that a person could mean, as :func:`broker.visit_desk.candidates_text`."""
    other_candidates: Callable[[], str] | None = None
    """The same for a result that has its visit, should that turn out to be taken."""
    awaited: frozenset[str] = frozenset()
    """The rows (r2) that the laboratory announced and has not sent: without them the order is a
    part."""
    withdrawal: str = ""
    """``order`` or ``lines`` and the time at which the laboratory took them back (``order 1140101``
    …); ``""`` for a word that takes nothing back."""


@dataclass(frozen=True, slots=True)
class Drafting:
    """What stays the same from payload to payload."""

    agreements: tuple[Agreement, ...]
    uploaders: frozenset[str]
    """Institution codes that this broker holds a credential for."""
    lists: ImportedLists = NO_LISTS
    habits: LineHabits | None = None
    """What the sources' codes are like, where changes are watched."""

    def drafts(
        self,
        reports: Sequence[LabReport],
        profile: SourceProfile,
        received_at: datetime,
        visits_of: VisitLookup,
        withheld: tuple[Finding, ...] = (),
        read: tuple[Finding, ...] = (),
        desk: VisitDesk | None = None,
    ) -> list[Draft]:
        """All drafts of one payload, in the order of its reports.

        ``read`` is what the reader found: its errors hold the report whose place they begin with.
        ``desk`` tells what else is known of visits.
        ``withheld`` says why none of it may be uploaded, as for a training message (MSH-11 T).
        """
        drafts: list[Draft] = []
        errors_at: dict[str, list[Finding]] = {}
        for finding in read:
            if finding.severity is Severity.ERROR:
                for place in places_within(finding.place):
                    errors_at.setdefault(place, []).append(finding)
        for number, report in enumerate(reports, start=1):
            split = split_orders(report, profile)
            errors = tuple(errors_at.get(report.place, ()))
            parties = parties_of(report, profile)
            results = _results(number, report, split, parties)
            if desk is not None and results:
                desk.expect(results)
            for order, result in zip(split.orders, results, strict=True):
                about = _about(split.findings, order.order_code)
                draft = self._draft(
                    result, report, order, about, profile, parties, received_at, visits_of, desk
                )
                drafts.append(_held_for(draft, errors) if errors else draft)
            unmapped = _of_no_order(split)
            if not split.orders:
                unmapped = split.findings
            if unmapped:
                drafts.append(_unmapped(number, report, unmapped, profile, received_at))
        if withheld:
            # Errors here, whatever they are for the payload: nothing but a replay may free these.
            errors = tuple(replace(each, severity=Severity.ERROR) for each in withheld)
            # Nor do they say anything of a real order's result.
            return [
                replace(
                    draft,
                    order_identity="",
                    held_reason=HeldReason.INVALID,
                    findings=errors,
                    record=None,
                    cancelled=False,
                    withdrawal="",
                )
                for draft in drafts
            ]
        return drafts

    def _draft(
        self,
        result: tuple[str, str, str],
        report: LabReport,
        order: OrderResult,
        findings: tuple[Finding, ...],
        profile: SourceProfile,
        parties: Parties,
        received_at: datetime,
        visits_of: VisitLookup,
        desk: VisitDesk | None,
    ) -> Draft:
        slot, identity, _ = result
        lab_code, clinic_code = parties.lab_code, parties.clinic_code
        national_id = report.patient.national_id
        cancelled = report.status is ReportStatus.CANCELLED
        base = Draft(
            slot=slot,
            place=report.place,
            order_identity=identity,
            order_code=order.order_code,
            lab_code=lab_code,
            clinic_code=clinic_code,
            national_id=national_id,
            clock_started_at=received_at,
            due_at=due_at(received_at),
            cancelled=cancelled,
            birth_on=report.patient.birth_on,
            placer_order_number=report.placer_order_number.strip(),
            awaited=row_names(order.awaited) if order.awaited else frozenset(),
            withdrawal=_withdrawal(report, order),
            corrected=_is_correction(report, order),
            reported=_reported(report),
        )

        def held(reason: HeldReason, *findings: Finding, visit_id: int | None = None) -> Draft:
            if cancelled:
                reason = HeldReason.INVALID
                findings = (Finding("report-cancelled", place=report.place),)
            return replace(base, visit_id=visit_id, held_reason=reason, findings=findings)

        if not (order.lines or order.withdrawn or cancelled):
            return held(*_without_lines(order, report.place, findings))
        visits = visits_of(clinic_code, national_id) if clinic_code and national_id else ()
        choice = None if desk is None else desk.choice(*result)
        if choice is not None:
            visits = [choice]
            match = chosen(choice[1], order.order_code)
        else:
            match = _match(report, order.order_code, clinic_code, visits, desk)
        if match.visit is None or match.order is None:
            base = replace(
                base,
                candidates=_candidates(report, order.order_code, clinic_code, visits, desk),
            )
            return held(HeldReason.UNMATCHED, *match.findings(report.place, order.order_code))
        visit_id = next(known for known, visit in visits if visit is match.visit)
        if match.order.upload_opted_out:
            return held(
                HeldReason.OPTED_OUT, Finding("opted-out", place=report.place), visit_id=visit_id
            )
        today = received_at.astimezone(TAIPEI).date()
        agreement = find_agreement(self.agreements, lab_code, clinic_code, order.order_code, today)
        if agreement is None:
            return held(
                HeldReason.INVALID, Finding("no-agreement", place=report.place), visit_id=visit_id
            )
        uploader = clinic_code if agreement.route is Route.CLINIC else lab_code
        if uploader not in self.uploaders:
            return held(
                HeldReason.OTHER_PARTY_UPLOADS,
                Finding("other-party-uploads", place=report.place, severity=Severity.INFORMATION),
                visit_id=visit_id,
            )
        conversion = convert(
            report, order, match.visit, match.order, agreement, profile, received_at
        )
        converted = conversion.record
        base = replace(
            base,
            uploader_code=uploader,
            record=converted,
            order=order,
            room=room_for(match.visit, order.order_code),
            other_candidates=lambda: candidates_text(report, order.order_code, clinic_code, visits),
        )
        if not order.lines:
            # A word that only takes back: what it leaves is known when it meets what stands.
            reason = HeldReason.WAITING_FINAL if order.awaited else HeldReason.INVALID
            return held(reason, *findings, visit_id=visit_id)
        findings += conversion.findings + stricter_findings(
            converted,
            check_record(converted, self.lists.context(today)),
        )
        if self.habits is not None:
            lines = [line.observation for line in order.lines]
            findings += self.habits.review(profile.source_id, report, lines, profile.default_unit)
        blocked = any(finding.severity is Severity.ERROR for finding in findings)
        started_at = clock_start(converted, received_at)
        return replace(
            base,
            visit_id=visit_id,
            held_reason=HeldReason.INVALID if blocked else None,
            findings=findings,
            clock_started_at=started_at,
            due_at=due_at(started_at),
        )


def _results(
    number: int, report: LabReport, split: SplitReport, parties: Parties
) -> list[tuple[str, str, str]]:
    """Slot, order identity and day of each order's result, as a choice of visit goes by them."""
    codes = [order.order_code for order in split.orders]
    identities = order_identities(report, codes, parties.lab_code, parties.clinic_code)
    day = day_of(report) if codes else None
    taken_on = day.isoformat() if day else ""
    return [
        (f"{number}/{code}", identity, taken_on)
        for code, identity in zip(codes, identities, strict=True)
    ]


def _match(
    report: LabReport,
    order_code: str,
    clinic_code: str,
    visits: Sequence[tuple[int, Visit]],
    desk: VisitDesk | None,
) -> Match:
    answers = None
    if desk is not None:
        ids = {id(visit): known for known, visit in visits}
        look = desk.answers

        def answers(visit: Visit, code: str) -> Sequence[str]:
            return look(ids[id(visit)], code)

    known = [visit for _, visit in visits]
    return match_visit(report, order_code, clinic_code, known, answers=answers)


def _candidates(
    report: LabReport,
    order_code: str,
    clinic_code: str,
    visits: Sequence[tuple[int, Visit]],
    desk: VisitDesk | None,
) -> str:
    if report.status is ReportStatus.CANCELLED or not clinic_code:
        return ""
    known = dict(desk.near(report, clinic_code)) if desk is not None else {}
    return candidates_text(report, order_code, clinic_code, (known | dict(visits)).items())


def _withdrawal(report: LabReport, order: OrderResult) -> str:
    if report.status is ReportStatus.CANCELLED:
        return f"order {_reported(report)}".rstrip()
    if order.withdrawn and not order.lines:
        return f"lines {_reported(report)}".rstrip()
    return ""


def _held_for(draft: Draft, errors: tuple[Finding, ...]) -> Draft:
    """Something of the report could not be read: what was assumed instead must not go out."""
    reason = draft.held_reason or HeldReason.INVALID
    return replace(draft, held_reason=reason, findings=errors + draft.findings)


def _is_correction(report: LabReport, order: OrderResult) -> bool:
    return report.status is ReportStatus.CORRECTED or any(
        line.observation.status is ObservationStatus.CORRECTED for line in order.lines
    )


def _reported(report: LabReport) -> str:
    moment = usable(report.reported_at)
    return written_moment(moment) if moment is not None else ""


def _about(findings: tuple[Finding, ...], order_code: str) -> tuple[Finding, ...]:
    """Those about lines that were left out of one order."""
    wanted = ("order_code", order_code)
    return tuple(
        finding
        for finding in findings
        if finding.code not in _HOLDS_AS_UNMAPPED and wanted in finding.parameters
    )


def _of_no_order(split: SplitReport) -> tuple[Finding, ...]:
    """Those about lines that no draft of an order tells of: nobody knows their code, or every line
    of their order names none of its rows."""
    told = {order.order_code for order in split.orders}
    return tuple(
        replace(finding, severity=Severity.ERROR)
        for finding in split.findings
        if finding.code in _HOLDS_AS_UNMAPPED
        or (
            finding.code == Undecided.NO_ITEM.value
            and dict(finding.parameters).get("order_code") not in told
        )
    )


def _without_lines(
    order: OrderResult, place: str, findings: tuple[Finding, ...]
) -> tuple[HeldReason, *tuple[Finding, ...]]:
    """Why an order has nothing to upload."""
    if order.awaited:
        waiting = Finding("waiting-final", place=place, severity=Severity.INFORMATION)
        return (HeldReason.WAITING_FINAL, waiting)
    return (HeldReason.INVALID, *findings)


def _unmapped(
    number: int,
    report: LabReport,
    findings: tuple[Finding, ...],
    profile: SourceProfile,
    received_at: datetime,
) -> Draft:
    """Lines that belong to no order yet: held, so that a person sees them."""
    parties = parties_of(report, profile)
    return Draft(
        slot=f"{number}/{HeldReason.UNMAPPED.value}",
        place=report.place,
        order_identity="",
        order_code="",
        lab_code=parties.lab_code,
        clinic_code=parties.clinic_code,
        national_id=report.patient.national_id,
        held_reason=HeldReason.UNMAPPED,
        findings=findings,
        clock_started_at=received_at,
        due_at=due_at(received_at),
    )


_HOLDS_AS_UNMAPPED = frozenset({"unmapped-code"})
