"""Overrides from the environment: ``LABBROKER_SECTION__KEY``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from broker.config.problems import UnknownSetting, WrongSetting
from broker.config.shape import Key, Kind, Section
from mapping.errors import LabbrokerError

PREFIX = "LABBROKER_"
NOT_SETTINGS = frozenset({"LABBROKER_LANG", "LABBROKER_DEBUG", "LABBROKER_CONFIG"})
"""Variables of the command line, which are no settings of the service."""

_SIMPLE = frozenset(
    {
        Kind.TEXT,
        Kind.INTEGER,
        Kind.NUMBER,
        Kind.BOOLEAN,
        Kind.PATH,
        Kind.CHOICE,
    }
)


def overrides(
    root: Section, environ: Mapping[str, str]
) -> tuple[dict[tuple[str, ...], Any], list[LabbrokerError]]:
    """The overrides as ``{path of names: value}``, and what is wrong with them.

    Only settings outside ``[[…]]`` entries can be overridden. A variable without ``__`` counts
    only when it names a setting at the top of the file.
    """
    known = {_variable(path): (path, key) for path, key in _paths(root, ())}
    found: dict[tuple[str, ...], Any] = {}
    problems: list[LabbrokerError] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        if name not in known:
            if "__" in name:
                problems.append(_unknown(name, list(known)))
            continue
        path, key = known[name]
        try:
            found[path] = _CONVERT.get(key.kind, str)(environ[name])
        except ValueError:
            problems.append(WrongSetting(place="environment", key=name, expected=key.expected))
    return found, problems


def apply(data: dict[str, Any], found: Mapping[tuple[str, ...], Any]) -> None:
    """Write the overrides into the file's data."""
    for path, value in found.items():
        table = data
        for name in path[:-1]:
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                return
            table = inner
        table[path[-1]] = value


def _paths(section: Section, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], Key]]:
    rows = [((*above, key.name), key) for key in section.keys if key.kind in _SIMPLE]
    for inner in section.sections:
        if not inner.repeated:
            rows += _paths(inner, (*above, inner.name))
    return rows


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


def _unknown(name: str, known: list[str]) -> LabbrokerError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return UnknownSetting(
        place="environment", key=name, nearest=near[0] if near else f"{PREFIX}SECTION__KEY"
    )


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


_CONVERT: dict[Kind, Callable[[str], Any]] = {
    Kind.INTEGER: int,
    Kind.NUMBER: float,
    Kind.BOOLEAN: _boolean,
}
