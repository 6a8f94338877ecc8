"""Which of our columns is each column of a sample: by its header text, else by its cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from adapters.folder.formats.cell_dates import read_moment
from adapters.folder.formats.csv_layout import HEADER_TEXTS
from adapters.folder.formats.profile_dates import plain_date
from adapters.folder.profile_words import CELL_KINDS, HEADER_HINTS
from mapping.errors import Language
from mapping.file_profile import DATE_COLUMNS, RESULT_COLUMNS, DateOrder, Place, Places

_EXACT = {text: column for column, texts in HEADER_TEXTS.items() for text in (column, *texts)}
_WHOSE_NUMBER = frozenset({"檢驗單號"})
"""Written on requests, which clinics number, and on reports, which laboratories number."""
_CHECKED = ("national_id", "order_code")
_MOST_SAMPLES = 300
_OLD_YEARS = 2


_DOUBTS: Mapping[str, tuple[str, str]] = {
    "header": ("guessed from the header “{}”", "依標題「{}」推測"),
    "cells": ("guessed from its cells alone", "僅依內容推測"),
    "as-well": ("column “{}” might be meant as well", "欄位「{}」亦有可能"),
    "no-order-codes": ("its cells are no NHI order codes", "內容不是健保醫令代碼"),
    "no-ids": ("its cells do not look like national ids", "內容不像身分證號"),
    "whose-number": (
        "if the laboratory gives this number itself, it is accession_number",
        "若此號碼由檢驗所編列，應為 accession_number",
    ),
    "time-apart": ("the time stands in a column of its own", "時間在另一欄"),
    "dates-several": ("these orders are possible: {}", "可能的日期順序：{}"),
    "dates-unread": ("not all dates of the sample can be read", "樣本中有日期無法讀取"),
    "sheets": ("the first of {} sheets is read", "共 {} 張工作表，讀取第一張"),
    "wide": (
        "one column for each examination: name each order code",
        "每項檢驗各占一欄：請逐一填入醫令代碼",
    ),
    "ranges": (
        "the ranges are guessed from blanks: compare them with the laboratory's own list",
        "範圍依空白推測：請與檢驗所的欄位說明核對",
    ),
    "encoding": ("neither UTF-8 nor Big5", "並非 UTF-8 或 Big5"),
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a person should look at. ``about`` is a header text or a number, never a cell."""

    code: str
    about: str = ""

    def text(self, language: Language) -> str:
        """A short remark."""
        return _DOUBTS[self.code][language == "zh"].format(self.about)


@dataclass(slots=True)
class Column:
    """A column of the sample. ``place`` names it; ``header`` is its text or ``""``."""

    place: Place
    header: str
    cells: list[str]

    def all_are(self, kind: str) -> bool:
        """Whether all its filled cells look like ``kind``, and there are any."""
        pattern = CELL_KINDS[kind]
        return bool(self.cells) and all(pattern.fullmatch(cell) for cell in self.cells)


@dataclass(slots=True)
class Assignment:
    """``places`` by our column names; ``doubts`` by the key that they concern."""

    places: dict[str, Places] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    left: list[Column] = field(default_factory=list)
    allowed: Collection[str] = RESULT_COLUMNS


def column_of(place: Place, header: str, cells: Sequence[str]) -> Column:
    """A column with its first filled cells."""
    return Column(
        place, header.strip(), [c for each in cells if (c := each.strip())][:_MOST_SAMPLES]
    )


def assign(
    columns: Sequence[Column], today: date, allowed: Collection[str] = RESULT_COLUMNS
) -> Assignment:
    """Every column that can be told, the surest first; a guess is a doubt for a person. Only
    ``allowed`` of our columns are looked for."""
    result = Assignment(allowed=allowed)
    rest: list[Column] = []
    for column in columns:
        name = _EXACT.get(column.header.casefold(), "")
        doubt = Doubt("whose-number") if column.header in _WHOSE_NUMBER else None
        if not name or not _take(result, name, column, doubt):
            rest.append(column)
    for column in list(rest):
        name = next(
            (n for n, hint in HEADER_HINTS if column.header and hint.search(column.header)), ""
        )
        if name and _take(result, name, column, Doubt("header", column.header)):
            rest.remove(column)
    for column in list(rest):
        name = _by_cells(column, columns, result, today)
        if name and _take(result, name, column, Doubt("cells")):
            rest.remove(column)
    # Names and codes of examinations come again and again; those of people and specimens do not.
    for column in sorted(rest, key=lambda each: len(set(each.cells)) / (len(each.cells) or 1)):
        name = _item_column(column, result)
        if name and _take(result, name, column, Doubt("cells")):
            rest.remove(column)
    _join_times(result, rest, columns)
    _order_times(result, columns)
    result.left = [column for column in rest if column.cells]
    return result


