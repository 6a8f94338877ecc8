"""The gateway's own tables, read once from the CSV files beside this module."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

TEXT_FIELDS = frozenset(
    ("h22", "r2", "r3", "r4", "r5", "r6-1", "r6-2", "r7", "r11", "r8-1", "r8-2", "r8-3", "r8-4")
) | frozenset(("r8-5", "r8-6", "r8-7", "r8-8", "r8-9"))
"""Where the five special characters of XML must be full-width (SPEC114 p. 2)."""


@dataclass(frozen=True, slots=True)
class FieldForm:
    """One row of ``fields.csv``; ``length`` in characters, or bytes for text."""

    tag: str
    part: str
    length: int
    form: str
    required: str
    missing: str
    wrong: str


@dataclass(frozen=True, slots=True)
class ProgrammeValue:
    """In row ``row`` (r1, or ``*``) field ``tag`` must match ``pattern``, else ``code``."""

    row: str
    tag: str
    code: str
    pattern: str


@cache
def field_forms() -> dict[str, FieldForm]:
    """All fields by tag, in the order of the document."""
    return {
        row["tag"]: FieldForm(
            row["tag"],
            row["part"],
            int(row["length"]),
            row["form"],
            row["required"],
            row["missing"],
            row["wrong"],
        )
        for row in _rows("fields.csv")
    }


@cache
def code_values() -> dict[str, frozenset[str]]:
    """The allowed values of each coded field."""
    values: dict[str, set[str]] = {}
    for row in _rows("code_values.csv"):
        values.setdefault(row["field"], set()).add(row["value"])
    return {field: frozenset(allowed) for field, allowed in values.items()}


@cache
def report_types() -> dict[str, str]:
    """Report type (h1) by order code."""
    return {row["order_code"]: row["report_type"] for row in _rows("order_codes.csv")}


@cache
def programme_values() -> dict[str, tuple[ProgrammeValue, ...]]:
    """The forms of rows that special programmes fix, by order code, in the order of the file."""
    forms: dict[str, list[ProgrammeValue]] = {}
    for row in _rows("programme_values.csv"):
        form = ProgrammeValue(row["row"], row["field"], row["code"], row["pattern"])
        for code in row["order_codes"].split("|"):
            forms.setdefault(code, []).append(form)
    return {code: tuple(found) for code, found in forms.items()}


@cache
def check_texts() -> dict[str, str]:
    """The printed text of each check code."""
    return {row["code"]: row["text"] for row in _rows("check_codes.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    text = (resources.files("broker.sandbox") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
