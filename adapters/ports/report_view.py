"""A result as it is shown to people: what a writer of documents is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from mapping.moment import Moment
from mapping.report import LabReport, Observation


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """An earlier value of the same item and unit of the same patient, as the laboratory wrote
    it."""

    at: Moment
    value: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportView:
    """``report`` is the word that is delivered; ``lines`` are all lines of the result as they
    stand by then. ``trends`` are by the index in ``lines``, oldest first. ``version`` counts the
    words on the result; institution codes are ours; ``stored_at`` is when the word came in."""

    report: LabReport
    lines: tuple[Observation, ...]
    lab_code: str
    clinic_code: str
    stored_at: datetime
    version: int = 1
    heading: str = ""
    trends: Mapping[int, tuple[TrendPoint, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
