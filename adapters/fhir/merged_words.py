"""All words on one result → its lines as they stand today. No line is ever dropped.

A later word replaces the lines that it repeats; what it does not speak of stays as it was, but
for a report that was taken back as a whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from adapters.fhir.result_ids import line_id
from adapters.ports.results import StoredReport
from mapping.report import Observation, ObservationStatus, ReportStatus


@dataclass(frozen=True, slots=True)
class Line:
    """``resource_id`` is that of the first word on it, ``ids`` are those of all words."""

    resource_id: str
    ids: frozenset[str]
    version: int
    updated_at: datetime
    observation: Observation


def merged_lines(stored: StoredReport) -> list[Line]:
    """The lines in the order in which they were first said."""
    lines: dict[tuple[object, ...], Line] = {}
    for number, word in enumerate(stored.words):
        seen: Counter[tuple[object, ...]] = Counter()
        named = set()
        for index, observation in enumerate(word.report.observations):
            said = _said(observation)
            key = (*said, seen[said]) if said[0] else (number, index)
            seen[said] += 1
            named.add(key)
            known = lines.get(key)
            own_id = line_id(word, index)
            lines[key] = Line(
                known.resource_id if known else own_id,
                (known.ids if known else frozenset()) | {own_id},
                known.version + 1 if known else 1,
                max(known.updated_at, word.stored_at) if known else word.stored_at,
                observation,
            )
        if word.report.status is ReportStatus.CANCELLED:
            for key in lines.keys() - named:
                lines[key] = _taken_back(lines[key], word.stored_at)
    return list(lines.values())


def _taken_back(line: Line, at: datetime) -> Line:
    withdrawn = replace(line.observation, status=ObservationStatus.WITHDRAWN)
    return replace(line, version=line.version + 1, updated_at=at, observation=withdrawn)


def _said(observation: Observation) -> tuple[object, ...]:
    first = next(iter(observation.codings), None)
    name = (first.system, first.code or first.display) if first else ()
    return name, observation.sub_id, observation.observed_at
