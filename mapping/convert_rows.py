"""The result rows (``rdata``) of an upload record (SPEC114 table 1, pp. 9-14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from mapping.big5 import fit_text
from mapping.codes import LinePlaces, OrderResult, ResolvedLine, line_places
from mapping.collection_time import usable
from mapping.convert_narrative import narrative_rows, put_remark
from mapping.finding import Finding
from mapping.national_id import is_valid_national_id
from mapping.profile import Agreement, Route, SourceProfile
from mapping.record import Field
from mapping.reference_range import parse_reference_range, range_unit, sides_as_written
from mapping.report import LabReport, Observation, ReferenceRange
from mapping.report_text import NARRATIVE_TYPES
from mapping.roc_fields import written_datetime, written_moment
from mapping.units import same_unit
from mapping.values import outside_by_flag, outside_by_range, positivity

NEEDS_POSITIVITY = frozenset({"14051C", "12185C", "12215C", "14084C"})
"""Order codes whose rows must carry r4-1 (SPEC114 p. 11)."""
_YES_OR_NO = frozenset({"12215C", "14084C"})
_LONGEST_REPEATED = 200
_MOST_FRAMES = 16_384
_IMPLANT = "4"


def build_rows(
    report: LabReport,
    order_result: OrderResult,
    report_type: str,
    agreement: Agreement,
    profile: SourceProfile,
    received_at: datetime,
    findings: list[Finding],
) -> tuple[dict[str, Field], ...]:
    """A row for each final line, with all r-tags that are known. Appends to ``findings``.

    Rows stand in the order of r1, whatever the order of the lab's lines. NHI prescribes none, but
    its tables and samples (SPEC114 tables 5 and 9) are printed so, a correction is merged so, and
    a person who lays the file beside the table finds each row where it belongs.
    """
    shared: dict[str, Field] = {}
    reported_at = usable(report.reported_at)
    if reported_at is not None:
        shared["r10"] = Field(written_moment(reported_at), f"{report.place}.reported_at")
    if agreement.route is Route.CLINIC:
        shared["r14"] = Field(written_datetime(received_at), "intake.received_at")
    laboratory = Field(agreement.lab_code, "agreement.lab_code")
    default = parse_reference_range(profile.default_reference, report.patient.sex)
    if report_type in NARRATIVE_TYPES:
        texts = narrative_rows(report, order_result, report_type, profile, findings)
        return tuple(row | shared for row in texts)
    rows = []
    frames = None
    if report_type != _IMPLANT and order_result.order_code not in NEEDS_POSITIVITY:
        frames = _frames(profile.default_method, profile.default_unit, default)
    for line in order_result.lines:
        observation = line.observation
        if frames is not None and not observation.notes:
            frame = frames.of(line)
            if frame is not None:
                row = _filled(frame, observation, findings)
                row["r9"] = _performer(observation, laboratory)
                row.update(shared)
                rows.append(row)
                continue
        places = line_places(observation.place)
        row = {"r1": _plain(str(line.item_number), line.number_origin)}
        _put(row, "r2", line.item_name, line.origin, observation, findings)
        if report_type == _IMPLANT:
            _put_implant(row, observation, places, findings)
        else:
            _put_method(row, observation, places, profile.default_method, findings)
            code = order_result.order_code
            _put_measured(row, observation, places, code, default, profile, findings)
            row["r9"] = _performer(observation, laboratory)
        if observation.notes:
            put_remark(row, observation.notes, f"{observation.place}.notes", findings)
        row.update(shared)
        rows.append(row)
    rows.sort(key=_number)
    return tuple(rows)


def _number(row: dict[str, Field]) -> int:
    number = row["r1"].value
    return int(number) if number.isdecimal() else 0


class _Frame(NamedTuple):
    """A row without its result. ``fields`` has an empty r4 at its place among the others."""

    fields: dict[str, Field]
    value_place: str
    reference: ReferenceRange
    flags_place: str


class _Frames:
    """Rows of lines that were seen before, for one set of a source's defaults: of all that a line
    says, only its result and flags differ from patient to patient."""

    __slots__ = ("_default", "_known", "_method", "_unit")

    def __init__(self, method: str, unit: str, default: ReferenceRange) -> None:
        self._method = method
        self._unit = unit
        self._default = default
        self._known: dict[tuple[object, ...], _Frame | None] = {}

    def of(self, line: ResolvedLine) -> _Frame | None:
        """The frame of ``line``; None where something of it cannot be written as it is."""
        observation, number, name, origin, number_origin = line
        reference = observation.reference
        said = (name, observation.method, observation.unit, reference.raw, reference.text)
        if sum(map(len, said)) > _LONGEST_REPEATED:
            return None
        key = (
            number,
            name,
            origin,
            number_origin,
            observation.place,
            observation.method,
            observation.unit,
            reference,
        )
        known = self._known
        if key not in known:
            # Bounded, since a sender may write anything into a line.
            if len(known) >= _MOST_FRAMES:
                known.clear()
            known[key] = self._made(line)
        return known[key]

    def _made(self, line: ResolvedLine) -> _Frame | None:
        observation = line.observation
        places = line_places(observation.place)
        problems: list[Finding] = []
        fields = {"r1": _plain(str(line.item_number), line.number_origin)}
        _put(fields, "r2", line.item_name, line.origin, observation, problems)
        _put_method(fields, observation, places, self._method, problems)
        fields["r4"] = Field("", places.value)
        _put_unit(fields, observation, places, self._unit, problems)
        reference = _put_reference(fields, observation, places, self._default, problems)
        frame = _Frame(fields, places.value, reference, places.abnormal_flags)
        return None if problems else frame


_frames = lru_cache(maxsize=64)(_Frames)


def _filled(frame: _Frame, observation: Observation, findings: list[Finding]) -> dict[str, Field]:
    row = frame.fields.copy()
    value = observation.value
    if value:
        row["r4"], problems = _fit("r4", value, frame.value_place)
        if problems:
            findings += (replace(problem, place=observation.place) for problem in problems)
    else:
        del row["r4"]
    _put_outside(row, observation, frame.reference, frame.flags_place)
    return row


def _put_measured(
    row: dict[str, Field],
    observation: Observation,
    places: LinePlaces,
    order_code: str,
    default: ReferenceRange,
    profile: SourceProfile,
    findings: list[Finding],
) -> None:
    _put(row, "r4", observation.value, places.value, observation, findings)
    if order_code in NEEDS_POSITIVITY:
        answer = positivity(observation.value)
        if answer in ("1", "0") or (answer and order_code not in _YES_OR_NO):
            row["r4-1"] = _plain(answer, places.value)
    _put_unit(row, observation, places, profile.default_unit, findings)
    reference = _put_reference(row, observation, places, default, findings)
    _put_outside(row, observation, reference, places.abnormal_flags)


def _put_method(
    row: dict[str, Field],
    observation: Observation,
    places: LinePlaces,
    default: str,
    findings: list[Finding],
) -> None:
    method, place = observation.method.strip(), places.method
    if not method:
        method, place = default, "profile.default_method"
    _put(row, "r3", method, place, observation, findings)


def _put_unit(
    row: dict[str, Field],
    observation: Observation,
    places: LinePlaces,
    default: str,
    findings: list[Finding],
) -> None:
    unit, place = observation.unit.strip(), places.unit
    if not unit:
        unit, place = default, "profile.default_unit"
    _put(row, "r5", unit, place, observation, findings)


def _put_reference(
    row: dict[str, Field],
    observation: Observation,
    places: LinePlaces,
    default: ReferenceRange,
    findings: list[Finding],
) -> ReferenceRange:
    """Set r6-1 and r6-2; the range that they came from."""
    reference, place = observation.reference, places.reference
    if not (reference.low or reference.high or reference.text):
        reference, place = default, "profile.default_reference"
    else:
        reference = _in_the_unit(reference, observation.unit)
    if reference.low or reference.high:
        _put(row, "r6-1", reference.low, place, observation, findings)
        _put(row, "r6-2", reference.high, place, observation, findings)
    else:
        _put(row, "r6-1", reference.text, place, observation, findings)
    return reference


def _put_outside(
    row: dict[str, Field], observation: Observation, reference: ReferenceRange, flags_place: str
) -> None:
    outside, place = outside_by_flag(observation.abnormal_flags), flags_place
    if outside is None:
        outside = outside_by_range(observation.value, reference)
        place = "compared"
    if outside is not None:
        row["r12"] = _plain("1" if outside else "0", place)


def _in_the_unit(reference: ReferenceRange, unit: str) -> ReferenceRange:
    """Bounds that were written with another unit than the value's keep it, as text: alone they
    would be read in the value's unit."""
    if not (reference.low or reference.high):
        return reference
    written = range_unit(reference)
    if written and not same_unit(written, unit):
        return ReferenceRange(text=reference.raw, raw=reference.raw)
    return sides_as_written(reference.low, reference.high)


