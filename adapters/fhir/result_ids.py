"""The ids of results here: ``r`` and the receipt, then which part of it.

A part of FHIR bytes has the number of its Bundle entry, as the ``Location`` of its creation said;
a part of anything else counts reports and their lines.
"""

from __future__ import annotations

import re

from adapters.ports.results import Word

_PART = re.compile(
    r"(?:Bundle\.entry\[(\d+)\]\.resource\.ofType\(\w+\)|DiagnosticReport|Observation)"
    r"(?:\.contained\[(\d+)\]\.ofType\(\w+\))?"
    r"(?:\.component\[(\d+)\])?(\.conclusion)?",
    re.ASCII,
)
_ID = re.compile(r"r([1-9][0-9]{0,17})-[A-Za-z0-9.\-]{1,40}", re.ASCII)


def receipt_of(resource_id: str) -> int | None:
    """The receipt that an id names, or None for what is no id of ours."""
    match = _ID.fullmatch(resource_id)
    return int(match[1]) if match else None


def report_id(word: Word) -> str:
    """The id of the DiagnosticReport of ``word``."""
    return f"r{word.receipt_id}-{_part(word.report.place) or f'n{word.number}'}"


def line_id(word: Word, index: int) -> str:
    """The id of the Observation of the ``index``-th line of ``word``, from 0."""
    part = _part(word.report.observations[index].place)
    return f"r{word.receipt_id}-{part or f'n{word.number}-{index + 1}'}"


def entry_id(receipt_id: int, entry: int) -> str:
    """The id that the resource in a Bundle's ``entry`` gets, 0 for a resource that came alone."""
    return f"r{receipt_id}-{entry}"


def _part(place: str) -> str:
    match = _PART.fullmatch(place)
    if match is None:
        return ""
    entry, contained, component, conclusion = match.groups()
    part = entry or "0"
    part += f"-k{contained}" if contained else ""
    part += f"-c{component}" if component else ""
    return part + ("-t" if conclusion else "")
