from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from adapters.hl7.timestamp import parse_day, parse_moment
from mapping.moment import Moment, Precision


@pytest.mark.parametrize(
    ("text", "at", "precision"),
    [
        ("20260321080000", datetime(2026, 3, 21, 0, tzinfo=UTC), Precision.SECOND),
        ("20260321080000+0000", datetime(2026, 3, 21, 8, tzinfo=UTC), Precision.SECOND),
        ("20260321080000-0500", datetime(2026, 3, 21, 13, tzinfo=UTC), Precision.SECOND),
        ("20260321080000.1234+0800", datetime(2026, 3, 21, 0, tzinfo=UTC), Precision.SECOND),
        ("202603210830", datetime(2026, 3, 21, 0, 30, tzinfo=UTC), Precision.MINUTE),
        ("20260321", datetime(2026, 3, 20, 16, tzinfo=UTC), Precision.DAY),
        ("2026032108", datetime(2026, 3, 20, 16, tzinfo=UTC), Precision.DAY),
        ("  20260321083015 ", datetime(2026, 3, 21, 0, 30, 15, tzinfo=UTC), Precision.SECOND),
        ("20260321235960", datetime(2026, 3, 21, 16, tzinfo=UTC), Precision.SECOND),
        ("2026-03-21 08:30", datetime(2026, 3, 21, 0, 30, tzinfo=UTC), Precision.MINUTE),
        ("2026-03-21T08:30:00Z", datetime(2026, 3, 21, 8, 30, tzinfo=UTC), Precision.SECOND),
        ("2026/03/21", datetime(2026, 3, 20, 16, tzinfo=UTC), Precision.DAY),
    ],
)
def test_times_are_read_with_their_precision(text: str, at: datetime, precision: Precision) -> None:
    assert parse_moment(text) == Moment(at, precision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "2026",
        "202603",
        "20260230",
        "20261301080000",
        "20260321240000",
        "2026032125",
        "20260321086100",
        "20260321080061",
        "20260321080000+9900",
        "20260321080000+0860",
        "00000000",
        "00000000000000",
        "18991231",
        "２０２６０３２１",
        "٢٠٢٦٠٣٢١",
        "1150321",
        "Blood",
        "2026-03-21 8:30",
        "2026-03-21T08",
        "20260321080000" + "0" * 100,
        "9999123123595+",
    ],
)
def test_what_is_no_time_is_nothing(text: str) -> None:
    assert parse_moment(text) is None


@pytest.mark.parametrize("text", ["99991231235959-1400", "99991231235960", "190001010000+1400"])
def test_the_edges_of_the_calendar_raise_nothing(text: str) -> None:
    parse_moment(text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("19750601", date(1975, 6, 1)),
        ("19750601000000", date(1975, 6, 1)),
        ("19750601000000+0000", date(1975, 6, 1)),
        ("19750601233000-1200", date(1975, 6, 1)),
        ("1975-06-01", date(1975, 6, 1)),
        ("19000229", None),
        ("196203520", None),
        ("1991", None),
        ("0640601", None),
        ("", None),
    ],
)
def test_a_date_of_birth_stays_the_day_that_was_written(text: str, day: date | None) -> None:
    assert parse_day(text) == day
