"""The rows of imaging and pathology reports: all lines of one order are one text.

SPEC114 pp. 12-14: the text begins in r7 (imaging) or r8-1 (pathology) and goes on in r8-2 … r8-9.
r1 is 1 unless a special programme fixes another number (tables 8, 10, 13).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from mapping.big5 import cp950_length, fit_text
from mapping.catalogue.programmes import closed_numbers, named_reagents, programme_item
from mapping.catalogue.tables import order_code as catalogue_order_code
from mapping.codes import OrderResult, ResolvedLine, line_places
from mapping.finding import Finding, Severity
from mapping.profile import SourceProfile
from mapping.record import Field
from mapping.report import LabReport, Observation
from mapping.report_text import FIELD_LIMIT, split_text, text_tags
from mapping.values import parse_decimal

_WHOLE_REPORT = "whole-report"
_DOSE_UNITS = frozenset(("msv", "毫西弗"))


def narrative_rows(
    report: LabReport,
    order_result: OrderResult,
    report_type: str,
    profile: SourceProfile,
    findings: list[Finding],
) -> tuple[dict[str, Field], ...]:
    """The row of an order of type 2 or 3, or one row for each number that the profile gives.

    Lines stand one below the other, each line break as one line feed. Where the lines have
    different names, a line begins with its own; a unit follows its value. An imaging order's one
    number in mSv is the radiation dose (r13). A text that does not fit all nine fields, and a
    reagent that cannot be told, are errors.
    """
    given = {line.item_number for line in order_result.lines if line.number_origin != "sequence"}
    fixed = closed_numbers(order_result.order_code)
    common = int(next(iter(fixed), "1")) if len(fixed) < 2 else 0
    if len(given) == 1:
        (common,) = given
    groups: dict[int, list[ResolvedLine]] = {}
    for line in order_result.lines:
        number = common if line.number_origin == "sequence" else line.item_number
        groups.setdefault(number, []).append(line)
    return tuple(
        _row(report, order_result.order_code, number, lines, report_type, profile, findings)
        for number, lines in groups.items()
    )


def put_remark(
    row: dict[str, Field], notes: Sequence[str], place: str, findings: list[Finding]
) -> None:
    """r11 is optional: a remark that cannot be written is left out and reported, never a reason
    to hold the result."""
    text, problems = fit_text(" ".join(" ".join(notes).split()), "r11")
    if problems or cp950_length(text) > FIELD_LIMIT:
        findings.append(Finding("remark-left-out", "r11", place, "", Severity.WARNING))
    elif text:
        row["r11"] = Field(text, place)


def _row(
    report: LabReport,
    code: str,
    number: int,
    lines: list[ResolvedLine],
    report_type: str,
    profile: SourceProfile,
    findings: list[Finding],
) -> dict[str, Field]:
    first = lines[0].observation
    row: dict[str, Field] = {}
    if number:
        given = (line.number_origin for line in lines if line.number_origin != "sequence")
        row["r1"] = Field(str(number), next(given, _WHOLE_REPORT))
    else:
        _put_number(row, report, code, lines, profile, findings)
    if report_type == "3":
        _put_name_and_method(row, code, lines, profile, findings)
    dose = _dose(lines) if report_type == "2" else None
    if dose is not None:
        row["r13"] = Field(dose.value.strip(), line_places(dose.place).value)
    text = _text([line for line in lines if line.observation is not dose])
    _put_text(row, text, report_type, line_places(first.place).value, findings)
    notes = [note for line in lines for note in line.observation.notes]
    if notes:
        put_remark(row, notes, f"{first.place}.notes", findings)
    return row


def _put_number(
    row: dict[str, Field],
    report: LabReport,
    code: str,
    lines: list[ResolvedLine],
    profile: SourceProfile,
    findings: list[Finding],
) -> None:
    """r1 of an order whose row numbers name reagents: as the report names it."""
    said = _fold(
        " ".join(
            (
                *(coding.display or coding.code for coding in report.service),
                *(line.item_name for line in lines),
                *(line.observation.method or profile.default_method for line in lines),
                *(line.observation.value for line in lines),
            )
        )
    )
    reagents = named_reagents(code)
    named = [each for each in reagents if any(_fold(word) in said for word in each.words)]
    if len(named) == 1:
        row["r1"] = Field(named[0].number, "reagents")
        return
    listed = ", ".join(each.name for each in reagents)
    parameters = (("order_code", code), ("reagents", listed))
    place = lines[0].observation.place
    findings.append(Finding("reagent-unknown", "r1", place, parameters=parameters))


def _put_name_and_method(
    row: dict[str, Field],
    code: str,
    lines: list[ResolvedLine],
    profile: SourceProfile,
    findings: list[Finding],
) -> None:
    first = lines[0].observation
    names = dict.fromkeys(line.item_name for line in lines if line.item_name)
    official = programme_item(code, row["r1"].value) if "r1" in row else None
    listed = catalogue_order_code(code)
    if official is not None and official.name:
        _put(row, "r2", official.name, "programme-items", first, findings)
    elif len(names) == 1:
        named = next(line for line in lines if line.item_name)
        _put(row, "r2", named.item_name, named.origin, first, findings)
    elif listed is not None:
        _put(row, "r2", listed.name_zh, "order-codes", first, findings)
    methods = dict.fromkeys(method for line in lines if (method := line.observation.method.strip()))
    if methods:
        _put(row, "r3", "; ".join(methods), line_places(first.place).method, first, findings)
    elif profile.default_method:
        _put(row, "r3", profile.default_method, "profile.default_method", first, findings)


def _dose(lines: list[ResolvedLine]) -> Observation | None:
    """The one line that is a number in millisievert; with two nobody could say which is meant."""
    found = [
        line.observation
        for line in lines
        if line.observation.unit.strip().casefold() in _DOSE_UNITS
        and parse_decimal(line.observation.value.strip()) is not None
    ]
    return found[0] if len(found) == 1 else None


def _text(lines: list[ResolvedLine]) -> str:
    several = len({line.item_name for line in lines}) > 1
    parts: list[str] = []
    heading = ""
    for line in lines:
        text = line.observation.value.replace("\r\n", "\n").replace("\r", "\n")
        if text and line.observation.unit:
            text = f"{text} {line.observation.unit}"
        if several and line.item_name and line.item_name != heading:
            heading = line.item_name
            text = f"{heading}:\n{text}" if "\n" in text else f"{heading}: {text}"
        parts.append(text)
    return "\n".join(parts)


def _put_text(
    row: dict[str, Field], text: str, report_type: str, origin: str, findings: list[Finding]
) -> None:
    tags = text_tags(report_type)
    fitted, problems = fit_text(text, tags[0])
    findings += (replace(problem, place=origin) for problem in problems)
    parts = split_text(fitted, report_type)
    if parts is None:
        limit = str(FIELD_LIMIT * len(tags))
        parameters = (("length", str(cp950_length(fitted))), ("limit", limit))
        findings.append(Finding("report-text-too-long", tags[0], origin, parameters=parameters))
        parts = {tags[0]: fitted}
    row.update((tag, Field(part, origin)) for tag, part in parts.items())


def _put(
    row: dict[str, Field],
    tag: str,
    text: str,
    origin: str,
    observation: Observation,
    findings: list[Finding],
) -> None:
    fitted, problems = fit_text(text, tag)
    row[tag] = Field(fitted, origin)
    findings += (replace(problem, place=observation.place) for problem in problems)


def _fold(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
