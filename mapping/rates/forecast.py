"""What a rate will be when the reports, verdicts and visits that are still to come are there.

The last days always look low: reports are not back yet (seed 000, 查詢方式-2: 111/11/10-14 at 0 %).
How many come at which age is learnt from the same institution's own days: for each age the share of
what was open that came at that age (the product-limit estimator, so that young days teach too), and
for visits how much of a day's card data arrives at which age.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

HORIZON = 60
"""Days after a visit in which anything is still expected."""
LEARNS_FROM = 90
"""Days of visits that are looked at."""
LEAST = Decimal(30)
"""Quantity that must be due in those days before a forecast is made."""
_WEEKS = 8
_ONE = Decimal(1)
_NOTHING = Decimal(0)
_STEP = Decimal("0.1")


@dataclass(slots=True)
class DayTally:
    """The orders of one day of visits. ``on_time`` and ``late`` are quantities by age: the days
    from the visit until the upload was known to be accepted; ``arrived`` those due by the age at
    which their card data came."""

    due: Decimal = _NOTHING
    on_time: dict[int, Decimal] = field(default_factory=dict)
    late: dict[int, Decimal] = field(default_factory=dict)
    arrived: dict[int, Decimal] = field(default_factory=dict)

    def uploaded(self, parts: Iterable[Mapping[int, Decimal]]) -> Decimal:
        return sum((each for part in parts for each in part.values()), _NOTHING)


@dataclass(frozen=True, slots=True)
class Completion:
    """By age in days: ``on_time[a]`` and ``late[a]`` are the shares of what is open at the end of
    age ``a`` that will still come; ``known[a]`` the share of a day's orders whose card data is
    there by then."""

    on_time: Sequence[Decimal]
    late: Sequence[Decimal]
    known: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected when all is settled, beside what is known now. Quantities to one decimal;
    ``days_to_come`` counts days of the period that have not begun."""

    due: Decimal
    on_time: Decimal
    uploaded: Decimal
    due_now: Decimal
    on_time_now: Decimal
    uploaded_now: Decimal
    days_to_come: int


def completion(days: Mapping[date, DayTally], today: date) -> Completion:
    """How the days before ``today`` filled up. What is known is known to the end of ``today``."""
    risk = [_NOTHING] * (HORIZON + 2)
    came_on_time = [_NOTHING] * (HORIZON + 1)
    came_late = [_NOTHING] * (HORIZON + 1)
    arrived = [_NOTHING] * (HORIZON + 1)
    seen_by = [_NOTHING] * (HORIZON + 1)
    for day, tally in days.items():
        last = min((today - day).days, HORIZON)
        if last < 0 or (today - day).days > LEARNS_FROM:
            continue
        left = tally.due
        arrived_yet = _NOTHING
        for age in range(last + 1):
            risk[age] += left
            if part := tally.on_time.get(age):
                came_on_time[age] += part
                left -= part
            if part := tally.late.get(age):
                came_late[age] += part
                left -= part
            if part := tally.arrived.get(age):
                arrived[age] += part
                arrived_yet += part
            seen_by[age] += arrived_yet
    on_time, late = [_NOTHING] * (HORIZON + 1), [_NOTHING] * (HORIZON + 1)
    known = [_ONE] * (HORIZON + 1)
    for age in range(HORIZON - 1, -1, -1):
        following = age + 1
        if risk[following]:
            of_time = came_on_time[following] / risk[following]
            of_late = came_late[following] / risk[following]
            stays = _ONE - of_time - of_late
        else:
            of_time = of_late = _NOTHING
            stays = _ONE
        on_time[age] = of_time + stays * on_time[following]
        late[age] = of_late + stays * late[following]
        new = arrived[following] / seen_by[following] if seen_by[following] else _NOTHING
        known[age] = known[following] * (_ONE - new)
    return Completion(on_time, late, known)


