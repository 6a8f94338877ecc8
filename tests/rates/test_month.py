"""The four rates of a month from what the store holds, and why they differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from broker.rates.board import board_of
from broker.rates.month import Month, MonthRates, MonthUnreadable, rates_of
from broker.store.unuploaded import ListHead, append_rows, begin_list, end_list
from broker.store.visits import get_visit, set_opted_out
from mapping.rates.counted_order import Progress, RateName
from mapping.rates.differences import Cause
from mapping.unuploaded import UnuploadedRow
from tests.rates.rate_store import CLINIC, LAB, RateStore, open_rate_store, order

NOVEMBER = Month(2026, 11)
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
OTHER = "3511100000"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RateStore]:
    opened = open_rate_store(tmp_path / "store")
    yield opened
    opened.engine.dispose()


def month(
    store: RateStore, institutions: frozenset[str] | None = frozenset({CLINIC})
) -> MonthRates:
    with store.engine.connect() as connection:
        return rates_of(connection, institutions, NOVEMBER, NOW)


def numbers(found: MonthRates, name: RateName) -> tuple[Any, Any]:
    return found.rates[name].uploaded, found.rates[name].due


def test_quantity_is_counted_and_not_lines(store: RateStore) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("09005C", "2"), order("09015C", "1.5"))
    store.add_record(visit, "09005C")
    assert numbers(month(store), RateName.WHOLE_MONTH) == (Decimal(2), Decimal("3.5"))


def test_what_came_late_counts_for_the_month_and_not_for_the_24_hours(store: RateStore) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("09005C"), order("09015C"))
    store.add_record(visit, "09005C", hours=24)
    store.add_record(visit, "09015C", hours=24.01)
    found = month(store)
    assert numbers(found, RateName.WITHIN_24H) == (1, 2)
    assert numbers(found, RateName.WHOLE_MONTH) == (2, 2)
    (late,) = found.difference(RateName.WITHIN_24H, RateName.WHOLE_MONTH)
    assert (late.cause, late.uploaded, late.due) == (Cause.LATE, Decimal(1), Decimal(0))
    assert [each.order_code for each in late.orders] == ["09015C"]


def test_an_opted_out_order_stands_apart_and_is_in_the_card_data_all_the_same(
    store: RateStore,
) -> None:
    store.add_visit(date(2026, 11, 3), order("09005C", "3", upload_opted_out=True))
    found = month(store)
    assert numbers(found, RateName.WITHIN_24H) == (0, 0)
    assert found.rates[RateName.WITHIN_24H].opted_out == 3
    assert found.rates[RateName.WITHIN_24H].percent is None
    assert numbers(found, RateName.IC_CARD) == (0, 3)


def test_card_data_of_the_last_two_days_is_not_in_the_ic_card_rate(store: RateStore) -> None:
    for day in (17, 18, 19, 20):
        store.add_visit(date(2026, 11, day), order("09005C"))
    found = month(store)
    assert numbers(found, RateName.IC_CARD) == (0, 2)
    assert found.rates[RateName.IC_CARD].data_on == date(2026, 11, 18)
    assert numbers(found, RateName.WHOLE_MONTH) == (0, 4)


def test_one_report_counts_for_both_films_of_an_x_ray(store: RateStore) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("32001C"), order("32002C"))
    store.add_record(visit, "32001C")
    for name in (RateName.WITHIN_24H, RateName.WHOLE_MONTH, RateName.IC_CARD):
        assert numbers(month(store), name) == (2, 2)


@pytest.mark.parametrize("code", ["34004C", "01271C", "34006B", "ZZZZZZ"])
def test_a_code_without_a_report_is_not_counted(store: RateStore, code: str) -> None:
    store.add_visit(date(2026, 11, 3), order(code))
    assert numbers(month(store), RateName.IC_CARD) == (0, 0)


def test_what_was_taken_back_is_not_counted(store: RateStore) -> None:
    store.add_visit(date(2026, 11, 3), order("09005C", cancelled=True))
    store.add_visit(date(2026, 11, 3), order("09005C"), cancelled=True)
    store.add_visit(date(2026, 11, 3), order("09005C"), provisional=True)
    store.add_visit(date(2026, 11, 3), order("09005C"), visit_type="ZB")
    assert numbers(month(store), RateName.WHOLE_MONTH) == (0, 0)


def test_uploads_are_split_by_who_uploaded(store: RateStore) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("09005C", "2"), order("09015C"))
    store.add_record(visit, "09005C", uploader=LAB)
    store.add_record(visit, "09015C")
    rate = month(store).rates[RateName.IC_CARD]
    assert (rate.own, rate.commissioned) == (Decimal(1), Decimal(2))


def test_a_superseded_version_says_nothing(store: RateStore) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("09005C"))
    store.add_record(visit, "09005C", "superseded", was_accepted=True)
    (counted,) = month(store).orders
    assert counted.progress is Progress.NO_RESULT
    with store.engine.connect() as connection:
        board = board_of(connection, None, NOVEMBER, NOW)
    assert board.everywhere.whole_month.uploaded == 0


def test_a_correction_on_its_way_does_not_take_the_first_upload_away(store: RateStore) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("09005C"))
    store.add_record(visit, "09005C", "sealed", was_accepted=True, hours=3)
    assert numbers(month(store), RateName.WITHIN_24H) == (1, 1)


@pytest.mark.parametrize(
    ("state", "progress"),
    [
        ("held", Progress.HELD),
        ("ready", Progress.READY),
        ("sealed", Progress.ON_THE_WAY),
        ("inflight", Progress.ON_THE_WAY),
        ("unknown", Progress.ON_THE_WAY),
        ("checking", Progress.ON_THE_WAY),
        ("rejected", Progress.REJECTED),
    ],
)
def test_every_state_of_a_record_has_its_progress(
    store: RateStore, state: str, progress: Progress
) -> None:
    visit = store.add_visit(date(2026, 11, 3), order("09005C"))
    store.add_record(visit, "09005C", state)
    (counted,) = month(store).orders
    assert counted.progress is progress


def test_days_outside_the_month_are_not_counted(store: RateStore) -> None:
    for day in (date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1)):
        store.add_visit(day, order("09005C"))
    assert numbers(month(store), RateName.WHOLE_MONTH) == (0, 2)


def test_no_order_of_another_institution_is_counted(store: RateStore) -> None:
    store.add_visit(date(2026, 11, 3), order("09005C"), institution=OTHER)
    assert numbers(month(store), RateName.WHOLE_MONTH) == (0, 0)
    assert month(store, frozenset()).orders == []
    assert numbers(month(store, None), RateName.WHOLE_MONTH) == (0, 1)


def test_a_visit_whose_orders_change_is_counted_as_it_is_now(store: RateStore) -> None:
    store.add_visit(date(2026, 11, 3), order("09005C"))
    with store.engine.begin() as connection:
        set_opted_out(connection, 1, "09005C", opted_out=True)
    assert month(store).rates[RateName.WHOLE_MONTH].opted_out == 1


def list_of_nhi(
    store: RateStore, *cards: tuple[int, str], until: date = date(2026, 11, 18)
) -> None:
    """NHI's list of the month, naming an order of each of these visits."""
    with store.engine.begin() as connection:
        head = ListHead(CLINIC, date(2026, 11, 1), until, b"\0" * 32)
        list_id, _ = begin_list(connection, head, NOW)
        rows = []
        for visit_id, code in cards:
            visit = get_visit(connection, visit_id)
            assert visit is not None
            rows.append(
                UnuploadedRow(
                    visit.national_id, visit.visit_on, "", "01", visit.visit_serial, code, "1.0"
                )
            )
        append_rows(connection, list_id, 0, rows)
        end_list(connection, list_id, len(rows))


