"""How the days of an institution filled up: for each age the share of what was open that came at
that age (the product-limit estimator, so that young days teach too), and how much of a day's card
data arrives at which age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

HORIZON = 60
"""Days after a visit in which anything is still expected."""
LEARNS_FROM = 90
"""Days of visits that are looked at."""
_ONE = Decimal(1)
_NOTHING = Decimal(0)


@dataclass(slots=True)
class DayTally:
    """The orders of one day of visits. ``on_time`` and ``late`` are quantities by age: the days
    from the visit until the upload was known to be accepted; ``arrived`` those due by the age at
    which their card data came."""

    due: Decimal = _NOTHING
    on_time: dict[int, Decimal] = field(default_factory=dict)
    late: dict[int, Decimal] = field(default_factory=dict)
    arrived: dict[int, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """By age in days: ``on_time[a]`` and ``late[a]`` are the shares of what is open at the end of
    age ``a`` that will still come; ``known[a]`` the share of a day's orders whose card data is
    there by then, never less at a higher age."""

    on_time: Sequence[Decimal]
    late: Sequence[Decimal]
    known: Sequence[Decimal]


def completion(days: Mapping[date, DayTally], today: date) -> Completion:
    """How the days before ``today`` filled up. What is known is known to the end of ``today``."""
    size = HORIZON + 2
    # Each as steps by age: what begins or ends to count there.
    risk, seen_by = [_NOTHING] * size, [_NOTHING] * size
    came_on_time, came_late, arrived = [_NOTHING] * size, [_NOTHING] * size, [_NOTHING] * size
    now, oldest = today.toordinal(), 0
    for day, tally in days.items():
        age_now = now - day.toordinal()
        if not 0 <= age_now <= LEARNS_FROM:
            continue
        last = age_now if age_now < HORIZON else HORIZON
        after = last + 1
        gone = tally.due
        risk[0] += gone
        for events, came in ((tally.on_time, came_on_time), (tally.late, came_late)):
            for age, part in events.items():
                if age <= last:
                    came[age] += part
                    risk[age + 1] -= part
                    gone -= part
                    if age > oldest:
                        oldest = age
        risk[after] -= gone
        seen = _NOTHING
        for age, part in tally.arrived.items():
            if age <= last:
                arrived[age] += part
                seen_by[age] += part
                seen += part
                if age > oldest:
                    oldest = age
        seen_by[after] -= seen
    on_time, late = [_NOTHING] * (HORIZON + 1), [_NOTHING] * (HORIZON + 1)
    known = [_ONE] * (HORIZON + 1)
    # Above the oldest age at which anything came all is as it is at the end.
    for age in range(1, oldest + 1):
        risk[age] += risk[age - 1]
        seen_by[age] += seen_by[age - 1]
    for age in range(oldest - 1, -1, -1):
        following = age + 1
        on_time[age], late[age] = on_time[following], late[following]
        known[age] = known[following]
        if came_on_time[following] or came_late[following]:
            of_time = came_on_time[following] / risk[following]
            of_late = came_late[following] / risk[following]
            stays = _ONE - of_time - of_late
            on_time[age] = of_time + stays * on_time[following]
            late[age] = of_late + stays * late[following]
        if arrived[following]:
            known[age] *= _ONE - arrived[following] / seen_by[following]
    return Completion(on_time, late, known)
