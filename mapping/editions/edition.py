"""The official upload format as dated data: one TOML file for each edition.

A later edition is a new file beside this module with its own ``starts_on``; no code changes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
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
    left out.
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

    def applies(self, header: Mapping[str, str]) -> bool:
        """Whether ``required`` holds for a record with these header values."""
        return not self.when or in_any_case(self.when, header)


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition of the daily format, its fields in the order of the file."""

    name: str
    starts_on: date
    document: str
    header: tuple[FieldRule, ...]
    rows: tuple[FieldRule, ...]

    def rule(self, tag: str) -> FieldRule | None:
        """The field of that tag, or ``None`` when the edition does not have it."""
        return _by_tag(self).get(tag)

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=64)
def edition_on(day: date) -> Edition:
    """The edition in force for an upload on ``day``; days before the first get the first."""
    started = [edition for edition in editions() if edition.starts_on <= day]
    return started[-1] if started else editions()[0]


@cache
def editions() -> tuple[Edition, ...]:
    """All editions, oldest first."""
    folder = resources.files("mapping") / "editions"
    loaded = [
        _edition(tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    ]
    return tuple(sorted(loaded, key=lambda edition: edition.starts_on))


def in_any_case(cases: tuple[Case, ...], header: Mapping[str, str]) -> bool:
    """Whether the header values fit at least one of ``cases``."""
    return any(all(header.get(tag, "") in values for tag, values in case) for case in cases)


@cache
def _by_tag(edition: Edition) -> dict[str, FieldRule]:
    return {rule.tag: rule for rule in (*edition.header, *edition.rows)}


def _edition(data: dict[str, Any]) -> Edition:
    return Edition(
        name=data["name"],
        starts_on=data["starts_on"],
        document=data["document"],
        header=tuple(map(_field, data["header"])),
        rows=tuple(map(_field, data["row"])),
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
