"""The result rows (``rdata``) of an upload record (SPEC114 table 1, pp. 9-14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mapping.big5 import cp950_length, fit_text
from mapping.codes import OrderResult, place_of
from mapping.collection_time import usable
from mapping.finding import Finding, Severity
from mapping.national_id import is_valid_national_id
from mapping.profile import Agreement, Route, SourceProfile
from mapping.record import Field
from mapping.reference_range import parse_reference_range, range_unit
from mapping.report import LabReport, Observation, ReferenceRange
from mapping.rocdate import roc_datetime, roc_moment
from mapping.units import same_unit
from mapping.values import outside_by_flag, outside_by_range, positivity

NEEDS_POSITIVITY = frozenset({"14051C", "12185C", "12215C", "14084C"})
"""Order codes whose rows must carry r4-1 (SPEC114 p. 11)."""
_YES_OR_NO = frozenset({"12215C", "14084C"})
_LONGEST_TEXT = 4000
# Where the findings or diagnosis of a narrative report go: image reports, pathology reports.
_NARRATIVE = {"2": "r7", "3": "r8-1"}


def build_rows(
    report: LabReport,
    order_result: OrderResult,
    report_type: str,
    agreement: Agreement,
    profile: SourceProfile,
    received_at: datetime,
    findings: list[Finding],
) -> tuple[dict[str, Field], ...]:
    """A row for each final line, with all r-tags that are known. Appends to ``findings``."""
    shared: dict[str, Field] = {}
    reported_at = usable(report.reported_at)
    if reported_at is not None:
        shared["r10"] = Field(roc_moment(reported_at), f"{report.place}.reported_at")
    if agreement.route is Route.CLINIC:
        shared["r14"] = Field(roc_datetime(received_at), "intake.received_at")
    laboratory = Field(agreement.lab_code, "agreement.lab_code")
    sex = report.patient.sex
    default = parse_reference_range(profile.default_reference, sex)
    narrative = _NARRATIVE.get(report_type)
    rows = []
    for line in order_result.lines:
        observation = line.observation
        row = {"r1": Field(str(line.item_number), line.number_origin)}
        if report_type != "2":
            row["r2"] = _text("r2", line.item_name, line.origin, observation, findings)
            row["r3"] = _or_default("r3", observation, profile, findings)
        if narrative:
            row[narrative] = _narrative(narrative, observation, findings)
        else:
            code = order_result.order_code
            _measured(row, observation, code, default, profile, findings)
            row["r9"] = _performer(observation, laboratory)
        if observation.notes:
            row["r11"] = _remark(observation, findings)
        rows.append({tag: field for tag, field in row.items() if field.value} | shared)
    return tuple(rows)


def _measured(
    row: dict[str, Field],
    observation: Observation,
    order_code: str,
    default: ReferenceRange,
    profile: SourceProfile,
    findings: list[Finding],
) -> None:
    value_place = place_of(observation, "5", "value")
    row["r4"] = _text("r4", observation.value, value_place, observation, findings)
    if order_code in NEEDS_POSITIVITY:
        answer = positivity(observation.value)
        if answer in ("1", "0") or order_code not in _YES_OR_NO:
            row["r4-1"] = Field(answer, value_place)
    row["r5"] = _or_default("r5", observation, profile, findings)
    reference, place = observation.reference, place_of(observation, "7", "reference")
    if not (reference.low or reference.high or reference.text):
        reference, place = default, "profile.default_reference"
    else:
        reference = _in_the_unit(reference, observation.unit)
    if reference.low or reference.high:
        row["r6-1"] = _text("r6-1", reference.low, place, observation, findings)
        row["r6-2"] = _text("r6-2", reference.high, place, observation, findings)
    else:
        row["r6-1"] = _text("r6-1", reference.text, place, observation, findings)
    row["r12"] = _mark(observation, reference, place)


def _in_the_unit(reference: ReferenceRange, unit: str) -> ReferenceRange:
    """Bounds that were written with another unit than the value's keep it, as text: alone they
    would be read in the value's unit."""
    written = range_unit(reference)
    if written and not same_unit(written, unit):
        return ReferenceRange(text=reference.raw, raw=reference.raw)
    return reference


def _mark(observation: Observation, reference: ReferenceRange, place: str) -> Field:
    outside = outside_by_flag(observation.abnormal_flags)
    origin = place_of(observation, "8", "abnormal_flags")
    if outside is None:
        outside = outside_by_range(observation.value, reference)
        origin = f"compared:{place}"
    return Field("" if outside is None else "1" if outside else "0", origin)


def _performer(observation: Observation, laboratory: Field) -> Field:
    """r9; for work sent on, the performing institution may stand in (SPEC114 p. 13)."""
    if is_valid_national_id(observation.performer_id):
        return Field(observation.performer_id, f"{observation.place}.performer_id")
    return laboratory


def _narrative(tag: str, observation: Observation, findings: list[Finding]) -> Field:
    place = place_of(observation, "5", "value")
    field = _text(tag, observation.value, place, observation, findings)
    if cp950_length(field.value) > _LONGEST_TEXT:
        parameters = (("length", str(cp950_length(field.value))), ("limit", str(_LONGEST_TEXT)))
        findings.append(Finding("report-text-too-long", tag, place, "", parameters=parameters))
    return field


def _remark(observation: Observation, findings: list[Finding]) -> Field:
    """r11 is optional: a remark that cannot be written is left out and reported, never a reason
    to hold the result."""
    place = f"{observation.place}.notes"
    text, problems = fit_text(" ".join(" ".join(observation.notes).split()), "r11")
    if problems or cp950_length(text) > _LONGEST_TEXT:
        findings.append(Finding("remark-left-out", "r11", place, "", Severity.WARNING))
        return Field("", place)
    return Field(text, place)


def _or_default(
    tag: str, observation: Observation, profile: SourceProfile, findings: list[Finding]
) -> Field:
    if tag == "r5":
        text, place = observation.unit.strip(), place_of(observation, "6", "unit")
        default, default_place = profile.default_unit, "profile.default_unit"
    else:
        text, place = observation.method.strip(), place_of(observation, "17", "method")
        default, default_place = profile.default_method, "profile.default_method"
    if not text:
        text, place = default, default_place
    return _text(tag, text, place, observation, findings)


def _text(
    tag: str, text: str, origin: str, observation: Observation, findings: list[Finding]
) -> Field:
    fitted, problems = fit_text(text, tag)
    if problems:
        findings += (replace(problem, place=observation.place) for problem in problems)
    return Field(fitted, origin)
