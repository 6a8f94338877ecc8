"""Where each setting's value came from: the environment, the file, or the default."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.config.environment import PREFIX, overrides
from broker.config.schema import SETTINGS
from broker.config.shape import Kind, Required, Section

_SECRET = frozenset({Kind.SECRET, Kind.HASHES})


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """``place`` is ``environment``, ``file`` or ``default``; ``where`` the variable or line.
    ``value`` is how it was written; never a secret's."""

    path: str
    value: str
    place: str
    where: str
    meaning: str


def setting_origins(file: Path | None, environ: Mapping[str, str]) -> tuple[SettingOrigin, ...]:
    """Every setting outside ``[[…]]`` entries, then each entry's own that are given. What cannot
    be read any more counts as not given."""
    text = ""
    data: dict[str, Any] = {}
    try:
        if file is not None:
            text = file.read_text("utf-8-sig")
            data = tomllib.loads(text)
    except (OSError, ValueError):
        data = {}
    given, _ = overrides(SETTINGS, environ)
    return tuple(_origins(SETTINGS, data, given, (), text.splitlines()))


def _origins(
    section: Section,
    data: Any,
    given: Mapping[tuple[str, ...], Any],
    above: tuple[str, ...],
    lines: Sequence[str],
    *,
    only_given: bool = False,
) -> Iterator[SettingOrigin]:
    table = data if isinstance(data, dict) else {}
    for key in section.keys:
        path = (*above, key.name)
        name, secret = ".".join(path), key.kind in _SECRET
        if path in given:
            variable = PREFIX + "__".join(path).upper()
            yield SettingOrigin(
                name, _written(given[path], secret), "environment", variable, key.meaning
            )
        elif key.name in table:
            where = _line_of(lines, above, key.name)
            yield SettingOrigin(name, _written(table[key.name], secret), "file", where, key.meaning)
        elif not only_given:
            default = "" if isinstance(key.default, Required) else key.default
            yield SettingOrigin(name, _written(default, secret), "default", "", key.meaning)
    for inner in section.sections:
        part = table.get(inner.name)
        if not inner.repeated:
            yield from _origins(
                inner, part, given, (*above, inner.name), lines, only_given=only_given
            )
            continue
        for number, entry in enumerate(part if isinstance(part, list) else (), start=1):
            place = (*above, f"{inner.name}[{number}]")
            yield from _origins(inner, entry, {}, place, lines, only_given=True)


def _written(value: Any, secret: bool) -> str:
    if secret and value:
        return "•••"
    if value is None or value == "" or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{{len(value)}}}"
    if isinstance(value, list | tuple | frozenset | set):
        return ", ".join(map(str, value)) if len(value) <= 6 else f"[{len(value)}]"
    return str(value)


def _line_of(lines: Sequence[str], above: Sequence[str], name: str) -> str:
    """The line of a key in its own table; "" where it is written in another way."""
    if any("[" in part for part in above):
        return ""
    wanted, here = ".".join(above), ""
    for number, line in enumerate(lines, start=1):
        bare = line.strip()
        if bare.startswith("["):
            here = bare.strip("[]").strip()
        elif here == wanted and bare.partition("=")[0].strip() == name:
            return str(number)
    return ""
