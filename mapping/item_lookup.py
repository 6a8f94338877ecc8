"""Which official result row (SPEC114 tables 8, 9) a line is, by its name or LOINC code.

The order code must be known first: "WBC" is one row of 08011C, another of 07009C, and the whole
of 08002C. Names are compared without case, blanks and punctuation, and with the characters that
Big5 forces apart (酶/脢, 疱/皰, 沉/沈) taken as one; never by likeness.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from mapping.catalogue.programmes import closed_numbers, programme_items
from mapping.catalogue.tables import ReportItem, read_table, report_items
from mapping.report import Coding
from mapping.units import same_unit

LOINC_SYSTEMS = frozenset(
    {"LN", "LOINC", "LNC", "http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"}
    | {"2.16.840.1.113883.6.1"}
)

_FOLDED = str.maketrans({"酶": "脢", "疱": "皰", "沉": "沈", "µ": "μ"})
_IGNORED = frozenset(" -_.,:;()[]·’'\"，、。：；")


class _Alias(NamedTuple):
    item: ReportItem
    unit: str


def is_loinc(coding: Coding) -> bool:
    """Whether the coding may be a LOINC code: said so, or unsaid and of its shape."""
    if coding.system in LOINC_SYSTEMS:
        return True
    head, dash, check = coding.code.partition("-")
    return not coding.system and bool(dash) and head.isdecimal() and check.isdecimal()


def find_item(order_code: str, codings: tuple[Coding, ...], unit: str) -> ReportItem | None:
    """The official row that the codings name, or None; also None when they name two rows.

    An alias that is bound to a unit (a differential count in ``%``) holds only where ``unit`` is
    that unit or empty, so that an absolute count is never taken for a share.
    """
    aliases = _aliases(order_code)
    found: dict[int, ReportItem] = {}
    for coding in codings:
        for key in _keys(coding):
            alias = aliases.get(key)
            if alias and (not alias.unit or not unit or same_unit(unit, alias.unit)):
                found[alias.item.number] = alias.item
    if not found:
        for coding in codings:
            both = [aliases.get(key) for key in _name_twice(coding.display)]
            if len({each.item.number if each else 0 for each in both}) == 1 and both[0]:
                alias = both[0]
                if not alias.unit or not unit or same_unit(unit, alias.unit):
                    found[alias.item.number] = alias.item
    return next(iter(found.values())) if len(found) == 1 else None


@lru_cache(maxsize=1024)
def numbered_rows(order_code: str) -> tuple[ReportItem, ...]:
    """The rows of an order code whose numbers a special programme fixes, all of them; else empty.

    A lab's own order of lines says nothing about such a number: blood pressure is row 1 systolic,
    row 2 diastolic whichever comes first.
    """
    if not closed_numbers(order_code):
        return ()
    return tuple(
        ReportItem(int(item.number), item.name, (), ()) for item in programme_items(order_code)
    )


@lru_cache(maxsize=16384)
def name_key(name: str) -> str:
    """The form under which two spellings of one name are equal."""
    folded = unicodedata.normalize("NFKC", name.translate(_FOLDED)).casefold()
    return "".join(character for character in folded if character not in _IGNORED)


@lru_cache(maxsize=16384)
def _name_twice(name: str) -> tuple[str, ...]:
    """Of ``肌酸酐(Creatinine)`` the two names: where both mean one row, so does the whole. What
    stands in brackets may as well change the meaning, so one of them alone says nothing."""
    before, bracket, behind = unicodedata.normalize("NFKC", name).strip().partition("(")
    if not bracket or not behind.endswith(")") or not before.strip():
        return ()
    return name_key(before), name_key(behind[:-1])


def _keys(coding: Coding) -> tuple[str, ...]:
    name = name_key(coding.display)
    code = f"loinc {coding.code}" if is_loinc(coding) else name_key(coding.code)
    return code, name


@cache
def _aliases(order_code: str) -> dict[str, _Alias]:
    """Keys of one order code's rows. A key that two rows share is left out."""
    rows = report_items(order_code) or numbered_rows(order_code)
    items = {item.number: item for item in rows}
    named = _alias_rows().get(order_code, ())
    units = {int(row["number"]): row["unit"] for row in named if row["unit"]}
    keyed = [
        (name_key(name), _Alias(item, units.get(item.number, "")))
        for item in items.values()
        for name in _names(item.name)
    ]
    for row in named:
        loinc = row["kind"] == "loinc"
        key = f"loinc {row['text']}" if loinc else name_key(row["text"])
        keyed.append((key, _Alias(items[int(row["number"])], row["unit"])))
    aliases: dict[str, _Alias] = {}
    shared: set[str] = set()
    for key, alias in keyed:
        if key in aliases and aliases[key].item is not alias.item:
            shared.add(key)
        aliases.setdefault(key, alias)
    return {key: alias for key, alias in aliases.items() if key and key not in shared}


def _names(name: str) -> tuple[str, ...]:
    """``WBC 白血球`` is known by each half too; names of more words only as a whole."""
    words = name.split(" ")
    two_scripts = len(words) == 2 and words[0].isascii() != words[1].isascii()
    return (name, *words) if two_scripts else (name,)


@cache
def _alias_rows() -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = {}
    for row in read_table("item-aliases"):
        rows.setdefault(row["order_code"], []).append(row)
    return rows
