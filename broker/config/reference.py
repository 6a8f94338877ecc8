"""The reference page of all settings, written from the table that the reader uses."""

from __future__ import annotations

from broker.config.schema import SETTINGS
from broker.config.shape import Key, Required, Section


def settings_reference() -> str:
    """The tables of ``docs/reference/settings.md``, one for each section."""
    return "\n".join(_section(SETTINGS, ())).strip() + "\n"


def _section(section: Section, above: tuple[str, ...]) -> list[str]:
    path = (*above, section.name) if section.name else above
    lines: list[str] = []
    if section.keys or not path:
        lines += [f"## {_title(section, path)}", "", section.meaning, ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        lines += [_row(key) for key in section.keys] + [""]
    for inner in section.sections:
        lines += _section(inner, path)
    return lines


def _title(section: Section, path: tuple[str, ...]) -> str:
    if not path:
        return "Top of the file"
    name = ".".join(path)
    return f"`[[{name}]]`" if section.repeated else f"`[{name}]`"


def _row(key: Key) -> str:
    expected = key.expected.replace("|", "\\|")
    return f"| `{key.name}` | {expected} | {_default(key)} | {key.meaning} |"


def _default(key: Key) -> str:
    if isinstance(key.default, Required):
        return "required"
    if key.default in (None, "", ()) or not isinstance(key.default, str | int | float | bool):
        return "unset"
    if isinstance(key.default, bool):
        return f"`{str(key.default).lower()}`"
    return f"`{key.default}`"
