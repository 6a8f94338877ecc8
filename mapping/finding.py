"""What is wrong, or worth a look, in data: a value, never an exception.

The texts live in ``mapping/catalogue/findings/*.toml``, one table for each code, so that a
program decides on ``code`` and a person reads the sentence in their own language.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from mapping.errors import Language
from mapping.place_words import chinese_place

IN_FILE = ("in_file", "yes")
"""The parameter of a finding about a finished upload file, which may not be of our making."""


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
        """What to do about it; where the data stand in a finished file of any maker, in that
        file."""
        texts = self._text(language)
        in_file = IN_FILE in self.parameters and "remedy_in_file" in texts
        return texts["remedy_in_file" if in_file else "remedy"]

    def _text(self, language: Language) -> dict[str, str]:
        values = _Parameters(
            {
                "field": self.field,
                "place": chinese_place(self.place) if language == "zh" else self.place,
                "value": self.value,
                **dict(self.parameters),
            }
        )
        if language == "zh" and "allowed" in values:
            values["allowed"] = values["allowed"].replace(": ", "：", 1)
        texts = finding_texts()[self.code][language]
        return {name: text.format_map(values) for name, text in texts.items()}


def told_once(findings: Iterable[Finding]) -> list[Finding]:
    """``findings`` for a person: what a conversion said of the source (``row 7``) is not said
    again of the record that came of it (``rdata[1]``)."""
    every = list(findings)
    at_source = {_said(each) for each in every if not each.place.startswith(_IN_RECORD)}
    return [
        each
        for each in every
        if not (each.place.startswith(_IN_RECORD) and _said(each) in at_source)
    ]


def _said(finding: Finding) -> tuple[object, ...]:
    return finding.code, finding.field, finding.value, finding.parameters


_IN_RECORD = ("hdata", "rdata", "record[")


class _Parameters(dict[str, str]):
    """A text may name a parameter that this finding lacks (NHI's own report gives only the field
    and the value); it then reads as empty instead of failing."""

    def __missing__(self, name: str) -> str:
        return ""


@cache
def finding_texts() -> dict[str, dict[str, dict[str, str]]]:
    """All known finding codes: ``{code: {"en": {"message", "remedy"}, "zh": {...}}}``; some have
    a ``remedy_in_file`` for :data:`IN_FILE`."""
    texts: dict[str, dict[str, dict[str, str]]] = {}
    folder = resources.files("mapping") / "catalogue" / "findings"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            for code, text in tomllib.loads(entry.read_text(encoding="utf-8")).items():
                if code in texts:
                    raise ValueError(f"finding code {code} is defined twice ({entry.name})")
                texts[code] = text
    return texts
