"""Counted orders of any kind, for properties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from mapping.rates.counted_order import CountedOrder, NhiList, Progress

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
CODES = ("09005C", "08011C", "32001C", "34004C", "12007C")

quantities = st.integers(1, 40).map(lambda tenths: Decimal(tenths) / 10)


@st.composite
def counted(draw: st.DrawFn, number: int = 0) -> CountedOrder:
    progress = draw(st.sampled_from(Progress))
    uploaded = progress in (Progress.ON_TIME, Progress.LATE)
    due = draw(st.none() | st.integers(-72, 72).map(lambda hours: NOW + timedelta(hours=hours)))
    return CountedOrder(
        draw(st.sampled_from(("3501200000", "3531000000", "3532000000"))),
        number,
        TODAY - timedelta(days=draw(st.integers(0, 19))),
        draw(st.sampled_from(CODES)),
        draw(quantities),
        progress,
        provider_id=draw(st.sampled_from(("", "A100000001"))),
        lab_code=draw(st.sampled_from(("", "JY31060000"))),
        own_upload=draw(st.booleans()) if uploaded else None,
        due_at=due,
    )


@st.composite
def many(draw: st.DrawFn, largest: int = 25) -> list[CountedOrder]:
    count = draw(st.integers(0, largest))
    return [draw(counted(number)) for number in range(count)]


@st.composite
def lists(draw: st.DrawFn, orders: list[CountedOrder]) -> NhiList:
    first = TODAY - timedelta(days=draw(st.integers(0, 19)))
    listed = frozenset(order.key for order in orders if draw(st.booleans()))
    return NhiList(first, TODAY - timedelta(days=2), TODAY, listed)