def test_nhis_own_figure_is_what_its_list_does_not_name(store: RateStore) -> None:
    named = store.add_visit(date(2026, 11, 3), order("09005C", "2"))
    free = store.add_visit(date(2026, 11, 4), order("09005C"))
    store.add_visit(date(2026, 11, 19), order("09005C"))
    store.add_record(named, "09005C")
    list_of_nhi(store, (named, "09005C"))
    found = month(store)
    assert numbers(found, RateName.NHI) == (1, 3)
    by_cause: dict[Cause, Any] = {
        each.cause: (each.uploaded, each.due, [order.visit_id for order in each.orders])
        for each in found.difference(RateName.WHOLE_MONTH, RateName.NHI)
    }
    assert by_cause == {
        Cause.OUTSIDE_LIST: (0, -1, [3]),
        Cause.ON_NHI_LIST: (-2, 0, [named]),
        Cause.NOT_ON_NHI_LIST: (1, 0, [free]),
    }


def test_there_is_no_figure_of_nhi_without_a_list_or_of_several_institutions(
    store: RateStore,
) -> None:
    store.add_visit(date(2026, 11, 3), order("09005C"))
    assert RateName.NHI not in month(store).rates
    list_of_nhi(store)
    assert RateName.NHI in month(store).rates
    assert RateName.NHI not in month(store, None).rates


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-0", "115/13", "x-1", "20266-1", "2026-１"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(MonthUnreadable):
        Month.parse(text)


def test_months_are_read_in_both_calendars() -> None:
    assert Month.parse("115/11") == Month.parse("2026-11") == NOVEMBER
    assert str(NOVEMBER) == "2026-11"
    assert NOVEMBER.quarter == (date(2026, 10, 1), date(2026, 12, 31))
    assert (NOVEMBER.first, NOVEMBER.last) == (date(2026, 11, 1), date(2026, 11, 30))


def test_rates_and_board_agree_on_both_engines(both_stores: str, tmp_path: Path) -> None:
    store = open_rate_store(tmp_path / both_stores)
    visit = store.add_visit(date(2026, 11, 3), order("09005C", "2"), order("32002C"))
    store.add_record(visit, "09005C", uploader=LAB)
    store.add_record(visit, "32001C", hours=30)
    store.add_visit(date(2026, 11, 4), order("09015C", "1.5"))
    found = month(store)
    with store.engine.connect() as connection:
        board = board_of(connection, frozenset({CLINIC}), NOVEMBER, NOW)
    store.engine.dispose()
    assert numbers(found, RateName.WITHIN_24H) == (2, Decimal("4.5"))
    (row,) = board.clinics
    for rate in (row.whole_month, row.ic_card):
        assert rate == found.rates[rate.name]
    assert [row.within_24h.uploaded, row.within_24h.due] == [2, Decimal("4.5")]
    assert board.divisions[0].key == "臺北"