def forecast(
    days: Mapping[date, DayTally],
    first: date,
    last: date,
    today: date,
    closed: frozenset[date] = frozenset(),
) -> Forecast | None:
    """The rates of the visits from ``first`` to ``last`` as they will be when all is settled.

    ``days`` holds the period and the days before it. Days to come are taken to be like the same
    weekdays of the last eight weeks; ``closed`` days bring nothing. None with too little to learn
    from.
    """
    learnt = sum(
        (tally.due for day, tally in days.items() if 0 <= (today - day).days <= LEARNS_FROM),
        _NOTHING,
    )
    if learnt < LEAST:
        return None
    curve = completion(days, today)
    # The share of a new day's orders that will come at all, on time and late.
    first_day = _first_day_share(days, today)
    usual = _usual_due(days, curve, today)
    totals = [_NOTHING] * 6
    to_come = 0
    day = first
    while day <= last:
        tally = days.get(day)
        age = (today - day).days
        if age < 0:
            to_come += 1
            due = _NOTHING if day in closed else usual[day.weekday()]
            _add(totals, due, *(due * each for each in _of_new_orders(first_day, curve)))
        elif tally is not None:
            _add_known(totals, tally, curve, age, first_day, usual[day.weekday()])
        elif age < len(curve.known) and curve.known[age] <= _HALF and day not in closed:
            due = usual[day.weekday()]
            _add(totals, due, *(due * each for each in _of_new_orders(first_day, curve)))
        day += timedelta(days=1)
    rounded = [each.quantize(_STEP, ROUND_HALF_UP) for each in totals]
    due, on_time, uploaded, due_now, on_time_now, uploaded_now = rounded
    return Forecast(due, on_time, uploaded, due_now, on_time_now, uploaded_now, to_come)


_HALF = Decimal("0.5")
_Share = tuple[Decimal, Decimal]


def _add(totals: list[Decimal], due: Decimal, on_time: Decimal, uploaded: Decimal) -> None:
    totals[0] += due
    totals[1] += on_time
    totals[2] += uploaded


def _add_known(
    totals: list[Decimal],
    tally: DayTally,
    curve: Completion,
    age: int,
    first_day: _Share,
    usual: Decimal,
) -> None:
    on_time = tally.uploaded((tally.on_time,))
    uploaded = on_time + tally.uploaded((tally.late,))
    totals[3] += tally.due
    totals[4] += on_time
    totals[5] += uploaded
    place = min(age, HORIZON)
    still = tally.due - uploaded
    more_on_time = still * curve.on_time[place]
    more_late = still * curve.late[place]
    _add(totals, tally.due, on_time + more_on_time, uploaded + more_on_time + more_late)
    known = curve.known[place]
    # Of a day of which little is there the usual day says more than what is there.
    missing = tally.due / known - tally.due if known > _HALF else max(usual - tally.due, _NOTHING)
    _add(totals, missing, *(missing * each for each in _of_new_orders(first_day, curve)))


def _of_new_orders(first_day: _Share, curve: Completion) -> _Share:
    """The shares of orders not seen yet that will be on time, and uploaded at all."""
    at_once_on_time, at_once_late = first_day
    left = _ONE - at_once_on_time - at_once_late
    on_time = at_once_on_time + left * curve.on_time[0]
    return on_time, on_time + at_once_late + left * curve.late[0]


def _first_day_share(days: Mapping[date, DayTally], today: date) -> _Share:
    """The shares of a day's orders that are uploaded on the day of the visit itself."""
    due = on_time = late = _NOTHING
    for day, tally in days.items():
        if 0 <= (today - day).days <= LEARNS_FROM:
            due += tally.due
            on_time += tally.on_time.get(0, _NOTHING)
            late += tally.late.get(0, _NOTHING)
    return (on_time / due, late / due) if due else (_NOTHING, _NOTHING)


def _usual_due(days: Mapping[date, DayTally], curve: Completion, today: date) -> list[Decimal]:
    """What is due on a Monday, a Tuesday …, of days whose card data is there."""
    sums: dict[int, Decimal] = defaultdict(lambda: _NOTHING)
    counts: dict[int, int] = defaultdict(int)
    begins = min(days, default=today)
    for back in range(1, 7 * _WEEKS + 1):
        day = today - timedelta(days=back)
        if day < begins:
            break
        known = curve.known[min(back, HORIZON)]
        if known <= _HALF:
            continue
        tally = days.get(day)
        counts[day.weekday()] += 1
        if tally is not None:
            sums[day.weekday()] += tally.due / known
    return [sums[each] / counts[each] if counts[each] else _NOTHING for each in range(7)]
