"""What a setting is made of: its kind, its bounds, the section that it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a setting takes, in the words that people read."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "true or false"
    DATE = "date"
    PATH = "path"
    TEXTS = "list of texts"
    DATES = "list of dates"
    HOURS = 'list of times like "mon-fri 08:00-17:30" or "daily 00:00-24:00"'
    NETWORKS = "list of IP addresses or networks"
    HASHES = "list of SHA-256 hashes (64 hexadecimal digits)"
    INSTITUTION = "institution code (10 letters and digits)"
    INSTITUTIONS = "list of institution codes (10 letters and digits)"
    CHOICE = "one of"
    SECRET = "secret reference (env:NAME or file:PATH)"  # noqa: S105
    LINKS = "table of text = text"
    FILE_PROFILE = "path of a file profile (TOML)"
    CODES = 'table of code = "order code" or { order_code, item_number }'


class Required:
    """The mark of a setting without a default."""


REQUIRED = Required()


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. ``least`` and ``most`` bound numbers, both included. ``choices`` are the values
    of a choice, or the names that a table may hold."""

    name: str
    kind: Kind
    default: object
    meaning: str
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None

    @property
    def expected(self) -> str:
        """What the setting takes, for people."""
        if self.kind is Kind.CHOICE:
            return f"one of {', '.join(self.choices)}"
        if self.least is not None and self.most is not None:
            return f"{self.kind}, {self.least} to {self.most}"
        if self.least is not None:
            return f"{self.kind}, {self.least} or more"
        return str(self.kind)


@dataclass(frozen=True, slots=True)
class Section:
    """A TOML table. ``repeated`` sections are written ``[[name]]``, once for each entry."""

    name: str
    meaning: str
    keys: tuple[Key, ...] = ()
    sections: tuple[Section, ...] = ()
    repeated: bool = False
