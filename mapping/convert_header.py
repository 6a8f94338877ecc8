"""The header (``hdata``) of an upload record: whose visit, who uploads, which order, which times.

Field rules: SPEC114 table 1, pp. 3-8. The two routes (who uploads) differ in h2 h3 h5 h7 h8 h26
h27 and in the visit identifiers, which belong to the uploading institution's own card event.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from mapping.big5 import fit_text
from mapping.body_parts import uploaded_body_parts
from mapping.catalogue.tables import order_code, report_type_of
from mapping.codes import OrderResult
from mapping.collection_time import collected_at, usable
from mapping.finding import Finding, Severity
from mapping.moment import Moment, Precision
from mapping.national_id import is_valid_national_id
from mapping.profile import Agreement, Commission, Route, SourceProfile
from mapping.record import Field
from mapping.report import LabReport
from mapping.roc_fields import written_datetime, written_moment
from mapping.rocdate import roc_date, roc_month
from mapping.visit import Order, Visit

_LABORATORY = "50"
_WITH_VISIT_DAY = frozenset({"11", "12", "13", "14", "15", "19", "50"})
_WITH_ADMISSION_DAY = frozenset({"21", "22", "29"})
_SCHEDULED = "AG"
_UNKNOWN_SERIAL = "Z000"
# h26 (SPEC114 p. 8): the clinic sends on (2 patient, 4 specimen), the laboratory accepts (3, 5).
_DISPENSING = {
    (Route.CLINIC, Commission.PATIENT): "2",
    (Route.LAB, Commission.PATIENT): "3",
    (Route.CLINIC, Commission.SPECIMEN): "4",
    (Route.LAB, Commission.SPECIMEN): "5",
}


def build_header(
    report: LabReport,
    order_result: OrderResult,
    visit: Visit,
    visit_order: Order,
    agreement: Agreement,
    profile: SourceProfile,
    findings: list[Finding],
) -> dict[str, Field]:
    """All h-tags that are known, except h16. Appends to ``findings`` what had to be assumed."""
    taken = _collection(report, order_result, visit, findings)
    header = {"h1": _report_type(order_result, report, findings)}
    if agreement.route is Route.LAB:
        header |= _laboratory(report, visit, agreement, taken, findings)
    else:
        header |= _clinic(visit)
    header["h4"] = Field(roc_month(taken[0].day), taken[1])
    header["h6"] = Field(visit.visit_type, "visit.visit_type")
    header["h9"] = Field(visit.national_id, "visit.national_id")
    header["h10"] = _day(visit.birth_on, "visit.birth_on")
    kind = header["h3"].value
    if kind in _WITH_VISIT_DAY:
        header["h11"] = _day(visit.visit_on, "visit.visit_on")
        assumed = taken[1].startswith("assumed:")
        if visit.visit_type == _SCHEDULED and kind != _LABORATORY and not assumed:
            header["h12"] = _day(taken[0].day, taken[1])
    elif kind in _WITH_ADMISSION_DAY:
        header["h13"] = _day(visit.visit_on, "assumed:visit.visit_on")
    header["h15"] = Field(order_result.order_code, order_result.origin or "report")
    header["h17"] = _ordering_physician(report, visit)
    header["h18"] = _reporting_physician(report, agreement)
    header["h19"] = _ordered(report, visit_order)
    header["h20"] = Field(written_moment(taken[0]), taken[1])
    header["h22"] = _specimen(report, profile, findings)
    if visit.newborn_birth_on is not None:
        header["h23"] = _day(visit.newborn_birth_on, "visit.newborn_birth_on")
        header["h24"] = Field(visit.newborn_mark, "visit.newborn_mark")
    header["h25"] = Field(uploaded_body_parts(visit_order, taken[0].day), "order.body_parts")
    header["h26"] = Field(_DISPENSING[agreement.route, agreement.commission], "agreement")
    return {tag: field for tag, field in header.items() if field.value}


def _clinic(visit: Visit) -> dict[str, Field]:
    return {
        "h2": Field(visit.institution_code, "visit.institution_code"),
        "h3": Field(visit.institution_kind, "visit.institution_kind"),
        "h5": Field(written_datetime(visit.card_at), "visit.card_at"),
        "h7": Field(visit.visit_serial, "visit.visit_serial"),
        "h8": Field(visit.makeup_code, "visit.makeup_code"),
        "h28": Field(visit.visit_identifier, "visit.visit_identifier"),
        "h29": Field(visit.original_visit_identifier, "visit.original_visit_identifier"),
    }


def _laboratory(
    report: LabReport,
    visit: Visit,
    agreement: Agreement,
    taken: tuple[Moment, str],
    findings: list[Finding],
) -> dict[str, Field]:
    serial = Field(visit.visit_serial, "visit.visit_serial")
    if not visit.visit_serial:
        serial = Field(_UNKNOWN_SERIAL, f"assumed:{_UNKNOWN_SERIAL}")
        findings.append(_warning("serial-unknown", "h7", report))
    return {
        "h2": Field(agreement.lab_code, "agreement.lab_code"),
        "h3": Field(_LABORATORY, "agreement"),
        "h5": _arrival(report, agreement, taken, findings),
        "h7": serial,
        "h8": Field("1", "agreement"),
        "h27": Field(visit.institution_code, "visit.institution_code"),
    }


def _arrival(
    report: LabReport,
    agreement: Agreement,
    taken: tuple[Moment, str],
    findings: list[Finding],
) -> Field:
    """h5 of the laboratory: when it received the specimen (代檢, SPEC114 p. 3). The field has no
    11-character form, so a missing clock time becomes zeros and is marked as assumed."""
    moment, origin = usable(report.specimen.received_at), f"{report.place}.specimen.received_at"
    if moment is None or agreement.commission is Commission.PATIENT:
        moment, origin = taken
        origin = f"assumed:{origin.removeprefix('assumed:')}"
    elif moment.precision is not Precision.SECOND:
        origin = f"assumed:{origin}"
    if origin.startswith("assumed:"):
        findings.append(_warning("assumed-card-time", "h5", report))
    return Field(written_moment(moment).ljust(13, "0"), origin)


def _report_type(order_result: OrderResult, report: LabReport, findings: list[Finding]) -> Field:
    code = order_result.order_code
    known = order_code(code)
    if known is not None:
        return Field(known.report_type, "order-codes")
    if report_type := report_type_of(code):
        return Field(report_type, "programme-items")
    findings.append(_warning("assumed-report-type", "h1", report, ("order_code", code)))
    return Field("1", "assumed:report-type")


def _collection(
    report: LabReport, order_result: OrderResult, visit: Visit, findings: list[Finding]
) -> tuple[Moment, str]:
    """h20: of the specimen, else the earliest of this order's lines, else assumed."""
    taken = collected_at(report, (line.observation for line in order_result.lines))
    if taken is not None:
        return taken
    findings.append(_warning("assumed-collection-time", "h20", report))
    return Moment(visit.card_at), "assumed:visit.card_at"


