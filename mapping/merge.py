"""A correction repeats the whole order (SPEC114 p. 1, table 7): old rows, overlaid by new."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mapping.big5 import fit_text
from mapping.by_service import BY_SERVICE
from mapping.codes import OrderResult, ResolvedLine
from mapping.record import CORRECTION_KEY, Field, Fields, UploadRecord


def merge_order(
    previous: UploadRecord, current: UploadRecord, withdrawn: Collection[str] = ()
) -> UploadRecord:
    """``previous`` as it stands at NHI, overlaid by what ``current`` says now.

    The twelve key fields stay as in ``previous``, else NHI would take the correction for a
    second order. The rest of the header is ``current``'s. A current row stands in the place of
    the previous row of the same number (r1) and name (r2); rows that only ``previous`` has stay.
    Rows numbered by the lab's order (``sequence``) are recognised by their name, since a message
    with only the changed line counts from 1 again; a row whose number is taken by another name is
    added under the next free number. ``withdrawn`` are numbers (r1) of ``previous``, as
    :func:`withdrawn_numbers` finds them: those rows are left out. Rows stand in the order of r1.
    """
    rows: dict[str, Fields] = {
        _value(row, "r1"): row for row in previous.rows if _value(row, "r1") not in withdrawn
    }
    filled: set[str] = set()
    for row in current.rows:
        number = _number_for(row, rows, filled)
        if number != _value(row, "r1"):
            row = {**row, "r1": Field(number, "sequence")}
        rows[number] = row
        filled.add(number)
    header = dict(current.header)
    for tag in CORRECTION_KEY:
        header.pop(tag, None)
        if tag in previous.header:
            header[tag] = previous.header[tag]
    ordered = sorted(rows.items(), key=lambda item: _rank(item[0]))
    return UploadRecord(header, tuple(row for _, row in ordered))


def withdrawn_numbers(previous: UploadRecord, order_result: OrderResult) -> tuple[str, ...]:
    """The r1 values of ``previous`` that ``order_result`` says the lab took back."""
    numbers = []
    for line in order_result.withdrawn:
        if line.number_origin.startswith(BY_SERVICE):
            known = (row["r1"] for row in previous.rows if "r1" in row)
            numbers += [each.value for each in known if each.origin == line.number_origin]
            continue
        if line.number_origin != "sequence":
            numbers.append(str(line.item_number))
            continue
        name = fit_text(line.item_name, "r2")[0]
        named = [_value(row, "r1") for row in previous.rows if _value(row, "r2") == name]
        numbers += named if name and len(named) == 1 else []
    return tuple(numbers)


def row_names(lines: Iterable[ResolvedLine]) -> frozenset[str]:
    """The names (r2) that the rows of ``lines`` have; the number (r1) of one without a name."""
    return frozenset(fit_text(line.item_name, "r2")[0] or str(line.item_number) for line in lines)


def still_awaited(
    names: Iterable[str], record: UploadRecord | None, order_result: OrderResult | None
) -> frozenset[str]:
    """Of the ``names`` that a laboratory announced, those that ``record`` has no row of and that
    ``order_result`` does not say were given up."""
    awaited = set(names)
    if awaited and order_result is not None:
        awaited -= row_names(order_result.withdrawn)
    if awaited and record is not None:
        for row in record.rows:
            awaited -= {_value(row, "r2") or _value(row, "r1")}
    return frozenset(awaited)


def _number_for(row: Fields, rows: dict[str, Fields], filled: set[str]) -> str:
    number, name = _value(row, "r1"), _value(row, "r2")
    holder = rows.get(number)
    counted = "r1" in row and row["r1"].origin == "sequence"
    if not counted or (holder is not None and _value(holder, "r2") == name):
        return number
    named = [key for key, other in rows.items() if _value(other, "r2") == name]
    if name and len(named) == 1 and named[0] not in filled:
        return named[0]
    if holder is None:
        return number
    highest = max((int(key) for key in rows if key.isdecimal()), default=0)
    return str(highest + 1)


def _value(row: Fields, tag: str) -> str:
    field = row.get(tag)
    return field.value if field else ""


def _rank(number: str) -> tuple[int, str]:
    return (int(number) if number.isdecimal() else 0, number)
