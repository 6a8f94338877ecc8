"""The code tables that ship with the product, read once: dated data, each file with its source.

Each CSV starts with ``#`` lines that name the document and page. Larger lists (the fee schedule,
the institutions) are the operator's imports and never stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from mapping.catalogue.programmes import (
    ProgrammeItem,
    has_programme,
    programme_item,
    programme_items,
)
from mapping.catalogue.table_files import read_table, split_cell

__all__ = [
    "CodeName",
    "OrderCode",
    "ProgrammeItem",
    "ReportItem",
    "code_table",
    "has_programme",
    "loinc_order_codes",
    "order_code",
    "order_codes",
    "programme_item",
    "read_table",
    "report_items",
    "report_type_of",
]


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


def report_type_of(code: str) -> str:
    """The report type (h1) that the tables give the order code, or ``""`` for an unknown one."""
    listed = order_codes().get(code)
    if listed is not None:
        return listed.report_type
    items = programme_items(code)
    return items[0].report_type if items else ""


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


@cache
def _report_items() -> dict[str, tuple[ReportItem, ...]]:
    items: dict[str, list[ReportItem]] = {}
    for row in read_table("report-items"):
        item = ReportItem(
            int(row["number"]), row["name"], split_cell(row["units"]), split_cell(row["words"])
        )
        items.setdefault(row["order_code"], []).append(item)
    return {code: tuple(rows) for code, rows in items.items()}


@cache
def _loinc_links() -> dict[str, tuple[str, ...]]:
    links: dict[str, list[str]] = {}
    for row in read_table("loinc-links"):
        links.setdefault(row["loinc"], []).append(row["order_code"])
    return {loinc: tuple(dict.fromkeys(codes)) for loinc, codes in links.items()}
