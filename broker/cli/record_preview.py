"""What NHI record a report would become, told without inventing what only the visit knows.

Conversion needs a visit and an agreement. Where they are not given, stand-ins take their place
and every field that came from a stand-in is taken out again by its provenance; it is named as
needed instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from mapping.agreements import find_agreement, parties_of
from mapping.codes import OrderResult, split_orders
from mapping.convert import convert
from mapping.finding import Finding, Severity, told_once
from mapping.match import Match, Outcome, match_visit
from mapping.moment import TAIPEI
from mapping.package_name import PackageName
from mapping.profile import Agreement, Commission, Route, SourceProfile
from mapping.record import Fields, UploadRecord
from mapping.report import LabReport, ReportStatus
from mapping.rules import NO_LISTS, ImportedLists, check_record
from mapping.visit import Order, Visit

_FROM_VISIT = ("visit.", "order.", "assumed:visit.", "assumed:order.")
_FROM_AGREEMENT = ("agreement",)
_FROM_RECEIPT = ("intake.",)
_STAND_IN_DAY = date(2025, 1, 1)


@dataclass(frozen=True, slots=True)
class PreviewContext:
    """``visits`` and ``agreements`` may be empty: then their fields are named as needed.
    ``packages`` are the names of the upload files seen so far."""

    profile: SourceProfile
    agreements: Sequence[Agreement] = ()
    visits: Sequence[Visit] = ()
    today: date = field(default_factory=lambda: datetime.now(TAIPEI).date())
    lists: ImportedLists = NO_LISTS
    packages: set[PackageName] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class RecordPreview:
    """A record as far as it is known. ``needs`` maps a tag to what will bring it: ``visit``,
    ``agreement``, ``receipt`` (the time we receive the report) or ``sealing``."""

    place: str
    order_code: str
    record: UploadRecord
    needs: Mapping[str, str] = field(default_factory=dict)


def preview_records(
    report: LabReport, context: PreviewContext, first_number: int
) -> tuple[list[RecordPreview], list[Finding]]:
    """The records of one report, numbered from ``first_number``, and all findings about them."""
    split = split_orders(report, context.profile)
    findings = list(split.findings)
    previews: list[RecordPreview] = []
    if report.status is ReportStatus.CANCELLED:
        return [], [_information("report-cancelled", report)]
    for order in split.orders:
        if not order.lines:
            findings.append(_information("waiting-final", report))
            continue
        preview, found = _preview(report, order, context)
        number = f"record[{first_number + len(previews)}]"
        previews.append(preview)
        findings += (_placed(finding, number) for finding in told_once(found))
    return previews, findings


def _preview(
    report: LabReport, order: OrderResult, context: PreviewContext
) -> tuple[RecordPreview, list[Finding]]:
    parties = parties_of(report, context.profile)
    lab_code, clinic_code = parties.lab_code, parties.clinic_code
    findings: list[Finding] = []
    match = _match(report, order, clinic_code, context)
    if match is not None:
        findings += match.findings(report.place, order.order_code)
    is_matched = match is not None and match.outcome is Outcome.MATCHED
    visit = match.visit if is_matched and match and match.visit else _stand_in_visit(clinic_code)
    visit_order = match.order if is_matched and match and match.order else Order(order.order_code)
    on = visit.visit_on if is_matched else context.today
    found = find_agreement(context.agreements, lab_code, clinic_code, order.order_code, on)
    agreement = found or Agreement(lab_code, clinic_code, Route.CLINIC, Commission.SPECIMEN)
    conversion = convert(
        report, order, visit, visit_order, agreement, context.profile, datetime.now(UTC)
    )
    missing: dict[tuple[str, ...], str] = {_FROM_RECEIPT: "receipt"}
    if not is_matched:
        missing[_FROM_VISIT] = "visit"
    if found is None:
        missing[_FROM_AGREEMENT] = "agreement"
    needs: dict[str, str] = {}
    record = UploadRecord(
        _known(conversion.record.header, missing, needs),
        tuple(_known(row, missing, needs) for row in conversion.record.rows),
    )
    needs["h16"] = "sealing"
    rules = context.lists.context(context.today)
    findings += (each for each in conversion.findings if each.field not in needs)
    findings += (each for each in check_record(record, rules) if each.field not in needs)
    return RecordPreview(report.place, order.order_code, record, needs), findings


def _match(
    report: LabReport, order: OrderResult, clinic_code: str, context: PreviewContext
) -> Match | None:
    if not context.visits:
        return None
    return match_visit(report, order.order_code, clinic_code, context.visits)


def _known(fields: Fields, missing: Mapping[tuple[str, ...], str], needs: dict[str, str]) -> Fields:
    known = {}
    for tag, value in fields.items():
        source = next(
            (name for start, name in missing.items() if value.origin.startswith(start)), ""
        )
        if source:
            needs[tag] = source
        else:
            known[tag] = value
    return known


def _stand_in_visit(clinic_code: str) -> Visit:
    midnight = datetime(2025, 1, 1, tzinfo=TAIPEI)
    return Visit(
        institution_code=clinic_code or "-",
        national_id="-",
        birth_on=_STAND_IN_DAY,
        card_at=midnight.astimezone(UTC),
        visit_type="-",
        visit_serial="-",
        visit_on=_STAND_IN_DAY,
    )


def _information(code: str, report: LabReport) -> Finding:
    return Finding(code, place=report.place, severity=Severity.INFORMATION)


def _placed(finding: Finding, number: str) -> Finding:
    if finding.place.startswith(("hdata", "rdata")):
        return replace(finding, place=f"{number}/{finding.place}")
    return finding
