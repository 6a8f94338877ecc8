"""Dates in result files: what is read, and that doubt is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from adapters.folder.formats.cell_dates import read_day, read_moment
from mapping.moment import Moment, Precision

DAY = date(2026, 8, 14)
NOON = datetime(2026, 8, 14, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-14",
        "2026/8/14",
        "2026.08.14",
        "20260814",
        "1150814",
        "115/08/14",
        "115/8/14",
        "115-08-14",
        " 2026-08-14 ",
    ],
)
def test_one_day_in_every_form(text: str) -> None:
    assert read_day(text) == DAY
    assert read_moment(text) == Moment(datetime(2026, 8, 13, 16, tzinfo=UTC), Precision.DAY)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("2026-08-14T12:00", Precision.MINUTE),
        ("2026-08-14 12:00", Precision.MINUTE),
        ("2026-08-14 12:00:00", Precision.SECOND),
        ("2026-08-14T12:00:00.123", Precision.SECOND),
        ("2026-08-14T12:00:00+08:00", Precision.SECOND),
        ("2026-08-14T04:00:00Z", Precision.SECOND),
        ("2026-08-13T23:00-0500", Precision.MINUTE),
        ("202608141200", Precision.MINUTE),
        ("20260814120000", Precision.SECOND),
        ("20260814 1200", Precision.MINUTE),
        ("11508141200", Precision.MINUTE),
        ("1150814120000", Precision.SECOND),
        ("1150814 12:00:00", Precision.SECOND),
        ("115/08/14 12:00", Precision.MINUTE),
        ("115/8/14  12:00", Precision.MINUTE),
    ],
)
def test_one_noon_in_every_form_as_precise_as_written(text: str, precision: Precision) -> None:
    assert read_moment(text) == Moment(NOON, precision)


def test_a_birth_before_the_republic_is_read() -> None:
    assert read_day("-050101") == date(1907, 1, 1)
    assert read_day("0010101") == date(1912, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "99/08/14",
        "08/14/2026",
        "14-08-2026",
        "2026-08/14",
        "2026-02-30",
        "1150230",
        "0000814",
        "000/08/14",
        "990814",
        "114081",
        "46248",
        "1150814120",
        "２０２６０８１４",
        "2026-08-14 上午9:00",
    ],
)
def test_what_is_no_day_or_could_be_two_is_refused_without_being_quoted(text: str) -> None:
    for read in (read_day, read_moment):
        with pytest.raises(ValueError) as caught:
            read(text)
        assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-14 25:00",
        "2026-08-14 12:60",
        "2026-08-14 12",
        "2026-08-14T",
        "2026-08-14 12:00+25:00",
        "2026-08-14 12:00+08:75",
        "2026-08-14 12:00 PM",
    ],
)
def test_a_wrong_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_moment(text)
