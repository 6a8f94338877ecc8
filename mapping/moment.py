"""A point in time with the precision that the sender gave: day, minute or second.

Inside the product instants are aware UTC; the precision decides later whether NHI gets 13
or 11 characters, and that a date-only time is never dressed up as midnight.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum

# Taiwan has kept UTC+8 without summer time since 1979-10-01; result times are younger.
TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")


class Precision(IntEnum):
    DAY = 1
    MINUTE = 2
    SECOND = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """``at`` is aware UTC. For ``Precision.DAY`` it is 00:00 Taipei time of that day."""

    at: datetime
    precision: Precision = Precision.SECOND

    def __post_init__(self) -> None:
        if self.at.tzinfo is not UTC:
            object.__setattr__(self, "at", self.at.astimezone(UTC))

    @property
    def taipei(self) -> datetime:
        """The same instant on a Taipei wall clock."""
        return self.at.astimezone(TAIPEI)

    @property
    def day(self) -> date:
        """The Taipei calendar day."""
        return self.taipei.date()
