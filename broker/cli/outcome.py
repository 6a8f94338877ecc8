"""What one check of ``labbroker doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from mapping.errors import LabbrokerError, Language

Texts: TypeAlias = tuple[str, str]
"""The same text in English and in Chinese."""

NOTHING: Texts = ("", "")


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``said`` is what was found, ``then`` what to do next (both empty texts when fine)."""

    check: str
    status: Status
    said: Texts
    then: Texts = NOTHING

    def message(self, language: Language) -> str:
        return self.said[language == "zh"]

    def next_step(self, language: Language) -> str:
        return self.then[language == "zh"]


def ok(check: str, said: Texts) -> Outcome:
    return Outcome(check, Status.OK, said)


def warn(check: str, said: Texts, then: Texts) -> Outcome:
    return Outcome(check, Status.WARN, said, then)


def fail(check: str, said: Texts, then: Texts) -> Outcome:
    return Outcome(check, Status.FAIL, said, then)


def failed_by(check: str, error: LabbrokerError) -> Outcome:
    """A check that ended in an error which speaks for itself."""
    return fail(
        check,
        (error.sentence("en"), error.sentence("zh")),
        (error.remedy("en"), error.remedy("zh")),
    )
