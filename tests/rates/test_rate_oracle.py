"""Rates of random data, recomputed by plain SQL that shares nothing with the product's queries: it
opens the visits as they are stored and asks for each order anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from broker.rates.board import board_of
from broker.rates.month import Month, rates_of
from mapping.catalogue.tables import order_codes
from mapping.rates.counted_order import RateName
from mapping.rates.cuts import Cut, cut_rates
from mapping.rates.groups import Groups, Membership
from mapping.rates.rate import Rate
from mapping.rates.what_if import what_if
from mapping.visit import Order
from tests.rates.rate_store import RateStore, memory_rate_store

NOVEMBER = Month(2026, 11)
NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
CLINICS = ("3501200000", "3531000000", "3532000000")
CODES = ("09005C", "08011C", "32001C", "32002C", "32009C", "32010C", "34004C", "ZZZZZZ")
GROUPS = Groups([Membership("G1", CLINICS[0]), Membership("G1", CLINICS[1])])

ORACLE = """
WITH pair(one, other) AS (VALUES
    ('32001C', '32002C'), ('32002C', '32001C'), ('32009C', '32010C'), ('32010C', '32009C')),
line AS (
    SELECT v.id, v.institution_code, v.visit_on, v.body,
        json_extract(o.value, '$.order_code') AS code,
        CAST(round(json_extract(o.value, '$.quantity') * 10) AS INTEGER) AS tenths,
        json_extract(o.value, '$.upload_opted_out') AS opted_out
    FROM visit v, json_each(v.body, '$.orders') o
    WHERE v.visit_on BETWEEN '2026-11-01' AND '2026-11-30'
        AND v.visit_type NOT IN ('ZA', 'ZB')
        AND json_extract(v.body, '$.cancelled') = 0 AND json_extract(v.body, '$.provisional') = 0
        AND json_extract(o.value, '$.cancelled') = 0),
known AS (
    SELECT line.*,
        EXISTS (SELECT 1 FROM record r WHERE r.visit_id = line.id AND r.was_accepted
            AND r.state <> 'superseded' AND (r.order_code = code
            OR r.order_code = (SELECT other FROM pair WHERE one = code))) AS uploaded,
        EXISTS (SELECT 1 FROM record r WHERE r.visit_id = line.id AND r.was_accepted
            AND r.state <> 'superseded' AND r.confirmed_at <= r.due_at AND (r.order_code = code
            OR r.order_code = (SELECT other FROM pair WHERE one = code))) AS on_time
    FROM line)
SELECT institution_code, code,
    SUM(CASE WHEN opted_out THEN 0 ELSE tenths END) AS due,
    SUM(CASE WHEN opted_out THEN 0 ELSE tenths * uploaded END) AS uploaded,
    SUM(CASE WHEN opted_out THEN 0 ELSE tenths * on_time END) AS on_time,
    SUM(CASE WHEN opted_out THEN tenths ELSE 0 END) AS opted_out,
    SUM(CASE WHEN visit_on <= '2026-11-26' THEN tenths ELSE 0 END) AS card_due,
    SUM(CASE WHEN visit_on <= '2026-11-26' AND NOT opted_out THEN tenths * uploaded ELSE 0 END)
        AS card_uploaded
