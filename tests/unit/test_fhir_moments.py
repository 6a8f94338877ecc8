"""Times keep their precision, and no zone is guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from adapters.fhir.moments import read_date, read_moment
from mapping.moment import Moment, Precision


@pytest.mark.parametrize(
    ("text", "at", "precision"),
    [
        ("2026-08-14", datetime(2026, 8, 13, 16, tzinfo=UTC), Precision.DAY),
        ("2026-08-14T09:30:15+08:00", datetime(2026, 8, 14, 1, 30, 15, tzinfo=UTC), None),
        ("2026-08-14T01:30:15.318Z", datetime(2026, 8, 14, 1, 30, 15, tzinfo=UTC), None),
        ("2026-08-13T18:30:15-07:00", datetime(2026, 8, 14, 1, 30, 15, tzinfo=UTC), None),
        ("2026-08-14T09:30+08:00", datetime(2026, 8, 14, 1, 30, tzinfo=UTC), Precision.MINUTE),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, tzinfo=UTC), Precision.MINUTE),
    ],
)
def test_a_time_keeps_its_precision(text: str, at: datetime, precision: Precision | None) -> None:
    assert read_moment(text) == (Moment(at, precision or Precision.SECOND), "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2026", "fhir-partial-date"),
        ("2026-08", "fhir-partial-date"),
        ("2026-08-14T09:30:00", "fhir-time-without-zone"),
        ("2026-02-30", "fhir-time-unreadable"),
        ("2026-08-14T24:00:00Z", "fhir-time-unreadable"),
        ("115/08/14", "fhir-time-unreadable"),
        ("20260814080000", "fhir-time-unreadable"),
        ("２０２６-08-14", "fhir-time-unreadable"),
        ("2026-08-14T09:30:00+99:00", "fhir-time-unreadable"),
        ("0001-01-01T00:00:00+08:00", "fhir-time-unreadable"),
    ],
)
def test_what_is_no_moment_is_told(text: str, fault: str) -> None:
    assert read_moment(text) == (None, fault)


def test_a_birth_date_is_a_whole_day() -> None:
    assert read_date("1975-07-01") == date(1975, 7, 1)
    assert read_date("1975-07") is None
    assert read_date("1975-02-30") is None
    assert read_date("1975-07-01T00:00:00Z") is None
