"""Warnings come early enough, and the store's question is the same as the rule's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.lateness import (
    AHEAD,
    FAR,
    HALF_REWARD,
    Pace,
    Reward,
    last_chance,
    part_horizon,
    reward_at,
    risk_horizon,
    warn_at,
)
from broker.opening_hours import OpeningHours, read_hours

MONDAY = datetime(2026, 11, 22, 16, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WORK = read_hours(["mon-fri 08:00-17:30", "sat 08:00-12:00"], [date(2026, 11, 25)])

hours = st.sampled_from(
    (
        OpeningHours(),
        WORK,
        read_hours(["daily 07:00-22:00"]),
        read_hours(["mon 09:00-10:00"]),
        OpeningHours(((),) * 7),
    )
)
instants = st.integers(0, 10 * 1440).map(lambda minutes: MONDAY + minutes * MINUTE)
paces = st.builds(
    Pace,
    st.integers(0, 600).map(lambda m: m * MINUTE),
    st.integers(0, 600).map(lambda m: m * MINUTE),
)


@given(instants, instants, hours, paces, st.booleans())
def test_the_horizon_asks_for_just_what_is_to_be_warned_of(
    now: datetime, due: datetime, open_: OpeningHours, pace: Pace, held: bool
) -> None:
    warned_at = warn_at(due, open_, pace, held=held)
    at_risk = warned_at is None or warned_at <= now
    assert (due < risk_horizon(now, open_, pace, held=held)) == at_risk


@given(instants, hours, paces, st.booleans())
def test_a_warning_leaves_six_hours(
    due: datetime, open_: OpeningHours, pace: Pace, held: bool
) -> None:
    chance = last_chance(due, open_)
    warned_at = warn_at(due, open_, pace, held=held)
    if chance is None:
        assert warned_at is None
    else:
        assert warned_at is not None
        assert chance <= due
        assert chance - warned_at >= AHEAD


@given(instants, st.integers(0, 1440), hours)
def test_nobody_is_warned_of_a_part_that_could_have_left(
    start: datetime, minutes: int, open_: OpeningHours
) -> None:
    due, margin = start + minutes * MINUTE, timedelta(hours=2)
    at, told = start, False
    for _ in range(0, minutes, 15):
        told = told or due < risk_horizon(at, open_)
        if open_.is_open(at):
            early = part_horizon(at, open_, ahead=AHEAD + margin, margin=margin)
            assert due < early or not due < risk_horizon(at, open_), "at risk, and it waits"
            if due < early:
                break
        elif told:
            # At risk already when the card comes: it leaves then.
            opens = open_.next_open(at)
            assert opens is None or due < part_horizon(
                opens, open_, ahead=AHEAD + margin, margin=margin
            )
        at += 15 * MINUTE


@given(instants, hours)
def test_a_part_waits_while_there_is_time(now: datetime, open_: OpeningHours) -> None:
    ahead = AHEAD + timedelta(hours=2)
    if not open_.is_open(now) or not open_.is_open(now + timedelta(hours=10)):
        return
    closes_at = open_.closes_at(now)
    due = now + timedelta(hours=10)
    if closes_at is None or closes_at > now + timedelta(hours=2):
        assert due >= part_horizon(now, open_, ahead=ahead, margin=timedelta(hours=2))


def test_what_is_due_at_night_must_leave_before_the_card_does() -> None:
    night = datetime(2026, 11, 23, 14, tzinfo=UTC)  # Monday 22:00
    assert last_chance(night, WORK) == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert warn_at(night, WORK) == datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
    assert risk_horizon(night, OpeningHours(((),) * 7)) == FAR


def test_the_reward_falls_after_a_day_and_after_three() -> None:
    assert reward_at(MONDAY, MONDAY) is Reward.FULL
    assert reward_at(MONDAY, MONDAY + MINUTE) is Reward.HALF
    assert reward_at(MONDAY, MONDAY + HALF_REWARD) is Reward.HALF
    assert reward_at(MONDAY, MONDAY + HALF_REWARD + MINUTE) is Reward.RATE_ONLY
