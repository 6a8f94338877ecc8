"""Raw TOML data against the table of settings: known names, right kinds, defaults filled in."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.config.kinds import WrongKind, read_value
from broker.config.place import line_of
from broker.config.problems import MissingSetting, UnknownSetting, WrongSetting
from broker.config.shape import Key, Required, Section
from mapping.errors import LabbrokerError


@dataclass(slots=True)
class Values:
    """The checked values of one table. ``place`` names it for people."""

    place: str
    keys: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, Values] = field(default_factory=dict)
    entries: dict[str, list[Values]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.keys[name]


class SettingsReader:
    """Reads one file's data. ``problems`` collects everything that is wrong with it."""

    def __init__(self, file: Path | None, text: str, folder: Path) -> None:
        self._file = file
        self._text = text
        self._folder = folder
        self.problems: list[LabbrokerError] = []

    def read(self, section: Section, data: Mapping[str, Any]) -> Values:
        """The values of the whole file."""
        return self._section(section, data, (), 0)

    def place(self, table: tuple[str, ...], entry: int = 0, key: str = "") -> str:
        """``labbroker.toml line 12 [mllp]``."""
        line = line_of(self._text, table, entry, key)
        parts = [str(self._file) if self._file else "defaults"]
        if line is not None:
            parts.append(f"line {line}")
        if table:
            parts.append(f"[{'.'.join(table)}]")
        return " ".join(parts)

    def _section(
        self, section: Section, data: Mapping[str, Any], table: tuple[str, ...], entry: int
    ) -> Values:
        values = Values(self.place(table, entry))
        keys = {key.name: key for key in section.keys}
        inner = {each.name: each for each in section.sections}
        for name in data:
            if name not in keys and name not in inner:
                self._unknown(name, [*keys, *inner], self.place(table, entry, name))
        for key in section.keys:
            values.keys[key.name] = self._key(
                key, data, lambda name: self.place(table, entry, name)
            )
        for each in section.sections:
            self._inner(each, data.get(each.name), (*table, each.name), entry, values)
        return values

    def _inner(
        self, section: Section, data: Any, table: tuple[str, ...], entry: int, values: Values
    ) -> None:
        if section.repeated:
            rows = data if data is not None else []
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                self._wrong(self.place(table), section.name, f"entries written [[{section.name}]]")
                rows = []
            values.entries[section.name] = [
                self._section(section, row, table, index) for index, row in enumerate(rows)
            ]
            return
        rows = data if data is not None else {}
        if not isinstance(rows, dict):
            self._wrong(self.place(table, entry), section.name, f"a table written [{section.name}]")
            rows = {}
        values.sections[section.name] = self._section(section, rows, table, entry)

    def _key(self, key: Key, data: Mapping[str, Any], place: Callable[[str], str]) -> Any:
        if key.name not in data:
            if isinstance(key.default, Required):
                self.problems.append(
                    MissingSetting(place=place(""), key=key.name, meaning=key.meaning)
                )
                return ""
            return read_value(key, key.default, self._folder) if key.default is not None else None
        try:
            return read_value(key, data[key.name], self._folder)
        except WrongKind as wrong:
            self._wrong(place(key.name), key.name, wrong.expected)
            return None

    def _unknown(self, name: str, known: list[str], place: str) -> None:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        nearest = near[0] if near else ", ".join(known)
        self.problems.append(UnknownSetting(place=place, key=name, nearest=nearest))

    def _wrong(self, place: str, key: str, expected: str) -> None:
        self.problems.append(WrongSetting(place=place, key=key, expected=expected))
