"""How one sender lays out its result files: data, no code.

A place is the header text of a column, its number from 1, or, in files of fixed width, the range
``11-20``. Several places make one cell, a blank between them: a day and its time of day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

RESULT_COLUMNS = (
    "national_id",
    "birth_on",
    "name",
    "sex",
    "clinic_code",
    "placer_order_number",
    "accession_number",
    "order_code",
    "item_code",
    "item_name",
    "value",
    "unit",
    "reference",
    "low",
    "high",
    "flag",
    "status",
    "specimen",
    "collected_at",
    "received_at",
    "reported_at",
    "method",
)
"""Our names for what one row of a result file tells."""

DATE_COLUMNS = frozenset({"birth_on", "collected_at", "received_at", "reported_at"})

Place: TypeAlias = str | int
Places: TypeAlias = tuple[Place, ...]


class TableFormat(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    DBF = "dbf"
    FIXED = "fixed"


class DateOrder(StrEnum):
    """How dates are written that could mean two days. ``PLAIN``: none of them is."""

    PLAIN = ""
    ROC = "roc"
    """Years of the Republic in two or three digits: ``99/8/14``, ``990814``."""
    MDY = "mdy"
    DMY = "dmy"
    YMD = "ymd"
    """Two digits of the year 20xx first: ``26-08-14``, ``260814``."""


class Count(StrEnum):
    """What the ranges of a file of fixed width count."""

    BYTES = "bytes"
    CHARACTERS = "characters"


@dataclass(frozen=True, slots=True)
class Sections:
    """Rows that open a section (``***`` in the first column): what they say holds for all rows
    until the next one."""

    mark: str
    column: Place = 1
    columns: Mapping[str, Places] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows that are no results here. With ``keep`` all others are left out, with ``drop`` these.
    A text that ends in ``*`` means all that begin so; ``""`` means an empty cell."""

    column: Place
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WideItem:
    """One examination in a column of its own, in files with one row for each specimen."""

    place: Place
    texts: Mapping[str, str]
    """``item_code``, ``item_name``, ``order_code``, ``unit``, ``reference``, ``method`` …"""


@dataclass(frozen=True, slots=True)
class FileProfile:
    """The layout of a source's files. ``header_row`` 0 means that there is none; for files of
    fixed width it is the number of lines before the first result."""

    format: TableFormat | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    sheet: Place = ""
    """Name or number of the sheet; ``""`` the first that is shown."""
    header_row: int = 1
    dates: DateOrder = DateOrder.PLAIN
    counts: Count = Count.BYTES
    columns: Mapping[str, Places] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    """What no column says and is the same in every row."""
    sections: Sections | None = None
    filters: tuple[RowFilter, ...] = ()
    items: tuple[WideItem, ...] = ()
    only_named: bool = False
    """Header texts that are not named mean nothing, even where they are usual ones."""

    def places(self) -> tuple[Place, ...]:
        """Every place that is named, each once, in the order of the profile."""
        named = [place for places in self.columns.values() for place in places]
        if self.sections is not None:
            named.append(self.sections.column)
            named += [place for places in self.sections.columns.values() for place in places]
        named += [each.column for each in self.filters]
        named += [each.place for each in self.items]
        return tuple(dict.fromkeys(named))