def date_order(columns: Sequence[Column], assignment: Assignment, today: date) -> DateOrder:
    """How the sample writes its dates; where several orders are possible, that is a doubt."""
    by_place = {column.place: column for column in columns}
    texts: list[tuple[str, bool]] = []
    for name in DATE_COLUMNS & assignment.places.keys():
        column = by_place.get(assignment.places[name][0])
        texts += [(cell, name == "birth_on") for cell in column.cells] if column else []
    possible = [order for order in DateOrder if all(_fits(t, order, b, today) for t, b in texts)]
    if len(possible) > 1 and DateOrder.PLAIN not in possible:
        names = ", ".join(each.value for each in possible)
        assignment.doubts["dates"] = Doubt("dates-several", names)
    if not possible and texts:
        assignment.doubts["dates"] = Doubt("dates-unread")
    return possible[0] if possible else DateOrder.PLAIN


def _fits(text: str, order: DateOrder, is_birth: bool, today: date) -> bool:
    try:
        day = read_moment(plain_date(text, order)).day
    except ValueError:
        return False
    return day <= today and (is_birth or day.year > today.year - 10)


def _take(result: Assignment, name: str, column: Column, doubt: Doubt | None) -> bool:
    if name not in result.allowed:
        return False
    if name in DATE_COLUMNS and column.all_are("time") and not column.all_are("moment"):
        # The time of a day that stands elsewhere.
        return False
    if name in result.places:
        about = Doubt("as-well", column.header or str(column.place))
        result.doubts.setdefault(f"columns.{name}", about)
        return False
    if (
        name in _CHECKED
        and column.cells
        and not any(CELL_KINDS[name].fullmatch(cell.upper()) for cell in column.cells)
    ):
        if name == "order_code":
            return _take(result, "item_code", column, Doubt("no-order-codes"))
        doubt = Doubt("no-ids")
    result.places[name] = (column.place,)
    if doubt:
        result.doubts[f"columns.{name}"] = doubt
    return True


def _by_cells(column: Column, columns: Sequence[Column], result: Assignment, today: date) -> str:
    if not column.cells or len(set(column.cells)) == 1 == len(columns):
        return ""
    for name in ("national_id", "order_code", "clinic_code", "sex"):
        if _is_free(name, result) and column.all_are(name):
            return name
    if column.all_are("moment") and not column.all_are("value"):
        return _date_column(column, result, today)
    if column.all_are("moment") and all(len(c) in (7, 8, 11, 13) for c in column.cells):
        return _date_column(column, result, today)
    for name in ("reference", "unit", "flag", "value"):
        if _is_free(name, result) and column.all_are(name):
            return name
    return ""


def _item_column(column: Column, result: Assignment) -> str:
    if not column.cells:
        return ""
    chinese = sum(not cell.isascii() for cell in column.cells)
    if chinese * 2 > len(column.cells) and _is_free("item_name", result):
        return "item_name"
    short = all(cell.isascii() and len(cell) <= 10 for cell in column.cells)
    if short and _is_free("item_code", result) and any(c.isalpha() for c in "".join(column.cells)):
        return "item_code"
    return ""


def _is_free(name: str, result: Assignment) -> bool:
    return name in result.allowed and name not in result.places


def _date_column(column: Column, result: Assignment, today: date) -> str:
    recent = [_recent(cell, today) for cell in column.cells]
    if not all(recent) and _is_free("birth_on", result):
        return "birth_on"
    free = [name for name in ("reported_at", "collected_at") if _is_free(name, result)]
    return free[0] if free else ""


def _recent(cell: str, today: date) -> bool:
    for order in DateOrder:
        try:
            if (
                today.year - _OLD_YEARS
                <= read_moment(plain_date(cell, order)).day.year
                <= today.year
            ):
                return True
        except ValueError:
            continue
    return False


def _join_times(result: Assignment, rest: list[Column], columns: Sequence[Column]) -> None:
    """A column of times right behind one of days is the time of that day."""
    behind = {one.place: other for one, other in pairwise(columns)}
    for name in sorted(DATE_COLUMNS & result.places.keys()):
        column = behind.get(result.places[name][0])
        if name != "birth_on" and column in rest and column is not None and column.all_are("time"):
            result.places[name] = (*result.places[name], column.place)
            result.doubts.setdefault(f"columns.{name}", Doubt("time-apart"))
            rest.remove(column)


def _order_times(result: Assignment, columns: Sequence[Column]) -> None:
    """Of two times that their cells alone told, the specimen was taken at the earlier one."""
    names = ("collected_at", "reported_at")
    if any(result.doubts.get(f"columns.{name}") != Doubt("cells") for name in names):
        return
    by_place = {column.place: column.cells for column in columns}
    texts = [
        ["".join(parts) for parts in zip(*(by_place[p] for p in result.places[name]), strict=False)]
        for name in names
    ]
    later = [one > other for one, other in zip(*texts, strict=False) if len(one) == len(other)]
    if 2 * sum(later) > len(later):
        first, second = names
        result.places[first], result.places[second] = result.places[second], result.places[first]
