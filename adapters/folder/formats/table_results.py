"""Tables of results, one row for each line or each specimen → reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from adapters.folder.formats.csv_group import SHARED, Group
from adapters.folder.formats.csv_layout import refuse_table
from adapters.folder.formats.csv_words import STATUS_WORDS
from adapters.folder.formats.table_layout import TableLayout
from adapters.folder.formats.table_rows import Rows
from mapping.file_profile import FileProfile, TableFormat
from mapping.finding import Finding, Severity
from mapping.parsed import Content, ParsedPayload
from mapping.reference_range import parse_reference_range
from mapping.report import Coding, LabReport, Observation, ReferenceRange

LINE = (
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
"""Columns whose cells are of one line alone."""
# Analysers count from 1 each morning: a short number may name several people's specimens.
_SHORTEST_LASTING_NUMBER = 6
_MAX_FINDINGS = 1000
_FORMULA = '="'
# Their fields have names or ranges, whatever stands in the first rows.
_OWN_HEADER = (TableFormat.DBF, TableFormat.FIXED)
_ORDER_CODE = SHARED.index("order_code")


def read_results(rows: Rows, profile: FileProfile, kind: TableFormat) -> ParsedPayload:
    """Read the results of a table.

    Rows that agree in all columns of ``csv_group.SHARED`` (patient, numbers, order code, specimen,
    times) become one report, in the order of their first row. Cells of texts and values are kept
    to the character. A row that cannot be used is a finding and the others go on. Raises
    UnreadablePayload where the header is unusable.
    """
    reading = _Reading(profile, kind)
    reading.read(rows)
    findings, groups = reading.findings, [*reading.groups.values()]
    groups = [group for group in groups if group.lines]
    reports = _reports(groups, findings)
    if not groups and not any(f.severity is Severity.ERROR for f in findings):
        findings.append(Finding("csv-no-rows", "", "file", "", Severity.INFORMATION))
    if len(findings) > _MAX_FINDINGS:
        left = str(len(findings) - _MAX_FINDINGS)
        more = Finding("csv-more-findings", place="file", parameters=(("count", left),))
        findings = [*findings[:_MAX_FINDINGS], *_holding(findings[_MAX_FINDINGS:], reports), more]
    content = Content.REPORTS if reports else Content.NOTHING
    return ParsedPayload(content, reports, findings=tuple(findings), kind=kind.value)


@dataclass(slots=True)
class _Reading:
    """The rows of one table on their way into groups."""

    profile: FileProfile
    kind: TableFormat
    findings: list[Finding] = field(default_factory=list)
    groups: dict[tuple[str, ...], Group] = field(default_factory=dict)
    # A file names the same few examinations again and again.
    items: dict[tuple[str, str], tuple[Coding, ...]] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)

    def read(self, rows: Rows) -> None:
        header = self._header(rows)
        layout = TableLayout(self.profile, header, SHARED, LINE)
        for index in layout.ignored:
            if header is not None and header[index].strip():
                place = f"row {self.profile.header_row}"
                self.findings.append(
                    Finding("csv-column-ignored", "", place, header[index], Severity.INFORMATION)
                )
        exact = self.kind is TableFormat.CSV and header is not None and not layout.has_sections
        sections, filters = layout.has_sections, bool(self.profile.filters)
        formulas = self.kind is TableFormat.CSV
        width, wide = layout.width, bool(self.profile.items)
        single = layout.getters[0]
        for number, row, fault in rows:
            if not fault and not any(row):
                continue
            if len(row) != width:
                if exact or any(cell.strip() for cell in row[width:]):
                    self.findings.append(_ragged(number, len(row), width))
                    continue
                del row[width:]
                row += [""] * (width - len(row))
            if sections and not fault and layout.opens_section(row):
                continue
            if filters and not fault and layout.leaves_out(row):
                self.passed_over["table-rows-left-out"] += 1
                continue
            if header is not None and row == header:
                # Printed lists repeat it on each page.
                continue
            if not fault and formulas and (formula := _formula(row)):
                self.findings.append(Finding("csv-formula-cell", "", f"row {number}", formula))
                continue
            if fault or not layout.in_section:
                self.findings.append(Finding(fault or "table-no-section", "", f"row {number}"))
                continue
            layout.extend(row)
            if not wide:
                self._add(number, single[0](row), single[1](row))
                continue
            for index, (shared_of, line_of) in zip(
                layout.value_indices, layout.getters, strict=True
            ):
                # No result where the cell is empty: that examination was not asked for.
                if row[index].strip():
                    self._add(number, shared_of(row), line_of(row))
        for code, count in self.passed_over.items():
            counted = (("count", str(count)),)
            self.findings.append(Finding(code, "", "file", "", Severity.INFORMATION, counted))

    def _header(self, rows: Rows) -> list[str] | None:
        if self.kind in _OWN_HEADER:
            return next(rows)[1]
        wanted = self.profile.header_row
        if not wanted:
            return None
        for number, cells, _ in rows:
            if number >= wanted and (number == wanted or any(cells)):
                return cells
        if wanted == 1:
            raise refuse_table("it is empty", "內容是空的", "row 1")
        raise refuse_table("it ends before its header row", "檔案在標題列之前結束", f"row {wanted}")

    def _add(self, number: int, shared: tuple[str, ...], cells: tuple[str, ...]) -> None:
        group = self.groups.get(shared)
        if group is None:
            group = self.groups[shared] = Group(shared)
        item = cells[0], cells[1]
        codings = self.items.get(item)
        if codings is None:
            codings = self.items[item] = _codings(*item)
        line = _line(cells, codings, group, number)
        if isinstance(line, Finding):
            self.findings.append(line)
            return
        if not group.rows or group.rows[-1] != number:
            group.rows.append(number)
        group.lines.append(line)


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
