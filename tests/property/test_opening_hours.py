"""Opening hours against a reading of each minute of two weeks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.opening_hours import ALWAYS, HoursUnreadable, OpeningHours, read_hours, without

MONDAY = datetime(2026, 11, 22, 16, tzinfo=UTC)  # 00:00 of Monday the 23rd in Taipei
MINUTE = timedelta(minutes=1)

spans = st.lists(
    st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda span: span[0] < span[1]),
    max_size=3,
)
days = st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun", "daily", "mon-fri"))


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    return [
        f"{draw(days)} {clock(opens)}-{clock(closes)}" for opens, closes in draw(spans.filter(bool))
    ]


def read(at: datetime, said: list[str], holidays: frozenset[date]) -> bool:
    """The slow reading: does one of the lines name this minute?"""
    local = at + timedelta(hours=8)
    if local.date() in holidays:
        return False
    minute = local.hour * 60 + local.minute
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for line in said:
        on, hours = line.split(" ")
        opens, closes = (int(text[:2]) * 60 + int(text[3:]) for text in hours.split("-"))
        today = on in ("daily", names[local.weekday()])
        today = today or (on == "mon-fri" and local.weekday() < 5)
        if today and opens <= minute < closes:
            return True
    return False


offsets = st.integers(0, 14 * 1440)
closed_days = st.frozensets(st.dates(date(2026, 11, 23), date(2026, 12, 6)), max_size=4)


@given(lines(), closed_days, offsets)
def test_every_minute_is_open_as_the_lines_say(
    said: list[str], holidays: frozenset[date], offset: int
) -> None:
    at = MONDAY + offset * MINUTE
    hours = read_hours(said, holidays)
    assert hours.is_open(at) == read(at, said, holidays)


@given(lines(), closed_days, offsets)
def test_the_next_opening_is_the_first_open_minute(
    said: list[str], holidays: frozenset[date], offset: int
) -> None:
    at = MONDAY + offset * MINUTE
    hours = read_hours(said, holidays)
    opens = hours.next_open(at)
    assert opens is not None
    assert hours.is_open(opens)
    assert opens >= at
    assert not any(
        hours.is_open(at + step * MINUTE) for step in range(min(3000, (opens - at) // MINUTE))
    )


@given(lines(), closed_days, offsets)
def test_closing_and_last_opening_meet(
    said: list[str], holidays: frozenset[date], offset: int
) -> None:
    at = MONDAY + offset * MINUTE
    hours = read_hours(said, holidays)
    if hours.is_open(at):
        assert hours.last_open(at) == at
        closes = hours.closes_at(at)
        if closes is not None:
            assert hours.is_open(closes - MINUTE)
            assert not hours.is_open(closes)
            assert hours.last_open(closes) == closes
    else:
        closed_at = hours.last_open(at)
        if closed_at is not None:
            assert closed_at <= at
            assert hours.is_open(closed_at - MINUTE)
            assert not hours.is_open(closed_at)
        with pytest.raises(ValueError, match="closed"):
            hours.closes_at(at)


@given(lines(), lines(), offsets)
def test_both_and_not(one: list[str], two: list[str], offset: int) -> None:
    at = MONDAY + offset * MINUTE
    first, second = read_hours(one), read_hours(two)
    assert first.within(second).is_open(at) == (first.is_open(at) and second.is_open(at))
    assert without(first).is_open(at) != first.is_open(at)


def test_what_is_always_open_never_closes() -> None:
    assert read_hours([]) is ALWAYS
    assert read_hours(["daily 00:00-24:00"]).is_always_open
    assert ALWAYS.closes_at(MONDAY) is None
    assert without(ALWAYS) is ALWAYS
    assert OpeningHours(((),) * 7).next_open(MONDAY) is None
    assert OpeningHours(((),) * 7).last_open(MONDAY) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "mon",
        "mon 8:00-17:00",
        "mon 17:00-08:00",
        "mon 08:00-25:00",
        "xyz 08:00-09:00",
        "fri-mon 08:00-09:00",
        "mon 08:00-08:00",
        "mon 08:00-24:30",
    ],
)
def test_what_is_no_opening_time_is_refused(line: str) -> None:
    with pytest.raises(HoursUnreadable):
        read_hours([line])
