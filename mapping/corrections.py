"""What a person put right in a record: set as such, and kept when the laboratory speaks again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mapping.big5 import fit_text
from mapping.proposals import Change
from mapping.record import Field, Fields, UploadRecord

PERSON = "person:"

LABORATORYS_WORD = frozenset(
    {"r4", "r4-1", "r5", "r6-1", "r6-2", "r7", *(f"r8-{number}" for number in range(1, 10))}
)
"""Fields that carry what the laboratory said."""
RESULTS = frozenset(LABORATORYS_WORD - {"r5", "r6-1", "r6-2"})
"""Those that carry the result itself: never the same for many records."""


def corrected(record: UploadRecord, changes: Iterable[Change], by: str) -> UploadRecord:
    """``record`` with the changes, each with the provenance ``person:<by>``; an empty value takes
    the field away. Changes of rows that are not there are passed over."""
    header = dict(record.header)
    rows = [dict(row) for row in record.rows]
    for change in changes:
        if change.row > len(rows):
            continue
        level = rows[change.row - 1] if change.row else header
        value = fit_text(change.value, change.tag)[0]
        level.pop(change.tag, None)
        if value:
            level[change.tag] = Field(value, f"{PERSON}{by}")
    return UploadRecord(header, tuple(rows))


def carry_corrections(
    told: UploadRecord, fixed: UploadRecord, replaced: Sequence[UploadRecord]
) -> UploadRecord:
    """``told`` with the fields that a person set in ``fixed``, as far as ``told`` still says what
    they stand for: the value of one of the versions that were ``replaced``, or nothing.

    Rows are known again by r1.
    """
    header = _carry(told.header, fixed.header, [each.header for each in replaced])
    fixed_rows = {_number(row): row for row in fixed.rows}
    rows = []
    for row in told.rows:
        number = _number(row)
        earlier = [other for each in replaced for other in each.rows if _number(other) == number]
        rows.append(_carry(row, fixed_rows.get(number, {}), earlier))
    return UploadRecord(header, tuple(rows))


def _carry(told: Fields, fixed: Fields, replaced: Sequence[Fields]) -> Fields:
    kept = {
        tag: field
        for tag, field in fixed.items()
        if field.origin.startswith(PERSON)
        and _value(told, tag) in {_value(each, tag) for each in replaced}
    }
    return {**told, **kept} if kept else told


def _value(fields: Fields, tag: str) -> str:
    return fields[tag].value if tag in fields else ""


def _number(row: Fields) -> str:
    return _value(row, "r1")
