"""Synthetic upload records for the tests: one valid whole, changed in one place at a time."""

from __future__ import annotations

from datetime import date

from mapping.record import Field, UploadRecord
from mapping.rules import RuleContext

UPLOAD_DAY = date(2025, 2, 4)
CONTEXT = RuleContext(today=UPLOAD_DAY)

HEADER = {
    "h1": "1",
    "h2": "3501234567",
    "h3": "11",
    "h4": "11402",
    "h5": "1140203101112",
    "h6": "01",
    "h7": "0001",
    "h8": "1",
    "h9": "A123456789",
    "h10": "0750101",
    "h11": "1140203",
    "h15": "08011C",
    "h20": "1140203101500",
    "h22": "血液",
    "h26": "4",
}
ROW = {
    "r1": "2",
    "r2": "Hemoglobin 血色素",
    "r3": "SLS-Hb",
    "r4": "13.5",
    "r5": "g/dL",
    "r6-1": "12.0",
    "r6-2": "16.0",
    "r9": "B123456780",
    "r10": "1140203151112",
    "r12": "0",
}


def record_of(header: dict[str, str], *rows: dict[str, str]) -> UploadRecord:
    """A record from plain values."""
    return UploadRecord(_fields(header), tuple(_fields(row) for row in rows))


def valid_record(
    header: dict[str, str] | None = None, row: dict[str, str] | None = None
) -> UploadRecord:
    """The valid record with these values set; an empty value takes the field away."""
    return record_of(_changed(HEADER, header or {}), _changed(ROW, row or {}))


def _changed(values: dict[str, str], changes: dict[str, str]) -> dict[str, str]:
    return {tag: value for tag, value in {**values, **changes}.items() if value}


def _fields(values: dict[str, str]) -> dict[str, Field]:
    return {tag: Field(value, "test") for tag, value in values.items()}
