"""Which lines of a report a person must hear of at once: critical (panic) values, 危急值.

The laboratory's own flag decides first (HL7 table 0078: ``HH`` above and ``LL`` below the panic
limits, ``AA`` very abnormal; ``HU`` and ``LU`` are their FHIR names); beside it, limits that were
agreed and stand in the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from mapping.report import LabReport, Observation, ObservationStatus
from mapping.values import parse_quantity

CRITICAL_FLAGS = frozenset({"HH", "LL", "AA", "HU", "LU", "↑↑", "↓↓"})
_GONE = (ObservationStatus.WITHDRAWN, ObservationStatus.NOT_DONE)


class CriticalReason(StrEnum):
    FLAG = "flag"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class CriticalLimit:
    """A value of ``code`` in ``unit`` (both as the laboratory sends them) that is less than
    ``below`` or more than ``above``. ``source_id`` ``""`` means every source."""

    code: str
    unit: str
    below: Decimal | None = None
    above: Decimal | None = None
    source_id: str = ""


@dataclass(frozen=True, slots=True)
class CriticalLine:
    """``line`` counts the report's lines from 1."""

    line: int
    reason: CriticalReason


def critical_lines(
    report: LabReport, limits: Iterable[CriticalLimit] = (), source_id: str = ""
) -> tuple[CriticalLine, ...]:
    """The critical lines of one report. A number in another unit than a limit's is compared with
    nothing."""
    mine = [each for each in limits if each.source_id in ("", source_id)]
    found = []
    for number, line in enumerate(report.observations, start=1):
        if line.status in _GONE:
            continue
        if line.abnormal_flags and any(
            flag.strip().upper() in CRITICAL_FLAGS for flag in line.abnormal_flags
        ):
            found.append(CriticalLine(number, CriticalReason.FLAG))
        elif mine and _passes(line, mine):
            found.append(CriticalLine(number, CriticalReason.LIMIT))
    return tuple(found)


def _passes(line: Observation, limits: Sequence[CriticalLimit]) -> bool:
    codes = {coding.code for coding in line.codings}
    near = [each for each in limits if each.code in codes and each.unit == line.unit]
    quantity = parse_quantity(line.value) if near else None
    if quantity is None:
        return False
    sign = quantity.comparator[:1]
    for each in near:
        if each.below is not None and sign != ">" and quantity.number < each.below:
            return True
        # "<0.1" is surely below 0.1, and ">500" surely above 500.
        if each.below is not None and quantity.comparator == "<" and quantity.number == each.below:
            return True
        if each.above is not None and sign != "<" and quantity.number > each.above:
            return True
        if each.above is not None and quantity.comparator == ">" and quantity.number == each.above:
            return True
    return False
