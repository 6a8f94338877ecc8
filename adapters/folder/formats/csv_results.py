"""Result files as CSV: one row for each result line. The layout is in ``csv_layout``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import cast

from adapters.folder.formats.csv_group import SHARED, Group
from adapters.folder.formats.csv_layout import Header, read_header
from adapters.folder.formats.csv_text import csv_rows, csv_text
from adapters.folder.formats.csv_words import STATUS_WORDS
from adapters.folder.formats.errors import CsvUnreadable
from mapping.finding import Finding, Severity
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.reference_range import parse_reference_range
from mapping.report import Coding, LabReport, Observation, ReferenceRange

_LINE = (
    "item_code",
    "item_name",
    "value",
    "unit",
    "reference",
    "low",
    "high",
    "flag",
    "status",
    "method",
)
# Analysers count from 1 each morning: a short number may name several people's specimens.
_SHORTEST_LASTING_NUMBER = 6
_MAX_FINDINGS = 1000
_FORMULA = '="'
_ORDER_CODE = SHARED.index("order_code")


def read_csv(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read a result CSV.

    Rows that agree in all columns of ``csv_group.SHARED`` (patient, numbers, order code, specimen,
    times) become one report, in the order of their first row. Cells of texts and values are kept
    to the character. A row that cannot be used is a finding and the others go on. Raises
    UnreadablePayload where the encoding, the header or the quoting is unusable.
    """
    delimiter = profile.csv.delimiter or ","
    text = csv_text(raw, profile.csv.encoding, delimiter)
    rows = csv_rows(text, delimiter)
    cells = next(rows, None)
    if cells is None:
        raise CsvUnreadable(reason="it is empty", reason_zh="內容是空的", place="row 1")
    header = read_header(cells, profile.csv.columns)
    findings = [
        Finding("csv-column-ignored", "", "row 1", cells[index], Severity.INFORMATION)
        for index in header.ignored
        if cells[index].strip()
    ]
    groups = _read_rows(rows, header, findings, may_hold_formulas=_FORMULA in text)
    reports = _reports(groups, findings)
    if not groups and not any(f.severity is Severity.ERROR for f in findings):
        findings.append(Finding("csv-no-rows", "", "file", "", Severity.INFORMATION))
    if len(findings) > _MAX_FINDINGS:
        left = str(len(findings) - _MAX_FINDINGS)
        more = Finding("csv-more-findings", place="file", parameters=(("count", left),))
        findings = [*findings[:_MAX_FINDINGS], *_holding(findings[_MAX_FINDINGS:], reports), more]
    content = Content.REPORTS if reports else Content.NOTHING
    return ParsedPayload(content, reports, findings=tuple(findings), kind="csv")


def _read_rows(
    rows: Iterator[list[str]],
    header: Header,
    findings: list[Finding],
    *,
    may_hold_formulas: bool,
) -> list[Group]:
    width = header.width
    shared_of, line_of = _getter(SHARED, header), _getter(_LINE, header)
    groups: dict[tuple[str, ...], Group] = {}
    # A file names the same few examinations again and again.
    items: dict[tuple[str, str], tuple[Coding, ...]] = {}
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) != width:
            findings.append(_ragged(number, len(row), width))
            continue
        if may_hold_formulas and (formula := _formula(row)):
            findings.append(Finding("csv-formula-cell", "", f"row {number}", formula))
            continue
        row.append("")
        shared = shared_of(row)
        group = groups.get(shared)
        if group is None:
            group = groups[shared] = Group(shared)
        cells = line_of(row)
        item = cells[0], cells[1]
        codings = items.get(item)
        if codings is None:
            codings = items[item] = _codings(*item)
        line = _line(cells, codings, group, number)
        if isinstance(line, Finding):
            findings.append(line)
            continue
        group.rows.append(number)
        group.lines.append(line)
    return [group for group in groups.values() if group.lines]


def _getter(columns: tuple[str, ...], header: Header) -> Callable[[list[str]], tuple[str, ...]]:
    """The cells of ``columns``; the empty cell behind a row stands for a missing column."""
    places = (header.position.get(column, header.width) for column in columns)
    return cast("Callable[[list[str]], tuple[str, ...]]", itemgetter(*places))


def _codings(code: str, name: str) -> tuple[Coding, ...]:
    code = code.strip()
    return (Coding(code, name),) if code or name.strip() else ()


def _line(
    cells: tuple[str, ...], codings: tuple[Coding, ...], group: Group, number: int
) -> Observation | Finding:
    _, _, value, unit, reference, low, high, flag, status_word, method = cells
    place = f"row {number}"
    status = STATUS_WORDS.get(status_word)
    if status is None:
        status = STATUS_WORDS.get(status_word.strip().casefold())
        if status is None:
            return Finding("csv-unknown-status", "", place, status_word)
    if not codings and not group.shared[_ORDER_CODE].strip():
        return Finding("csv-no-item", "", place)
    if (low or high) and (low.strip() or high.strip()):
        bounds = ReferenceRange(low, high, "", reference)
    else:
        bounds = parse_reference_range(reference, group.patient.sex)
    flag = flag.strip()
    return Observation(
        codings=codings,
        value=value,
        unit=unit,
        reference=bounds,
        abnormal_flags=(flag,) if flag else (),
        status=status,
        method=method,
        place=place,
    )


def _formula(row: list[str]) -> str:
    """A cell that a spreadsheet wrote as a formula (``="0012"``): the value is inside, unread."""
    return next((cell for cell in row if cell.startswith(_FORMULA)), "")


def _reports(groups: list[Group], findings: list[Finding]) -> tuple[LabReport, ...]:
    disputed = _disputed_numbers(groups)
    reports = []
    for group in groups:
        findings += group.findings()
        if disputed.intersection(group.numbers):
            findings.append(Finding("csv-patient-conflict", place=group.place))
        elif not group.patient.national_id and not group.numbers:
            findings.append(Finding("csv-no-patient", place=group.place))
        else:
            reports.append(group.report())
    return tuple(reports)


def _holding(findings: list[Finding], reports: tuple[LabReport, ...]) -> list[Finding]:
    """One error for each report that has any: none of them may be lost among many."""
    places = {report.place for report in reports}
    errors = (each for each in reversed(findings) if each.severity is Severity.ERROR)
    return [*reversed({each.place: each for each in errors if each.place in places}.values())]


def _disputed_numbers(groups: list[Group]) -> frozenset[str]:
    """Numbers under which the file has results of two people: one of them would be wrong."""
    people: dict[str, set[str]] = {}
    for group in groups:
        if group.patient.national_id:
            for number in group.numbers:
                people.setdefault(number, set()).add(group.patient.national_id)
    return frozenset(
        number
        for number, ids in people.items()
        if len(ids) > 1 and len(number) >= _SHORTEST_LASTING_NUMBER
    )


def _ragged(number: int, found: int, expected: int) -> Finding:
    counts = (("found", str(found)), ("expected", str(expected)))
    return Finding("csv-ragged-row", place=f"row {number}", parameters=counts)
