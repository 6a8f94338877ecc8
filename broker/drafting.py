"""From a parsed payload to drafts of records: match, convert, check. Pure but for one look-up.

Whatever stops a result becomes a draft that is *held* with a reason; nothing vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.deadline import clock_start, due_at
from broker.states import HeldReason
from mapping.agreements import find_agreement, parties_of
from mapping.codes import OrderResult, split_orders
from mapping.convert import convert
from mapping.finding import Finding, Severity
from mapping.match import match_visit
from mapping.moment import TAIPEI
from mapping.order_identity import order_identity
from mapping.profile import Agreement, Route, SourceProfile
from mapping.record import UploadRecord
from mapping.report import LabReport, ReportStatus
from mapping.rules import RuleContext, check_record
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


@dataclass(frozen=True, slots=True)
class Drafting:
    """What stays the same from payload to payload."""

    agreements: tuple[Agreement, ...]
    uploaders: frozenset[str]
    """Institution codes that this broker holds a credential for."""
    institutions: frozenset[str] | None = None

    def drafts(
        self,
        reports: Sequence[LabReport],
        profile: SourceProfile,
        received_at: datetime,
        visits_of: VisitLookup,
        withheld: tuple[Finding, ...] = (),
    ) -> list[Draft]:
        """All drafts of one payload, in the order of its reports.

        ``withheld`` says why none of it may be uploaded, as for a training message (MSH-11 T).
        """
        drafts: list[Draft] = []
        for number, report in enumerate(reports, start=1):
            split = split_orders(report, profile)
            for order in split.orders:
                slot = f"{number}/{order.order_code}"
                about = _about(split.findings, order.order_code)
                drafts.append(
                    self._draft(slot, report, order, about, profile, received_at, visits_of)
                )
            unmapped = tuple(
                finding for finding in split.findings if finding.code in _HOLDS_AS_UNMAPPED
            )
            if not split.orders:
                unmapped = split.findings
            if unmapped:
                drafts.append(_unmapped(number, report, unmapped, profile, received_at))
        if withheld:
            # Errors here, whatever they are for the payload: nothing but a replay may free these.
            errors = tuple(replace(each, severity=Severity.ERROR) for each in withheld)
            return [
                replace(draft, held_reason=HeldReason.INVALID, findings=errors + draft.findings)
                for draft in drafts
            ]
        return drafts

    def _draft(
        self,
        slot: str,
        report: LabReport,
        order: OrderResult,
        findings: tuple[Finding, ...],
        profile: SourceProfile,
        received_at: datetime,
        visits_of: VisitLookup,
    ) -> Draft:
        parties = parties_of(report, profile)
        lab_code, clinic_code = parties.lab_code, parties.clinic_code
        national_id = report.patient.national_id
        identity = order_identity(report, order.order_code, lab_code, clinic_code)

        def held(reason: HeldReason, *findings: Finding, visit_id: int | None = None) -> Draft:
            return Draft(
                slot=slot,
                place=report.place,
                order_identity=identity,
                order_code=order.order_code,
                lab_code=lab_code,
                clinic_code=clinic_code,
                national_id=national_id,
                visit_id=visit_id,
                held_reason=reason,
                findings=findings,
                clock_started_at=received_at,
                due_at=due_at(received_at),
            )

        if _is_cancelled(report, order):
            cancelled = held(HeldReason.INVALID, Finding("report-cancelled", place=report.place))
            return replace(cancelled, cancelled=True)
        if not order.lines:
            return held(*_without_lines(order, report.place, findings))
        visits = visits_of(clinic_code, national_id) if clinic_code and national_id else ()
        match = match_visit(report, order.order_code, clinic_code, [visit for _, visit in visits])
        if match.visit is None or match.order is None:
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
        findings += conversion.findings + check_record(
            conversion.record, RuleContext(today=today, institutions=self.institutions)
        )
        blocked = any(finding.severity is Severity.ERROR for finding in findings)
        started_at = clock_start(conversion.record, received_at)
        return Draft(
            slot=slot,
            place=report.place,
            order_identity=identity,
            order_code=order.order_code,
            lab_code=lab_code,
            clinic_code=clinic_code,
            national_id=national_id,
            uploader_code=uploader,
            visit_id=visit_id,
            held_reason=HeldReason.INVALID if blocked else None,
            findings=findings,
            record=conversion.record,
            order=order,
            clock_started_at=started_at,
            due_at=due_at(started_at),
        )


def _is_cancelled(report: LabReport, order: OrderResult) -> bool:
    """The lab took the whole order back, or could not do it."""
    if report.status is ReportStatus.CANCELLED:
        return True
    return bool(order.withdrawn) and not order.lines and not order.awaited


def _about(findings: tuple[Finding, ...], order_code: str) -> tuple[Finding, ...]:
    """Those about lines that were left out of one order."""
    wanted = ("order_code", order_code)
    return tuple(
        finding
        for finding in findings
        if finding.code not in _HOLDS_AS_UNMAPPED and wanted in finding.parameters
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
