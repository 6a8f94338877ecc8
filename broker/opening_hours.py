"""When something is there to be used: a card in its reader, the gateway. Pure.

Hours are Taipei's, as people write them: ``mon-fri 08:00-17:30``, ``sat 08:00-12:00``,
``daily 00:00-24:00``. A holiday closes the whole day. Instants are aware UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LINE = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?|(?P<daily>daily))"
    r" (?P<opens>[0-2][0-9]:[0-5][0-9])-(?P<closes>[0-2][0-9]:[0-5][0-9])"
)
_WHOLE_DAY = (0, 24 * 60)
# A closure longer than this is no closure but a mistake in the settings.
_HORIZON_DAYS = 60

Span = tuple[int, int]
"""Minutes of a day: opens, closes (``(0, 1440)`` the whole day)."""


class HoursUnreadable(LabbrokerError):
    code = "hours-unreadable"
    en = (
        "{text!r} is no opening time.",
        "Write it as `mon-fri 08:00-17:30`, `sat 08:00-12:00` or `daily 00:00-24:00`.",
    )
    zh = (
        "{text!r} 不是營業時間。",
        "請寫成 `mon-fri 08:00-17:30`、`sat 08:00-12:00` 或 `daily 00:00-24:00`。",
    )


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """``week[0]`` are Monday's spans, in order and without overlap. ``closed_on``: holidays."""

    week: tuple[tuple[Span, ...], ...] = ((_WHOLE_DAY,),) * 7
    closed_on: frozenset[date] = frozenset()

    @property
    def is_always_open(self) -> bool:
        return not self.closed_on and all(spans == (_WHOLE_DAY,) for spans in self.week)

    def is_open(self, at: datetime) -> bool:
        """Whether it can be used at ``at``; the closing minute itself is closed."""
        if self.is_always_open:
            return True
        day, minutes = _place(at)
        return any(opens <= minutes < closes for opens, closes in self._spans(day))

    def next_open(self, at: datetime) -> datetime | None:
        """``at`` itself where it is open, else when it opens; None where it does not for long."""
        if self.is_open(at):
            return at
        day, minutes = _place(at)
        for offset in range(_HORIZON_DAYS):
            on = day + timedelta(days=offset)
            for opens, _ in self._spans(on):
                if offset or opens > minutes:
                    return _instant(on, opens)
        return None

    def closes_at(self, at: datetime) -> datetime | None:
        """When it closes, seen from an open ``at``; None where it stays open for long. Raises
        :class:`ValueError` where ``at`` is closed."""
        if self.is_always_open:
            return None
        day, minutes = _place(at)
        if not self.is_open(at):
            raise ValueError("closed already")
        closes = next(c for o, c in self._spans(day) if o <= minutes < c)
        for offset in range(1, _HORIZON_DAYS):
            if closes < _WHOLE_DAY[1]:
                return _instant(day + timedelta(days=offset - 1), closes)
            spans = self._spans(day + timedelta(days=offset))
            closes = spans[0][1] if spans and spans[0][0] == 0 else 0
        return None

    def last_open(self, until: datetime) -> datetime | None:
        """The last instant up to ``until`` that something could still be done at: ``until`` where
        it is open, else when it had closed; None where it was not open for long."""
        if self.is_open(until):
            return until
        day, minutes = _place(until)
        for offset in range(_HORIZON_DAYS):
            on = day - timedelta(days=offset)
            for _, closes in reversed(self._spans(on)):
                if offset or closes <= minutes:
                    return _instant(on, closes)
        return None

    def except_on(self, holidays: frozenset[date]) -> OpeningHours:
        """Closed on these days as well; what is always open has no holidays."""
        if self.is_always_open:
            return self
        return OpeningHours(self.week, self.closed_on | holidays)

    def within(self, other: OpeningHours) -> OpeningHours:
        """When both are open."""
        week = tuple(_common(one, two) for one, two in zip(self.week, other.week, strict=True))
        return OpeningHours(week, self.closed_on | other.closed_on)

    def _spans(self, day: date) -> tuple[Span, ...]:
        return () if day in self.closed_on else self.week[day.weekday()]


ALWAYS = OpeningHours()


def read_hours(lines: Sequence[str], holidays: Iterable[date] = ()) -> OpeningHours:
    """The hours that ``lines`` name; none at all is "always", whatever the holidays.

    Raises :class:`HoursUnreadable`.
    """
    if not lines:
        return ALWAYS
    week: list[list[Span]] = [[] for _ in _DAYS]
    for line in lines:
        match = _LINE.fullmatch(" ".join(line.lower().split()))
        if match is None:
            raise HoursUnreadable(text=line)
        span = (_minutes(match["opens"]), _minutes(match["closes"]))
        if not span[0] < span[1] <= _WHOLE_DAY[1]:
            raise HoursUnreadable(text=line)
        for weekday in _weekdays(match, line):
            week[weekday].append(span)
    return OpeningHours(tuple(_joined(spans) for spans in week), frozenset(holidays))


def without(closures: OpeningHours) -> OpeningHours:
    """Open whenever ``closures`` is not: for what is written down as closing times."""
    if closures is ALWAYS:
        return ALWAYS
    week = []
    for spans in closures.week:
        edges = [0, *(minute for span in spans for minute in span), _WHOLE_DAY[1]]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        week.append(tuple((start, end) for start, end in pairs if start < end))
    return OpeningHours(tuple(week))


def _weekdays(match: re.Match[str], line: str) -> range:
    if match["daily"]:
        return range(7)
    first, last = match["first"], match["last"] or match["first"]
    if first not in _DAYS or last not in _DAYS or _DAYS.index(first) > _DAYS.index(last):
        raise HoursUnreadable(text=line)
    return range(_DAYS.index(first), _DAYS.index(last) + 1)


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for opens, closes in sorted(spans):
        if joined and opens <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(closes, joined[-1][1]))
        else:
            joined.append((opens, closes))
    return tuple(joined)


def _common(one: Sequence[Span], two: Sequence[Span]) -> tuple[Span, ...]:
    return tuple((max(a, c), min(b, d)) for a, b in one for c, d in two if max(a, c) < min(b, d))


def _place(at: datetime) -> tuple[date, float]:
    local = at.astimezone(TAIPEI)
    return local.date(), local.hour * 60 + local.minute + local.second / 60


def _instant(day: date, minute: int) -> datetime:
    midnight = datetime.combine(day, time(), TAIPEI)
    return (midnight + timedelta(minutes=minute)).astimezone(UTC)
