from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from mapping.moment import TAIPEI, Moment, Precision
from mapping.rocdate import (
    is_roc_date,
    is_roc_time,
    parse_roc_date,
    parse_roc_moment,
    roc_date,
    roc_datetime,
    roc_moment,
    roc_month,
)


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2025, 1, 1), "1140101"),
        (date(2010, 12, 31), "0991231"),
        (date(1912, 1, 1), "0010101"),
        (date(1911, 12, 31), "-011231"),
        (date(1907, 3, 4), "-050304"),
    ],
)
def test_a_day_has_one_spelling_and_reads_back(day: date, text: str) -> None:
    assert roc_date(day) == text
    assert parse_roc_date(text) == day
    assert roc_month(day) == text[:5]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "114011",
        "11401011",
        "0000101",
        "1140230",
        "1141301",
        "１１４0101",
        "114-1-1",
        "-1-0101",
        "+140101",
        " 140101",
        "1_40101",
        "114 101",
    ],
)
def test_what_is_no_day_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_roc_date(text)
    assert not text or text not in str(refused.value)
    assert not is_roc_date(text)


def test_leap_days_follow_the_western_year() -> None:
    assert is_roc_date("1130229")
    assert not is_roc_date("1140229")


def test_the_clock_of_taipei_decides_the_day() -> None:
    assert roc_datetime(datetime(2025, 1, 31, 16, 0, 0, tzinfo=UTC)) == "1140201000000"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        roc_datetime(datetime(2025, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("precision", "text"),
    [
        (Precision.SECOND, "1140203101112"),
        (Precision.MINUTE, "11402031011"),
        (Precision.DAY, "11402030000"),
    ],
)
def test_precision_decides_the_length(precision: Precision, text: str) -> None:
    at = datetime(2025, 2, 3, 10, 11, 12, tzinfo=TAIPEI)
    assert roc_moment(Moment(at, precision)) == text


def test_eleven_characters_with_a_zero_time_are_a_day_and_not_midnight() -> None:
    assert parse_roc_moment("11402030000").precision is Precision.DAY
    assert parse_roc_moment("11402030001").precision is Precision.MINUTE
    assert parse_roc_moment("1140203000000").precision is Precision.SECOND


@pytest.mark.parametrize(
    "text",
    ["1140203", "114020310", "1140203246000", "1140203106000", "11402031011123", "1140203 1011"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_roc_moment(text)
    assert not is_roc_time(text)
