"""The headed parts of a next generation sequencing report (SPEC114 table 13, pp. 62-63)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache

from mapping.catalogue.programmes import report_headings
from mapping.finding import Finding, Severity
from mapping.report_text import joined_text

_MARKS = "#＃"


def template_findings(row: Mapping[str, str], place: str) -> Iterator[Finding]:
    """A warning that names the headings which no line of the report text begins with.

    The two printed samples differ in the headings, so blanks, case, width and punctuation do not
    count, a heading may begin anywhere after a ``#`` and else at the beginning of a line.
    """
    text = joined_text(row)
    if not text:
        return
    starts = [_fold(part) for line in text.splitlines() for part in _parts(line)]
    missing = [
        name for name, words in _expected() if not any(start.startswith(words) for start in starts)
    ]
    if missing:
        parameters = (("headings", "、".join(missing)),)
        yield Finding("report-heading-missing", "r8-1", place, "", Severity.WARNING, parameters)


def _parts(line: str) -> list[str]:
    for mark in _MARKS[1:]:
        line = line.replace(mark, _MARKS[0])
    return line.split(_MARKS[0])


@cache
def _expected() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (heading.name, tuple(map(_fold, heading.words)))
        for heading in report_headings()
        if not heading.tissue_only
    )


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded))
