"""The board's fast way comes to the same figures, to the digit, as one order after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from broker.rates.board import board_of
from broker.rates.month import Month
from broker.rates.outlook import learns_since
from broker.store.rate_tables import rate_order
from broker.store.rate_tallies import institution_kinds, kinds_together, tally_of
from broker.store.schema import record
from mapping.moment import TAIPEI
from mapping.rates.completion import HORIZON, DayTally
from mapping.rates.forecast import Forecaster
from mapping.visit import Order
from tests.rates.rate_store import RateStore, memory_rate_store
from tests.rates.slow_forecast import SlowForecaster

NOVEMBER = Month(2026, 11)
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
TODAY = date(2026, 11, 20)
CLINICS = ("3501200000", "3531000000")
CODES = ("09005C", "08011C", "32001C", "32002C")
PAIRS = {"32001C": "32002C", "32002C": "32001C"}

Came = dict[int, Decimal]

quantities = st.integers(1, 9000).map(lambda thousandths: Decimal(thousandths) / 1000)
events = st.dictionaries(st.integers(0, HORIZON + 20), quantities, max_size=4)


@given(
    st.dictionaries(
        st.integers(-100, 3),
        st.tuples(events, events, events, quantities),
        min_size=3,
        max_size=30,
    ),
    st.integers(-50, 10),
    st.integers(0, 60),
    st.frozensets(st.integers(-50, 40), max_size=12),
)
@settings(max_examples=100, deadline=None)
def test_a_forecast_is_the_one_that_is_told_step_by_step(
    history: dict[int, tuple[Came, Came, Came, Decimal]], start: int, length: int, rest: set[int]
) -> None:
    days = {}
    for back in sorted(history):
        on_time, late, arrived, others = history[back]
        uploads = [_until(-back, each) for each in (on_time, late)]
        known = _until(-back, arrived)
        due = sum((*uploads[0].values(), *uploads[1].values()), Decimal(0)) + others
        known[max(known, default=0)] = known.get(max(known, default=0), Decimal(0)) + due
        days[TODAY + timedelta(days=back)] = DayTally(due, uploads[0], uploads[1], known)
    closed = frozenset(TODAY + timedelta(days=each) for each in rest)
    fast, slow = Forecaster(days, TODAY), SlowForecaster(days, TODAY)
    first = TODAY + timedelta(days=start)
    periods = (
        (first, first + timedelta(days=length)),
        (first - timedelta(days=20), first + timedelta(days=3)),
        (first - timedelta(days=40), first + timedelta(days=length)),
    )
    for period in periods:
        assert fast.of(*period, closed) == slow.of(*period, closed)


def _until(age_now: int, came: Came) -> Came:
    return {age: part for age, part in came.items() if age <= age_now}


results = st.fixed_dictionaries(
    {
        "code": st.sampled_from(CODES),
        "state": st.sampled_from(("accepted", "accepted", "accepted", "superseded", "ready")),
        "hours": st.sampled_from((None, 2, 24, 24.01, 70)),
        "days": st.integers(0, 5),
        "own": st.booleans(),
    }
)
visits = st.fixed_dictionaries(
    {
        "back": st.integers(-3, 95),
        "clinic": st.sampled_from(CLINICS),
        "orders": st.lists(st.tuples(st.sampled_from(CODES), quantities), min_size=1, max_size=3),
        "results": st.lists(results, max_size=4),
        "opted_out": st.sampled_from(("", "", *CODES)),
        "arrives": st.integers(0, 3),
    }
)


@given(st.lists(visits, min_size=1, max_size=9))
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
def test_a_tally_is_what_one_order_after_the_other_comes_to(found: list[dict[str, Any]]) -> None:
    store = memory_rate_store()
    for each in found:
        _add(store, each)
    since = learns_since(NOVEMBER, TODAY)
    month = NOVEMBER.first, NOVEMBER.last
    with store.engine.connect() as connection:
        told = {
            code: tally_of(kinds)
            for code, kinds in institution_kinds(connection, None, since, month, TODAY)
        }
        wanted = _slow_days(connection, since)
        assert {code: tally.days for code, tally in told.items() if tally.days} == wanted
        for clinic in CLINICS:
            alone = institution_kinds(connection, frozenset({clinic}), since, month, TODAY)
            kinds = kinds_together(kinds for _, kinds in alone)
            assert tally_of(kinds).days == wanted.get(clinic, {})
        board = board_of(connection, None, NOVEMBER, NOW)
        for row in board.clinics:
            slow = SlowForecaster(dict(sorted(wanted.get(row.key, {}).items())), TODAY)
            expected = slow.of(*month)
            if expected is None or not expected.due:
                assert row.outlook.month is None
            else:
                assert row.outlook.month is not None
                assert row.outlook.month.forecast == expected
    store.engine.dispose()


def _add(store: RateStore, each: dict[str, Any]) -> None:
    day = TODAY - timedelta(days=each["back"])
    at = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
    visit_id = store.add_visit(
        day,
        *(
            Order(code, quantity, upload_opted_out=code == each["opted_out"])
            for code, quantity in each["orders"]
        ),
        institution=each["clinic"],
        arrived_at=at + timedelta(days=each["arrives"], hours=15),
    )
    for result in each["results"]:
        store.add_record(
            visit_id,
            result["code"],
            result["state"],
            hours=result["hours"],
            started_at=at + timedelta(days=result["days"]),
            uploader=each["clinic"] if result["own"] else "JY31060000",
        )


def _slow_days(connection: Connection, since: date) -> Mapping[str, dict[date, DayTally]]:
    """Each order by itself, with the earliest of its accepted results that is in time, else the
    earliest."""
    living = [
        row
        for row in connection.execute(select(record).order_by(record.c.id))
        if row.was_accepted and row.state != "superseded"
    ]
    found: dict[str, dict[date, DayTally]] = defaultdict(dict)
    for order in connection.execute(
        select(rate_order).where(rate_order.c.visit_on.between(since, NOVEMBER.last))
    ):
        if not order.due:
            continue
        codes = {order.order_code, PAIRS.get(order.order_code, order.order_code)}
        own = [row for row in living if row.visit_id == order.visit_id and row.order_code in codes]
        quantity = Decimal(order.due) / 1000
        tally = found[order.institution_code].setdefault(order.visit_on, DayTally())
        tally.due += quantity
        _count(tally.arrived, order.visit_on, order.arrived_at, quantity)
        if own:
            best = min(own, key=_rank)
            into = tally.late if _rank(best)[0] else tally.on_time
            came_at = best.checked_at or best.confirmed_at or order.arrived_at
            _count(into, order.visit_on, came_at, quantity)
    return found


def _rank(row: Any) -> tuple[bool, bool, datetime, int]:
    if row.confirmed_at is None:
        return True, True, row.due_at, row.id
    return row.confirmed_at > row.due_at, False, row.confirmed_at, row.id


def _count(into: dict[int, Decimal], day: date, at: datetime, quantity: Decimal) -> None:
    age = max((at.astimezone(TAIPEI).date() - day).days, 0)
    into[age] = into.get(age, Decimal(0)) + quantity
