"""Whether two upload records can be the same result of one order, told by what they say."""

from __future__ import annotations

from mapping.record import Fields, UploadRecord
from mapping.units import same_unit
from mapping.values import parse_decimal

_TEXTS = ("r7", *(f"r8-{number}" for number in range(1, 10)))
_UNKNOWN_CLOCK = "0000"


def collection_day(record: UploadRecord) -> str:
    """The day of h20 (7 characters), ``""`` where the laboratory did not say one."""
    return collection_time(record)[:7]


def same_collection(one: UploadRecord, other: UploadRecord) -> bool:
    """Whether both can speak of one taking of a specimen: the times agree as far as the less
    precise of them goes (SPEC114 p. 6: 0000 where the clock time is not known)."""
    first, second = collection_time(one), collection_time(other)
    return first.startswith(second) or second.startswith(first)


def contradicts(earlier: UploadRecord, told: UploadRecord) -> bool:
    """Whether a row of ``told`` gives another result than the same row of ``earlier``."""
    return any(
        twin is not None and not _same_result(twin, row)
        for row, twin in ((row, _counterpart(row, earlier)) for row in told.rows)
    )


def covers(earlier: UploadRecord, told: UploadRecord) -> bool:
    """Whether ``earlier`` holds every row of ``told`` with the same result."""
    twins = [(row, _counterpart(row, earlier)) for row in told.rows]
    return all(twin is not None and _same_result(twin, row) for row, twin in twins)


def collection_time(record: UploadRecord) -> str:
    """h20 as far as the laboratory said it (7, 11 or 13 characters), else ``""``."""
    field = record.header.get("h20")
    if field is None or field.origin.startswith("assumed:"):
        return ""
    return bare_time(field.value)


def bare_time(text: str) -> str:
    """A time of 11 or 13 characters without the parts that say nothing: zero seconds, a clock of
    0000."""
    if len(text) == 13:
        return text.removesuffix("00")
    return text[:7] if text[7:] == _UNKNOWN_CLOCK else text


def _counterpart(row: Fields, record: UploadRecord) -> Fields | None:
    """The row of ``record`` with the same number and, where the numbers are only counted, the
    same name."""
    number, name = _value(row, "r1"), _value(row, "r2")
    named = [other for other in record.rows if name and _value(other, "r2") == name]
    for other in record.rows:
        if _value(other, "r1") == number and (other in named or not _counted(row, other)):
            return other
    return named[0] if len(named) == 1 and _counted(row, named[0]) else None


def _counted(*rows: Fields) -> bool:
    return any("r1" in row and row["r1"].origin == "sequence" for row in rows)


def _same_result(one: Fields, other: Fields) -> bool:
    if any(_value(one, tag) != _value(other, tag) for tag in _TEXTS):
        return False
    if not _same_value(_value(one, "r4"), _value(other, "r4")):
        return False
    units = _value(one, "r5"), _value(other, "r5")
    return not all(units) or same_unit(*units)


def _same_value(one: str, other: str) -> bool:
    if one == other:
        return True
    first, second = parse_decimal(one), parse_decimal(other)
    return first is not None and first == second


def _value(fields: Fields, tag: str) -> str:
    field = fields.get(tag)
    return field.value if field else ""
