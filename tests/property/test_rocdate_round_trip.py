from __future__ import annotations

from datetime import date, datetime

from hypothesis import given
from hypothesis import strategies as st

from mapping.moment import TAIPEI, Moment, Precision
from mapping.rocdate import (
    is_roc_date,
    is_roc_time,
    parse_roc_date,
    parse_roc_moment,
    roc_date,
    roc_moment,
)

DAYS = st.dates(date(1813, 1, 1), date(2910, 12, 31))


@given(DAYS)
def test_every_day_reads_back(day: date) -> None:
    text = roc_date(day)
    assert len(text) == 7
    assert parse_roc_date(text) == day


@given(st.datetimes(datetime(1850, 1, 1), datetime(2900, 1, 1)))  # noqa: DTZ001
def test_every_second_reads_back(at: datetime) -> None:
    moment = Moment(at.replace(microsecond=0, tzinfo=TAIPEI), Precision.SECOND)
    assert parse_roc_moment(roc_moment(moment)) == moment


@given(DAYS)
def test_every_bare_day_reads_back_as_a_bare_day(day: date) -> None:
    moment = Moment(datetime(day.year, day.month, day.day, tzinfo=TAIPEI), Precision.DAY)
    assert parse_roc_moment(roc_moment(moment)) == moment


@given(st.text(max_size=14) | st.from_regex(r"-?[0-9]{5,14}", fullmatch=True))
def test_any_text_is_answered_and_both_answers_agree(text: str) -> None:
    try:
        parse_roc_date(text)
        readable = True
    except ValueError:
        readable = False
    assert is_roc_date(text) is readable
    try:
        parse_roc_moment(text)
        readable = True
    except ValueError:
        readable = False
    assert is_roc_time(text) is readable
