"""The forecast as it is told, step by step and without any haste: what the product's must equal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from mapping.rates.completion import HORIZON, LEARNS_FROM, Completion, DayTally
from mapping.rates.forecast import LEAST, Forecast

_WEEKS = 8
_ONE = Decimal(1)
_NOTHING = Decimal(0)
_STEP = Decimal("0.1")


def completion(days: Mapping[date, DayTally], today: date) -> Completion:
    """How the days before ``today`` filled up. What is known is known to the end of ``today``."""
    size = HORIZON + 2
    # Each as steps by age: what begins or ends to count there.
    risk, seen_by = [_NOTHING] * size, [_NOTHING] * size
    came_on_time, came_late, arrived = [_NOTHING] * size, [_NOTHING] * size, [_NOTHING] * size
    for day, tally in days.items():
        age_now = (today - day).days
        if not 0 <= age_now <= LEARNS_FROM:
            continue
        last = min(age_now, HORIZON)
        risk[0] += tally.due
        risk[last + 1] -= tally.due
        for events, came in ((tally.on_time, came_on_time), (tally.late, came_late)):
            for age, part in events.items():
                if age <= last:
                    came[age] += part
                    risk[age + 1] -= part
                    risk[last + 1] += part
        for age, part in tally.arrived.items():
            if age <= last:
                arrived[age] += part
                seen_by[age] += part
                seen_by[last + 1] -= part
    for age in range(1, HORIZON + 1):
        risk[age] += risk[age - 1]
        seen_by[age] += seen_by[age - 1]
    on_time, late = [_NOTHING] * (HORIZON + 1), [_NOTHING] * (HORIZON + 1)
    known = [_ONE] * (HORIZON + 1)
    for age in range(HORIZON - 1, -1, -1):
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


_End = tuple[tuple[Decimal, ...], Decimal]
"""What a day is expected to end as, as the fields of a forecast, and what is due of it and not
known yet."""


class SlowForecaster:
    """Forecasts of one institution, or of several together: learns once, tells of any period.

    ``days`` holds the period so far and the days before it.
    """

    def __init__(self, days: Mapping[date, DayTally], today: date) -> None:
        self._days = days
        self._today = today
        learnt = [tally for day, tally in days.items() if 0 <= (today - day).days <= LEARNS_FROM]
        self.knows_enough = sum((tally.due for tally in learnt), _NOTHING) >= LEAST
        if self.knows_enough:
            self._curve = completion(days, today)
            self._usual = _usual_due(days, self._curve, today)
            self._new = _of_new_orders(learnt, self._curve)
            self._ends = {
                day: self._end_of(day, tally) for day, tally in days.items() if day <= today
            }

    def of(self, first: date, last: date, closed: frozenset[date] = frozenset()) -> Forecast | None:
        """The rates of the visits from ``first`` to ``last`` as they will be when all is settled.

        Days to come are taken to be like the same weekdays of the last eight weeks; ``closed``
        days bring nothing. None with too little to learn from.
        """
        if not self.knows_enough:
            return None
        totals = [_NOTHING] * 6
        missing = _NOTHING
        for day, (known, lacking) in self._ends.items():
            if first <= day <= last:
                missing += lacking
                for place in _PLACES:
                    totals[place] += known[place]
        day = max(first, self._today - timedelta(days=_YOUNG))
        to_come = 0
        while day <= last:
            to_come += day > self._today
            if day not in closed and day not in self._days and not self._is_known(day):
                missing += self._usual[day.weekday()]
            day += timedelta(days=1)
        for place, share in enumerate((_ONE, *self._new)):
            totals[place] += missing * share
        due, on_time, uploaded, due_now, on_time_now, uploaded_now = (
            each.quantize(_STEP, ROUND_HALF_UP) for each in totals
        )
        return Forecast(due, on_time, uploaded, due_now, on_time_now, uploaded_now, to_come)

    def _is_known(self, day: date) -> bool:
        """Whether most of the card data of a day must be there."""
        age = (self._today - day).days
        return age >= 0 and self._curve.known[min(age, HORIZON)] > _HALF

    def _end_of(self, day: date, tally: DayTally) -> _End:
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
            known = self._curve.known[age]
            if known > _HALF:
                lacking = due / known - due if known != _ONE else _NOTHING
            else:
                # Of a day of which little is there the usual day says more than what is there.
                lacking = max(self._usual[day.weekday()] - due, _NOTHING)
        return (due, in_time, in_all, due, on_time, uploaded), lacking


_HALF = Decimal("0.5")
_YOUNG = 14
_PLACES = range(6)
_Share = tuple[Decimal, Decimal]


def _of_new_orders(learnt: Iterable[DayTally], curve: Completion) -> _Share:
    """The shares of orders not seen yet that will be on time, and uploaded at all: those of the
    day of the visit itself, and what comes of the others."""
    due = on_time = late = _NOTHING
    for tally in learnt:
        due += tally.due
        on_time += tally.on_time.get(0, _NOTHING)
        late += tally.late.get(0, _NOTHING)
    at_once_on_time, at_once_late = on_time / due, late / due
    left = _ONE - at_once_on_time - at_once_late
    in_time = at_once_on_time + left * curve.on_time[0]
    return in_time, in_time + at_once_late + left * curve.late[0]


def _usual_due(days: Mapping[date, DayTally], curve: Completion, today: date) -> list[Decimal]:
    """What is due on a Monday, a Tuesday …, of days whose card data is there."""
    sums, counts = [_NOTHING] * 7, [0] * 7
    begins = min(days, default=today)
    for back in range(1, min(7 * _WEEKS, (today - begins).days) + 1):
        known = curve.known[back]
        if known <= _HALF:
            continue
        day = today - timedelta(days=back)
        weekday = day.weekday()
        counts[weekday] += 1
        tally = days.get(day)
        if tally is not None:
            sums[weekday] += tally.due if known == _ONE else tally.due / known
    return [sums[each] / counts[each] if counts[each] else _NOTHING for each in range(7)]
