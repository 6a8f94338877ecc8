"""The official upload format as dated data: one TOML file for each edition.

A later edition is a new file beside this module with its own ``starts_on``; no code changes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from typing import Any, TypeAlias


class Requirement(StrEnum):
    """The spec's 必填 (always, or in named cases), 請填寫本欄 (expected) and 非必填."""

    ALWAYS = "always"
    WHEN = "when"
    EXPECTED = "expected"
    OPTIONAL = "optional"


class Variant(StrEnum):
    """The two layouts of an upload. Root and tag names are the same; h4 to h8 and h15 onward
    mean different things (SPEC114 tables 1 and 2)."""

    DAILY = "daily"
    MONTHLY = "monthly"


Case: TypeAlias = tuple[tuple[str, frozenset[str]], ...]
"""Header tags with the values that they must have, all together."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One line of the official field table.

    ``length`` is the most characters by the official count, ``exact`` that it must be just so
    many. ``type`` is ``X`` (text) or ``9`` (digits). ``form`` is a
    shape of its own (identifier, letter, letters, visit-serial). ``codes`` names a table of
    ``mapping/catalogue``, ``wrong`` the NHI code for a value outside it, ``missing`` the NHI code
    for a required value that is not there. ``dates`` are allowed lengths of a date (5, 7, 11,
    13). ``zero_time``: the time of day may be zeros. ``blank``: cases in which the field must be
    left out. ``zero``: 0 is a number that may stand here. ``daily``, in the monthly layout, is the
    tag of the same field in the daily one, ``""`` where that has none.
    """

    tag: str
    name_zh: str
    name_en: str
    length: int
    type: str
    required: Requirement
    exact: bool = False
    when: tuple[Case, ...] = ()
    missing: str = "01"
    form: str = ""
    codes: str = ""
    wrong: str = "03"
    narrowed: tuple[tuple[Case, frozenset[str]], ...] = ()
    dates: tuple[int, ...] = ()
    zero_time: bool = False
    blank: tuple[Case, ...] = ()
    zero: bool = False
    daily: str = ""

    def applies(self, header: Mapping[str, str]) -> bool:
        """Whether ``required`` holds for a record with these header values."""
        return not self.when or in_any_case(self.when, header)


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition of one layout, its fields in the order of the file."""

    name: str
    starts_on: date
    document: str
    header: tuple[FieldRule, ...]
    rows: tuple[FieldRule, ...]
    variant: Variant = Variant.DAILY

    def rule(self, tag: str) -> FieldRule | None:
        """The field of that tag, or ``None`` when the edition does not have it."""
        return _by_tag(self).get(tag)

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=64)
def edition_on(day: date, variant: Variant = Variant.DAILY) -> Edition:
    """The edition in force for an upload on ``day``; days before the first get the first."""
    known = editions(variant)
    started = [edition for edition in known if edition.starts_on <= day]
    return started[-1] if started else known[0]


def editions(variant: Variant = Variant.DAILY) -> tuple[Edition, ...]:
    """All editions of one layout, oldest first."""
    return tuple(edition for edition in _all_editions() if edition.variant is variant)


@cache
def _all_editions() -> tuple[Edition, ...]:
    folder = resources.files("mapping") / "editions"
    texts = (
        entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )
    loaded = {data["name"]: data for data in map(tomllib.loads, texts)}
    found = (_edition(data, loaded) for data in loaded.values())
    return tuple(sorted(found, key=lambda edition: edition.starts_on))


def in_any_case(cases: tuple[Case, ...], header: Mapping[str, str]) -> bool:
    """Whether the header values fit at least one of ``cases``."""
    return any(all(header.get(tag, "") in values for tag, values in case) for case in cases)


@cache
def _by_tag(edition: Edition) -> dict[str, FieldRule]:
    return {rule.tag: rule for rule in (*edition.header, *edition.rows)}


def _edition(data: Mapping[str, Any], all_data: Mapping[str, Any]) -> Edition:
    header = tuple(map(_field, data["header"]))
    other = data.get("rows_of")
    tags = {rule.daily: rule.tag for rule in header if rule.daily}
    return Edition(
        name=data["name"],
        starts_on=data["starts_on"],
        document=data["document"],
        header=header,
        rows=tuple(_renamed(_field(row), tags) for row in all_data[other]["row"])
        if other
        else tuple(map(_field, data["row"])),
        variant=Variant(data.get("variant", Variant.DAILY)),
    )


def _renamed(rule: FieldRule, tags: Mapping[str, str]) -> FieldRule:
    """A row rule of the daily layout with the header tags of its conditions in the monthly one."""

    def case(each: Case) -> Case:
        return tuple((tags[tag], values) for tag, values in each)

    return replace(
        rule,
        when=tuple(map(case, rule.when)),
        blank=tuple(map(case, rule.blank)),
        narrowed=tuple((case(each), codes) for each, codes in rule.narrowed),
    )


def _field(data: dict[str, Any]) -> FieldRule:
    data = dict(data)
    return FieldRule(
        required=Requirement(data.pop("required")),
        when=tuple(map(_case, data.pop("when", ()))),
        blank=tuple(map(_case, data.pop("blank", ()))),
        narrowed=tuple(
            (
                _case({tag: v for tag, v in entry.items() if tag != "codes"}),
                frozenset(entry["codes"]),
            )
            for entry in data.pop("narrowed", ())
        ),
        dates=tuple(data.pop("dates", ())),
        **data,
    )


def _case(data: Mapping[str, list[str]]) -> Case:
    return tuple((tag, frozenset(values)) for tag, values in data.items())
