"""The short figure of status and demo is the figure of the rates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from broker.rates.month import Month, rates_of
from broker.rates.standing import percent_of, plain_number, standings
from mapping.rates.counted_order import RateName
from tests.rates.rate_store import CLINIC, open_rate_store, order


def test_it_agrees_with_the_rate_of_the_month(tmp_path: Path) -> None:
    store = open_rate_store(tmp_path / "store")
    visit = store.add_visit(date(2026, 11, 3), order("09005C", "2"), order("09015C", "1.5"))
    store.add_record(visit, "09005C")
    store.add_record(visit, "09015C", hours=30)
    store.add_visit(date(2026, 10, 31), order("09005C"))
    month = Month(2026, 11)
    with store.engine.connect() as connection:
        (standing,) = standings(connection, month.first, month.last)
        now = datetime(2026, 11, 20, tzinfo=UTC)
        rate = rates_of(connection, None, month, now).rates[RateName.WITHIN_24H]
    store.engine.dispose()
    assert (standing.clinic_code, standing.due, standing.uploaded) == (
        CLINIC,
        Decimal("3.5"),
        Decimal("3.5"),
    )
    assert (standing.on_time, standing.due) == (rate.uploaded, rate.due)
    assert standing.percent == Decimal("57.1")


def test_without_orders_there_is_no_percentage() -> None:
    assert percent_of(Decimal(0), Decimal(0)) is None


@pytest.mark.parametrize(("value", "told"), [("3.000", 3), ("3.500", "3.5"), ("0", 0), ("10", 10)])
def test_a_quantity_is_told_exactly(value: str, told: int | str) -> None:
    assert plain_number(Decimal(value)) == told
