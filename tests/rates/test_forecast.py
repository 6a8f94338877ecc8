"""The forecast corrects the decay of recent days and comes close on made-up quarters."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapping.rates.completion import HORIZON, DayTally
from mapping.rates.forecast import forecast

QUARTER = date(2026, 10, 1), date(2026, 12, 31)
BEGIN = date(2026, 8, 1)


def made_up(seed: int) -> list[tuple[date, int, int, bool]]:
    """Orders of five months: day, age at which the card data came, age of the upload (999: never),
    whether in time. Clinics differ in volume, tempo and diligence, and rest on Sundays."""
    chance = random.Random(seed)
    share, in_time = chance.uniform(0.4, 0.97), chance.uniform(0.5, 0.99)
    tempo = chance.uniform(0.25, 0.8)
    volume = [chance.randrange(15, 45) for _ in range(6)] + [0]
    found = []
    day = BEGIN
    while day <= QUARTER[1]:
        for _ in range(volume[day.weekday()] + chance.randrange(-4, 5)):
            age = 0
            while chance.random() > tempo and age < 30:
                age += 1
            uploaded = age if chance.random() < share else 999
            arrives = chance.choice((0, 0, 1, 1, 2, 4))
            found.append((day, arrives, max(uploaded, arrives), chance.random() < in_time))
        day += timedelta(days=1)
    return found


def known_on(orders: list[tuple[date, int, int, bool]], today: date) -> Mapping[date, DayTally]:
    days: dict[date, DayTally] = {}
    for day, arrives, uploaded, in_time in orders:
        if day + timedelta(days=arrives) > today:
            continue
        tally = days.setdefault(day, DayTally())
        tally.due += 1
        tally.arrived[arrives] = tally.arrived.get(arrives, Decimal(0)) + 1
        if uploaded < 999 and day + timedelta(days=uploaded) <= today:
            ages = tally.on_time if in_time else tally.late
            ages[uploaded] = ages.get(uploaded, Decimal(0)) + 1
    return days


@pytest.mark.parametrize("seed", range(12))
def test_at_half_quarter_the_forecast_is_within_two_points_and_better_than_what_is_known(
    seed: int,
) -> None:
    orders = made_up(seed)
    today = date(2026, 11, 15)
    found = forecast(known_on(orders, today), *QUARTER, today)
    assert found is not None
    wanted = [order for order in orders if QUARTER[0] <= order[0]]
    truth = 100 * sum(order[2] < 999 for order in wanted) / len(wanted)
    in_time = 100 * sum(order[2] < 999 and order[3] for order in wanted) / len(wanted)
    assert abs(float(100 * found.uploaded / found.due) - truth) < 2
    assert abs(float(100 * found.on_time / found.due) - in_time) < 2.5
    assert abs(float(found.due) / len(wanted) - 1) < 0.04


def test_on_the_average_of_many_quarters_the_error_is_below_one_point() -> None:
    today = date(2026, 11, 15)
    errors, naive = [], []
    for seed in range(100, 130):
        orders = made_up(seed)
        found = forecast(known_on(orders, today), *QUARTER, today)
        assert found is not None
        wanted = [order for order in orders if QUARTER[0] <= order[0]]
        truth = 100 * sum(order[2] < 999 for order in wanted) / len(wanted)
        errors.append(abs(float(100 * found.uploaded / found.due) - truth))
        naive.append(abs(float(100 * found.uploaded_now / found.due_now) - truth))
    assert sum(errors) / len(errors) < 1
    assert sum(errors) < 0.6 * sum(naive)


def test_what_is_settled_is_not_changed() -> None:
    days = {
        BEGIN + timedelta(days=number): DayTally(
            Decimal(10), {2: Decimal(7)}, {5: Decimal(1)}, {0: Decimal(10)}
        )
        for number in range(30)
    }
    last = BEGIN + timedelta(days=29)
    found = forecast(days, BEGIN, last, last + timedelta(days=59))
    assert found is not None
    assert [found.due, found.on_time, found.uploaded] == [300, 210, 240]
    assert [found.due_now, found.on_time_now, found.uploaded_now] == [300, 210, 240]


def test_the_last_days_are_lifted_to_what_earlier_days_became() -> None:
    days = {
        BEGIN + timedelta(days=number): DayTally(
            Decimal(10), {3: Decimal(8)} if number <= 26 else {}, {}, {0: Decimal(10)}
        )
        for number in range(30)
    }
    last = BEGIN + timedelta(days=29)
    found = forecast(days, BEGIN, last, last)
    assert found is not None
    assert found.uploaded_now == 216
    assert found.uploaded == 240


def test_closed_days_to_come_bring_nothing() -> None:
    days = {
        BEGIN + timedelta(days=number): DayTally(Decimal(10), {0: Decimal(5)}, {}, {0: Decimal(10)})
        for number in range(28)
    }
    today = BEGIN + timedelta(days=27)
    tomorrow = today + timedelta(days=1)
    open_day = forecast(days, BEGIN, tomorrow, today)
    closed = forecast(days, BEGIN, tomorrow, today, frozenset({tomorrow}))
    assert open_day is not None
    assert closed is not None
    assert [open_day.due - closed.due, open_day.uploaded - closed.uploaded] == [10, 5]
    assert (open_day.days_to_come, closed.days_to_come) == (1, 1)


def test_there_is_no_forecast_from_too_little() -> None:
    days = {BEGIN: DayTally(Decimal(29), {}, {}, {0: Decimal(29)})}
    assert forecast(days, BEGIN, BEGIN, BEGIN) is None
    assert forecast({}, BEGIN, BEGIN, BEGIN) is None


ages = st.dictionaries(st.integers(0, HORIZON + 20), st.integers(0, 9).map(Decimal), max_size=4)


@given(
    st.dictionaries(st.integers(-100, 0), st.tuples(ages, ages, st.integers(0, 30)), max_size=20),
    st.integers(-40, 10),
    st.integers(0, 45),
)
@settings(max_examples=150)
def test_any_history_gives_a_forecast_between_what_is_known_and_what_is_due(
    history: dict[int, tuple[dict[int, Decimal], dict[int, Decimal], int]], start: int, length: int
) -> None:
    today = date(2026, 11, 15)
    days = {}
    for back, (on_time, late, others) in history.items():
        seen = {age: each for age, each in on_time.items() if age <= -back}
        too_late = {age: each for age, each in late.items() if age <= -back}
        due = sum(seen.values()) + sum(too_late.values()) + others
        days[today + timedelta(days=back)] = DayTally(
            Decimal(due), seen, too_late, {0: Decimal(due)}
        )
    first = today + timedelta(days=start)
    found = forecast(days, first, first + timedelta(days=length), today)
    if found is not None:
        assert 0 <= found.on_time <= found.uploaded <= found.due
        assert found.uploaded_now <= found.uploaded
        assert found.on_time_now <= found.on_time
        assert found.due_now <= found.due