def _performer(observation: Observation, laboratory: Field) -> Field:
    """r9; for work sent on, the performing institution may stand in (SPEC114 p. 13)."""
    if is_valid_national_id(observation.performer_id):
        return Field(observation.performer_id, f"{observation.place}.performer_id")
    return laboratory


def _put_implant(
    row: dict[str, Field], observation: Observation, places: LinePlaces, findings: list[Finding]
) -> None:
    """Only what table 5 (SPEC114 p. 46) asks for, with no profile's defaults: most rows must
    have no r3 or no r5. ``method`` is the code of side, operation and approach."""
    _put(row, "r3", observation.method.strip(), places.method, observation, findings)
    _put(row, "r4", observation.value, places.value, observation, findings)
    _put(row, "r5", observation.unit.strip(), places.unit, observation, findings)


def _put(
    row: dict[str, Field],
    tag: str,
    text: str,
    origin: str,
    observation: Observation,
    findings: list[Finding],
) -> None:
    """Set ``tag`` to ``text`` as the file can carry it; an empty text sets nothing."""
    if not text:
        return
    # Names, units and ranges repeat all day; results are a patient's and are not kept.
    fit = _fit_again if len(text) <= _LONGEST_REPEATED and tag != "r4" else _fit
    row[tag], problems = fit(tag, text, origin)
    if problems:
        findings += (replace(problem, place=observation.place) for problem in problems)


def _fit(tag: str, text: str, origin: str) -> tuple[Field, tuple[Finding, ...]]:
    fitted, problems = fit_text(text, tag)
    return Field(fitted, origin), problems


_fit_again = lru_cache(maxsize=16384)(_fit)
_plain = lru_cache(maxsize=4096)(Field)
