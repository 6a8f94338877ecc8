"""When a specimen was taken, as far as the report says."""

from __future__ import annotations

from collections.abc import Iterable

from mapping.moment import Moment
from mapping.report import LabReport, Observation

_FIRST_YEAR, _LAST_YEAR = 1912, 2910


def collected_at(
    report: LabReport, observations: Iterable[Observation]
) -> tuple[Moment, str] | None:
    """The time said of the specimen, else the earliest time of ``observations`` (OBX-14 is the
    time of collection, HL7 v2.5.1 ch. 7.4.2.14); with its place, or None."""
    moment = usable(report.specimen.collected_at)
    if moment is not None:
        return moment, f"{report.place}.specimen.collected_at"
    earliest: tuple[Moment, str] | None = None
    for observation in observations:
        at = usable(observation.observed_at)
        if at is not None and (earliest is None or at.at < earliest[0].at):
            earliest = at, f"{observation.place}.observed_at"
    return earliest


def usable(moment: Moment | None) -> Moment | None:
    """``moment``, unless its year cannot be written as a year of the Republic (1 to 999)."""
    if moment is None or not _FIRST_YEAR <= moment.at.year <= _LAST_YEAR:
        return None
    return moment