def _ordering_physician(report: LabReport, visit: Visit) -> Field:
    """h17; for work sent on, the doctor's institution may stand in (SPEC114 p. 6)."""
    if is_valid_national_id(report.ordering_provider_id):
        return Field(report.ordering_provider_id, f"{report.place}.ordering_provider_id")
    if visit.provider_id:
        return Field(visit.provider_id, "visit.provider_id")
    return Field(visit.institution_code, "visit.institution_code")


def _reporting_physician(report: LabReport, agreement: Agreement) -> Field:
    """h18; the same substitution by the institution that reports."""
    if is_valid_national_id(report.reporting_physician_id):
        return Field(report.reporting_physician_id, f"{report.place}.reporting_physician_id")
    return Field(agreement.lab_code, "agreement.lab_code")


def _ordered(report: LabReport, visit_order: Order) -> Field:
    if visit_order.ordered_at is not None:
        return Field(written_datetime(visit_order.ordered_at), "order.ordered_at")
    ordered_at = usable(report.ordered_at)
    if ordered_at is not None:
        return Field(written_moment(ordered_at), f"{report.place}.ordered_at")
    return Field("", "")


def _specimen(report: LabReport, profile: SourceProfile, findings: list[Finding]) -> Field:
    kind, origin = report.specimen.kind.strip(), f"{report.place}.specimen.kind"
    if not kind:
        kind, origin = profile.default_specimen, "profile.default_specimen"
    text, problems = fit_text(kind, "h22")
    findings += (replace(problem, place=report.place) for problem in problems)
    return Field(text, origin)


def _day(day: date, origin: str) -> Field:
    try:
        return Field(roc_date(day), origin)
    except ValueError:
        # A birth date of more than 99 years before the Republic has no form: the rules ask for it.
        return Field("", origin)


def _warning(code: str, tag: str, report: LabReport, *parameters: tuple[str, str]) -> Finding:
    return Finding(code, tag, report.place, "", Severity.WARNING, parameters)
