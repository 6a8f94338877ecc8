"""The code tables that ship with the product, read once: dated data, each file with its source.

Each CSV starts with ``#`` lines that name the document and page. Larger lists (the fee schedule,
the institutions) are the operator's imports and never stand here.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class OrderCode:
    """An order code in scope (SPEC114 table 3) and the report type (h1) that it belongs to."""

    code: str
    report_type: str
    name_zh: str


@dataclass(frozen=True, slots=True)
class ReportItem:
    """An official result row (SPEC114 table 9).

    ``words`` are the accepted r4 words and ``units`` the accepted r5 units; empty means that the
    table names none. ``name`` is as printed and may hold characters outside Big5.
    """

    number: int
    name: str
    units: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProgrammeItem:
    """A row whose value has a rule of its own (SPEC114 tables 4, 5, 8, 11, 12).

    ``kind``: number, code, code-list, word, date, institution, text, report-code. ``decimals`` is
    the most digits after the point, ``None`` where nothing is printed. ``blank`` are the tags
    that must be left out.
    """

    order_code: str
    report_type: str
    number: str
    name: str
    kind: str
    decimals: int | None
    values: frozenset[str]
    unit: str
    blank: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeName:
    """A code of a code table with its names."""

    code: str
    name_zh: str
    name_en: str


def order_code(code: str) -> OrderCode | None:
    """The order code as table 3 lists it, or ``None`` when it is outside the list."""
    return order_codes().get(code)


@cache
def order_codes() -> Mapping[str, OrderCode]:
    """All 708 order codes in scope."""
    return MappingProxyType(
        {
            row["order_code"]: OrderCode(row["order_code"], row["report_type"], row["name_zh"])
            for row in read_table("order-codes")
        }
    )


def report_items(code: str) -> tuple[ReportItem, ...]:
    """The official rows of an order code in their order; empty when table 9 does not name it."""
    return _report_items().get(code, ())


def loinc_order_codes(loinc: str) -> tuple[str, ...]:
    """The order codes that NHI links to a LOINC code, in the order of the official map."""
    return _loinc_links().get(loinc, ())


def programme_item(code: str, number: str) -> ProgrammeItem | None:
    """The rule of row ``number`` (r1) of an order code of a special programme."""
    rows = _programme_items().get(code)
    return rows.get(number) if rows else None


def has_programme(code: str) -> bool:
    """Whether any row of the order code has a rule of its own."""
    return code in _programme_items()


@cache
def code_table(name: str) -> Mapping[str, CodeName]:
    """A table of codes with names, such as ``visit-types`` or ``nhi-codes``. ``KeyError`` never:
    an unknown name is a ``FileNotFoundError``."""
    return MappingProxyType(
        {
            row["code"]: CodeName(row["code"], row["name_zh"], row["name_en"])
            for row in read_table(name)
        }
    )


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of ``mapping/catalogue/<name>.csv`` without its comment lines."""
    text = (resources.files("mapping") / "catalogue" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if line[:1] != "#"))


@cache
def _report_items() -> dict[str, tuple[ReportItem, ...]]:
    items: dict[str, list[ReportItem]] = {}
    for row in read_table("report-items"):
        item = ReportItem(
            int(row["number"]), row["name"], _split(row["units"]), _split(row["words"])
        )
        items.setdefault(row["order_code"], []).append(item)
    return {code: tuple(rows) for code, rows in items.items()}


@cache
def _loinc_links() -> dict[str, tuple[str, ...]]:
    links: dict[str, list[str]] = {}
    for row in read_table("loinc-links"):
        links.setdefault(row["loinc"], []).append(row["order_code"])
    return {loinc: tuple(dict.fromkeys(codes)) for loinc, codes in links.items()}


@cache
def _programme_items() -> dict[str, dict[str, ProgrammeItem]]:
    items: dict[str, dict[str, ProgrammeItem]] = {}
    for row in read_table("programme-items"):
        items.setdefault(row["order_code"], {})[row["number"]] = ProgrammeItem(
            row["order_code"],
            row["report_type"],
            row["number"],
            row["name"],
            row["kind"],
            int(row["decimals"]) if row["decimals"] else None,
            frozenset(_split(row["values"])),
            row["unit"],
            _split(row["blank"]),
        )
    return items


def _split(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("|")) if cell else ()
