"""The special programmes as data: rows with rules of their own (SPEC114 tables 4, 5, 8, 10-14)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from mapping.catalogue.table_files import read_table, split_cell

_TEMPLATED = frozenset(f"3030{number}B" for number in range(1, 8))


@dataclass(frozen=True, slots=True)
class ProgrammeItem:
    """A row whose value has a rule of its own (SPEC114 tables 4, 5, 8, 10-14).

    ``kind``: number, code, code-list, word, date, institution, text, report-code. ``decimals`` is
    the most digits after the point, ``None`` where nothing is printed. ``blank`` are the tags
    that must be left out. ``positive``: the number must be above zero; ``interval``: its first
    and last allowed value.
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
    positive: bool = False
    interval: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Companion:
    """Row ``needs`` (r1) must be there when row ``number`` of the order holds ``value``."""

    number: str
    value: str
    needs: str


@dataclass(frozen=True, slots=True)
class NamedReagent:
    """A row number (r1) that names a reagent, and the clones by which reports call it."""

    number: str
    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportHeading:
    """A headed part of a report template; any of ``words`` marks it."""

    name: str
    words: tuple[str, ...]
    tissue_only: bool


@dataclass(frozen=True, slots=True)
class ImplantOperation:
    """The operations and approaches (r3, second and third character) of an implant order."""

    operations: frozenset[str]
    approaches: frozenset[str]


@dataclass(frozen=True, slots=True)
class ImplantMethod:
    """One character of r3 of an implant row: ``place`` 1 side, 2 operation, 3 approach; ``joint``
    is ``knee``, ``hip`` or ``""`` for both."""

    place: int
    joint: str
    code: str
    name_zh: str
    name_en: str


def programme_item(code: str, number: str) -> ProgrammeItem | None:
    """The rule of row ``number`` (r1) of an order code of a special programme."""
    rows = _programme_items().get(code)
    return rows.get(number) if rows else None


def has_programme(code: str) -> bool:
    """Whether any row of the order code has a rule of its own."""
    return code in _programme_items()


def programme_items(code: str) -> tuple[ProgrammeItem, ...]:
    """The rows of an order code that have rules of their own, in the order of the tables."""
    return tuple(_programme_items().get(code, {}).values())


def closed_numbers(code: str) -> frozenset[str]:
    """The only row numbers (r1) that the order code may have; empty where others may stand."""
    return _closed_numbers().get(code, frozenset())


@cache
def companions(code: str) -> tuple[Companion, ...]:
    """Rows of the order code that the value of another row makes mandatory (SPEC114 p. 55)."""
    return tuple(
        Companion(row["number"], row["value"], row["needs"])
        for row in read_table("programme-companions")
        if row["order_code"] == code
    )


@cache
def named_reagents(code: str) -> tuple[NamedReagent, ...]:
    """The reagents that the row numbers of the order code name (SPEC114 table 10, p. 61)."""
    return tuple(
        NamedReagent(row["number"], row["name"], split_cell(row["words"]))
        for row in read_table("reagents")
        if row["order_code"] == code
    )


@cache
def report_headings() -> tuple[ReportHeading, ...]:
    """The headed parts of an NGS report (SPEC114 table 13, pp. 62-63)."""
    return tuple(
        ReportHeading(row["name"], split_cell(row["words"]), row["tissue"] == "yes")
        for row in read_table("report-headings")
    )


def has_report_template(code: str) -> bool:
    """Whether the report text of the order code must have the headed parts (NGS)."""
    return code in _TEMPLATED


def implant_operation(code: str) -> ImplantOperation | None:
    """What r3 may say for an implant order code (SPEC114 pp. 46-48), or ``None``."""
    return _implant_operations().get(code)


@cache
def implant_orders() -> tuple[str, ...]:
    """The order codes of joint implants."""
    return tuple(_implant_operations())


@cache
def implant_methods() -> tuple[ImplantMethod, ...]:
    """What each character of r3 of an implant row means (SPEC114 p. 10)."""
    return tuple(
        ImplantMethod(int(row["place"]), row["joint"], row["code"], row["name_zh"], row["name_en"])
        for row in read_table("implant-methods")
    )


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
            frozenset(split_cell(row["values"])),
            row["unit"],
            split_cell(row["blank"]),
            row["range"] == ">0",
            _interval(row["range"]),
        )
    return items


@cache
def _closed_numbers() -> dict[str, frozenset[str]]:
    numbers: dict[str, set[str]] = {}
    for row in read_table("programme-items"):
        if row["closed"]:
            numbers.setdefault(row["order_code"], set()).add(row["number"])
    return {code: frozenset(found) for code, found in numbers.items()}


@cache
def _implant_operations() -> dict[str, ImplantOperation]:
    return {
        row["order_code"]: ImplantOperation(
            frozenset(row["operations"]), frozenset(row["approaches"])
        )
        for row in read_table("implant-operations")
    }


def _interval(cell: str) -> tuple[int, int] | None:
    first, dash, last = cell.partition("-")
    return (int(first), int(last)) if dash else None
