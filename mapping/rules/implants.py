"""Rows of report type 4, joint implants (SPEC114 tables 4 and 5, pp. 9-11, 45-48).

Row 1 height, 2 weight, 3 ASA class, 4 and 5 the operated sides with the bar codes of all implants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mapping.catalogue.programmes import implant_operation
from mapping.finding import Finding, Severity
from mapping.rules.barcodes import bar_code_problem, bracketed_gs1

MOST_BAR_CODES = 20
SEPARATOR = ";"
"""Between the bar codes of one row, without spaces."""
_APPROACH_ROWS = ("4", "5")
_REQUIRED_ROWS = ("1", "2", "3", "4")
_SIDES = frozenset("LR")


def implant_findings(
    header: Mapping[str, str], rows: Sequence[Mapping[str, str]]
) -> Iterator[Finding]:
    """Codes 01 and 03 of r3, A1-C3, D1 and D2 of the bar codes, D3 of the order as a whole.

    A bar code's finding holds that one bar code as its value and its number in the row as the
    parameter ``item``. A GS1 bar code as a scanner gives it, without brackets, is a warning: NHI
    would take it for a maker's code. Bar codes must not expire before the month of execution
    (h4), which stands for the fee month here: the daily file has none.
    """
    numbers = {row.get("r1", "").lstrip("0") for row in rows}
    missing = [number for number in _REQUIRED_ROWS if number not in numbers]
    if missing:
        yield Finding("D3", "r1", "hdata", parameters=(("missing", ", ".join(missing)),))
    month = _common_era(header.get("h4", ""))
    sides: dict[str, str] = {}
    for index, row in enumerate(rows, start=1):
        if row.get("r1", "").lstrip("0") not in _APPROACH_ROWS:
            continue
        place = f"rdata[{index}]"
        approach = row.get("r3", "")
        if approach:
            yield from _approach_findings(header.get("h15", ""), approach, place)
            first = sides.setdefault(approach[0], place)
            if first != place:
                twin = (("first", first),)
                yield Finding("repeated-side", "r3", place, approach, Severity.WARNING, twin)
        else:
            parameters = (("count", "1"),)
            yield Finding("expected-field-empty", "r3", place, "", Severity.WARNING, parameters)
        if row.get("r4"):
            yield from _bar_code_findings(row["r4"], month, place)


def _approach_findings(order_code: str, approach: str, place: str) -> Iterator[Finding]:
    operation = implant_operation(order_code)
    if operation is None:
        return
    if len(approach) != 3:
        measure = (("measure", f"({len(approach)} ≠ 3)"),)
        yield Finding("01", "r3", place, approach, parameters=measure)
    elif (
        approach[0] not in _SIDES
        or approach[1] not in operation.operations
        or approach[2] not in operation.approaches
    ):
        parts = ("LR", operation.operations, operation.approaches)
        allowed = (("allowed", f": {' + '.join('/'.join(sorted(each)) for each in parts)}"),)
        yield Finding("03", "r3", place, approach, parameters=allowed)


def _bar_code_findings(text: str, month: str, place: str) -> Iterator[Finding]:
    items = text.split(SEPARATOR)
    if len(items) > MOST_BAR_CODES:
        parameters = (("count", str(len(items))),)
        yield Finding("D2", "r4", place, text, parameters=parameters)
    for number, item in enumerate(items, start=1):
        about = (("item", str(number)),)
        if problem := bar_code_problem(item, month):
            yield Finding(problem, "r4", place, item, parameters=about)
        if written := bracketed_gs1(item):
            told = (*about, ("written", written))
            yield Finding("bar-code-raw-scan", "r4", place, item, Severity.WARNING, told)


def _common_era(month: str) -> str:
    """``11402`` → ``202502``; ``""`` for what is no month."""
    if len(month) == 5 and month.isascii() and month.isdigit():
        return f"{int(month[:3]) + 1911}{month[3:]}"
    return ""