FROM known GROUP BY institution_code, code
"""

orders = st.builds(
    Order,
    st.sampled_from(CODES),
    st.integers(1, 30).map(lambda tenths: Decimal(tenths) / 10),
    st.sampled_from(("", "0", "2", "4")),
    cancelled=st.sampled_from((False, False, False, True)),
)
records = st.fixed_dictionaries(
    {
        "code": st.sampled_from(CODES),
        "state": st.sampled_from(
            ("accepted", "accepted", "held", "ready", "sealed", "rejected", "superseded")
        ),
        "hours": st.sampled_from((1, 23.99, 24, 24.01, 80)),
        "was_accepted": st.booleans(),
        "own": st.booleans(),
    }
)
visits = st.fixed_dictionaries(
    {
        "day": st.integers(-3, 33),
        "clinic": st.sampled_from(CLINICS),
        "orders": st.lists(orders, min_size=1, max_size=4),
        "records": st.lists(records, max_size=4),
        "opted_out": st.sampled_from(("", "", *CODES)),
        "kind": st.sampled_from(("01", "01", "01", "ZB")),
        "cancelled": st.sampled_from((False, False, False, True)),
    }
)


def fill(store: RateStore, found: list[dict[str, Any]]) -> None:
    for each in found:
        day = date(2026, 11, 1) + timedelta(days=each["day"])
        lines = [
            Order(
                line.order_code,
                line.quantity,
                line.dispensing_code,
                cancelled=line.cancelled,
                upload_opted_out=line.order_code == each["opted_out"],
                placer_order_number=str(number),
            )
            for number, line in enumerate(each["orders"])
        ]
        visit_id = store.add_visit(
            day,
            *lines,
            institution=each["clinic"],
            visit_type=each["kind"],
            cancelled=each["cancelled"],
        )
        for row in each["records"]:
            accepted = row["state"] == "accepted" or (
                row["was_accepted"] and row["state"] in ("sealed", "superseded")
            )
            store.add_record(
                visit_id,
                row["code"],
                row["state"],
                hours=row["hours"],
                started_at=datetime(day.year, day.month, day.day, 3, tzinfo=UTC),
                was_accepted=accepted,
                uploader=each["clinic"] if row["own"] else "JY31060000",
            )


def tenths(rate: Rate) -> tuple[Any, ...]:
    return rate.due * 10, rate.uploaded * 10, rate.opted_out * 10


@given(st.lists(visits, max_size=7))
# Without shrinking, which would go on for minutes: each example fills a store of its own.
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
def test_rates_cuts_and_boards_are_what_plain_sql_says(found: list[dict[str, Any]]) -> None:
    store = memory_rate_store()
    fill(store, found)
    with store.engine.connect() as connection:
        listed = [row for row in connection.execute(text(ORACLE)) if row.code in order_codes()]
        board = board_of(connection, None, NOVEMBER, NOW, GROUPS)
        for clinic in CLINICS:
            own = [row for row in listed if row.institution_code == clinic]
            told = rates_of(connection, frozenset({clinic}), NOVEMBER, NOW)
            _agree(told.rates, own)
            on_board = next((row for row in board.clinics if row.key == clinic), None)
            if on_board is not None:
                _agree(
                    {
                        RateName.WITHIN_24H: on_board.within_24h,
                        RateName.WHOLE_MONTH: on_board.whole_month,
                        RateName.IC_CARD: on_board.ic_card,
                    },
                    own,
                )
                card = told.rates[RateName.IC_CARD]
                assert (on_board.ic_card.own, on_board.ic_card.commissioned) == (
                    card.own,
                    card.commissioned,
                )
                if told.tiers is not None:
                    way = what_if(told.orders, RateName.WHOLE_MONTH, told.tiers, told.data_on, NOW)
                    needed = len(way.orders) if way is not None and way.reachable else None
                    assert on_board.orders_needed == needed
            for row in cut_rates(told.orders, Cut.ORDER_CODE, told.rates, told.data_on):
                _agree(row.rates, [each for each in own if each.code == row.key])
        everywhere = rates_of(connection, None, NOVEMBER, NOW)
        _agree(everywhere.rates, listed)
        assert board.everywhere.whole_month == everywhere.rates[RateName.WHOLE_MONTH]
        for group in board.groups:
            assert group.key == "G1"
            assert group.whole_month.due * 10 == sum(
                each.due for each in listed if each.institution_code in CLINICS[:2]
            )
    store.engine.dispose()


def _agree(rates: Any, rows: list[Any]) -> None:
    def total(column: str) -> int:
        return sum(getattr(row, column) for row in rows)

    opted_out = total("opted_out")
    assert tenths(rates[RateName.WITHIN_24H]) == (total("due"), total("on_time"), opted_out)
    assert tenths(rates[RateName.WHOLE_MONTH]) == (total("due"), total("uploaded"), opted_out)
    card = rates[RateName.IC_CARD]
    assert tenths(card)[:2] == (total("card_due"), total("card_uploaded"))
