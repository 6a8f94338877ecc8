"""What a rate will be when the reports, verdicts and visits that are still to come are there.

The last days always look low: reports are not back yet (seed 000, 查詢方式-2: 111/11/10-14 at 0 %).
How many come at which age is learnt from the same institution's own days (``completion``).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from mapping.rates.completion import HORIZON, LEARNS_FROM, Completion, DayTally, completion

LEAST = Decimal(30)
"""Quantity that must be due in the days that are learnt from before a forecast is made."""
_USUAL_DAYS = 56
_YOUNG = 14
_ONE = Decimal(1)
_HALF = Decimal("0.5")
_NOTHING = Decimal(0)
_STEP = Decimal("0.1")
_DAY = timedelta(days=1)


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


_End = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]
"""What is due, on time and uploaded of a day by now; what is expected to be on time and uploaded of
it; what is due of it and not known yet."""


class Forecaster:
    """Forecasts of one institution, or of several together: learns once, tells of any period.

    ``days`` holds the period so far and the days before it.
    """

    def __init__(self, days: Mapping[date, DayTally], today: date) -> None:
        self._days = sorted(days)
        self._tallies = [days[day] for day in self._days]
        self._today = today
        self._begun = bisect_right(self._days, today)
        since = bisect_left(self._days, today - timedelta(days=LEARNS_FROM))
        learnt = self._tallies[since : self._begun]
        due = sum([tally.due for tally in learnt], _NOTHING)
        self.knows_enough = due >= LEAST
        if self.knows_enough:
            self._curve = completion(days, today)
            self._known_from = next(
                age for age, share in enumerate(self._curve.known) if share > _HALF
            )
            self._usual = self._usual_due()
            self._new = _of_new_orders(learnt, due, self._curve)
            # Those of the days from the place ``_since`` on: the rest is made when it is asked for.
            self._since = self._begun
            self._ends: list[_End] = []

    def of(self, first: date, last: date, closed: frozenset[date] = frozenset()) -> Forecast | None:
        """The rates of the visits from ``first`` to ``last`` as they will be when all is settled.

        Days to come are taken to be like the same weekdays of the last eight weeks; ``closed``
        days bring nothing. None with too little to learn from.
        """
        if not self.knows_enough:
            return None
        begin = bisect_left(self._days, first, 0, self._begun)
        end = bisect_right(self._days, last, 0, self._begun)
        if begin < self._since:
            self._ends[:0] = map(self._end_of, range(begin, self._since))
            self._since = begin
        found = self._ends[begin - self._since : max(begin, end) - self._since]
        sums = [sum(column, _NOTHING) for column in zip(*found, strict=True)] or [_NOTHING] * 6
        due_now, on_time_now, uploaded_now, on_time, uploaded, missing = sums
        for weekday in self._lacking(first, last, closed):
            missing += self._usual[weekday]
        in_time, in_all = self._new
        due, on_time, uploaded, due_now, on_time_now, uploaded_now = (
            each.quantize(_STEP, ROUND_HALF_UP)
            for each in (
                due_now + missing,
                on_time + missing * in_time,
                uploaded + missing * in_all,
                due_now,
                on_time_now,
                uploaded_now,
            )
        )
        to_come = (last - max(self._today, first - _DAY)).days
        return Forecast(due, on_time, uploaded, due_now, on_time_now, uploaded_now, max(to_come, 0))

    def _lacking(self, first: date, last: date, closed: frozenset[date]) -> Iterable[int]:
        """The weekdays of the open days of which nothing is there, though there must be."""
        found: list[int] = []
        # Of older days most of the card data is there: they brought nothing.
        for age in range(min(self._known_from - 1, _YOUNG), -1, -1):
            day = self._today - timedelta(days=age)
            if first <= day <= last and day not in closed and not self._has(day):
                found.append(day.weekday())
        begin = max(first, self._today + _DAY)
        found += open_weekdays(begin, last, closed.union(self._days[self._begun :]))
        return found

    def _has(self, day: date) -> bool:
        place = bisect_left(self._days, day)
        return place < len(self._days) and self._days[place] == day

    def _end_of(self, place: int) -> _End:
        day, tally = self._days[place], self._tallies[place]
        on_time = sum(tally.on_time.values(), _NOTHING)
        uploaded = on_time + sum(tally.late.values(), _NOTHING)
        due, age = tally.due, (self._today - day).days
        in_time, in_all, lacking = on_time, uploaded, _NOTHING
        if age < HORIZON:
            still = due - uploaded
            if still:
                more = still * self._curve.on_time[age]
                in_time += more
                in_all += more + still * self._curve.late[age]
            if age < self._known_from:
                # Of a day of which little is there the usual day says more than what is there.
                lacking = max(self._usual[day.weekday()] - due, _NOTHING)
            elif (known := self._curve.known[age]) != _ONE:
                lacking = due / known - due
        return due, on_time, uploaded, in_time, in_all, lacking

    def _usual_due(self) -> list[Decimal]:
        """What is due on a Monday, a Tuesday …, of days whose card data is there."""
        today, known = self._today, self._curve.known
        newest = max(self._known_from, 1)
        oldest = min(_USUAL_DAYS, (today - self._days[0]).days)
        sums = [_NOTHING] * 7
        for place in range(self._begun - 1, -1, -1):
            day = self._days[place]
            age = (today - day).days
            if age > oldest:
                break
            if age >= newest:
                due, share = self._tallies[place].due, known[age]
                sums[day.weekday()] += due if share == _ONE else due / share
        back = open_weekdays(
            today - timedelta(days=oldest), today - timedelta(days=newest), frozenset()
        )
        counts = [back.count(each) for each in range(7)]
        return [sums[each] / counts[each] if counts[each] else _NOTHING for each in range(7)]


def forecast(
    days: Mapping[date, DayTally],
    first: date,
    last: date,
    today: date,
    closed: frozenset[date] = frozenset(),
) -> Forecast | None:
    """One forecast of a :class:`Forecaster`."""
    return Forecaster(days, today).of(first, last, closed)


@lru_cache(maxsize=256)
def open_weekdays(first: date, last: date, closed: frozenset[date]) -> tuple[int, ...]:
    """The weekdays (Monday is 0) of the days from ``first`` to ``last`` but the closed ones."""
    days = (first + timedelta(days=each) for each in range((last - first).days + 1))
    return tuple(day.weekday() for day in days if day not in closed)


_Share = tuple[Decimal, Decimal]


def _of_new_orders(learnt: Sequence[DayTally], due: Decimal, curve: Completion) -> _Share:
    """The shares of orders not seen yet that will be on time, and uploaded at all: those of the
    day of the visit itself, and what comes of the others."""
    at_once_on_time = sum([each.on_time.get(0, _NOTHING) for each in learnt], _NOTHING) / due
    at_once_late = sum([each.late.get(0, _NOTHING) for each in learnt], _NOTHING) / due
    left = _ONE - at_once_on_time - at_once_late
    in_time = at_once_on_time + left * curve.on_time[0]
    return in_time, in_time + at_once_late + left * curve.late[0]
