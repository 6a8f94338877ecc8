"""What is wrong, or worth a look, in data: a value, never an exception.

The texts live in ``mapping/catalogue/findings/*.toml``, one table for each code, so that a
program decides on ``code`` and a person reads the sentence in their own language.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from mapping.errors import Language


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    ``code`` is an NHI check code (``"14"``, ``"A3"``) or one of ours (``"unmapped-code"``).
    ``field`` is the NHI tag that it concerns (``"r6-1"``), or ``""``.
    ``place`` says where, in the terms of the payload (``"OBX[3]-5"``) or the record
    (``"hdata[1]/rdata[2]"``).  ``value`` is the offending text; it may be patient data and is
    shown to the person who owns the data, never logged.
    """

    code: str
    field: str = ""
    place: str = ""
    value: str = ""
    severity: Severity = Severity.ERROR
    parameters: tuple[tuple[str, str], ...] = ()

    def message(self, language: Language = "en") -> str:
        """The sentence of this finding, with its parameters filled in."""
        return self._text(language)["message"]

    def remedy(self, language: Language = "en") -> str:
        """What to do about it."""
        return self._text(language)["remedy"]

    def _text(self, language: Language) -> dict[str, str]:
        values = _Parameters(
            {
                "field": self.field,
                "place": self.place,
                "value": self.value,
                **dict(self.parameters),
            }
        )
        texts = finding_texts()[self.code][language]
        return {name: text.format_map(values) for name, text in texts.items()}


class _Parameters(dict[str, str]):
    """A text may name a parameter that this finding lacks (NHI's own report gives only the field
    and the value); it then reads as empty instead of failing."""

    def __missing__(self, name: str) -> str:
        return ""


@cache
def finding_texts() -> dict[str, dict[str, dict[str, str]]]:
    """All known finding codes: ``{code: {"en": {"message", "remedy"}, "zh": {...}}}``."""
    texts: dict[str, dict[str, dict[str, str]]] = {}
    folder = resources.files("mapping") / "catalogue" / "findings"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            for code, text in tomllib.loads(entry.read_text(encoding="utf-8")).items():
                if code in texts:
                    raise ValueError(f"finding code {code} is defined twice ({entry.name})")
                texts[code] = text
    return texts
