"""The clock: 24 hours to the minute, whatever the calendar does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.deadline import LIMIT, clock_start, deadline_state, due_at, seal_at
from broker.states import DeadlineState
from mapping.moment import Moment, Precision
from mapping.record import Field, UploadRecord
from mapping.rocdate import roc_moment

instants = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(microsecond=0))
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3))


def record_with(**times: datetime) -> UploadRecord:
    rows = {tag: Field(roc_moment(Moment(at)), "test") for tag, at in times.items()}
    return UploadRecord({}, (rows,))


@given(instants)
def test_due_is_exactly_a_day_after_the_start(start: datetime) -> None:
    assert due_at(start) - start == timedelta(hours=24)


@given(instants, instants, instants)
def test_the_receipt_of_the_report_goes_before_its_release(
    received: datetime, reported: datetime, stored: datetime
) -> None:
    assert clock_start(record_with(r14=received, r10=reported), stored) == received
    assert clock_start(record_with(r10=reported), stored) == reported
    assert clock_start(UploadRecord({}, ({},)), stored) == stored


@given(instants)
def test_a_date_without_a_time_counts_from_its_beginning(at: datetime) -> None:
    text = roc_moment(Moment(at, Precision.DAY))
    record = UploadRecord({}, ({"r10": Field(text, "test")},))
    assert clock_start(record, at) <= at


@given(instants, spans)
def test_confirmed_in_time_is_on_time_for_ever(start: datetime, later: timedelta) -> None:
    due = due_at(start)
    assert deadline_state(due, due + later, due) is DeadlineState.ON_TIME
    after = due + timedelta(microseconds=1)
    assert deadline_state(due, due + later, after) is DeadlineState.MISSED


@given(instants, spans)
def test_the_state_only_gets_worse_with_time(start: datetime, span: timedelta) -> None:
    order = list(DeadlineState)
    due = due_at(start)
    now = deadline_state(due, start, None)
    then = deadline_state(due, start + span, None)
    assert order.index(then) >= order.index(now)


@given(instants, spans, spans, spans)
def test_sealing_waits_for_company_but_never_into_the_press(
    ready: datetime, to_due: timedelta, wait: timedelta, press: timedelta
) -> None:
    due = ready + to_due
    at = seal_at(ready, due, wait, press)
    assert ready <= at <= ready + wait
    assert at <= max(ready, due - press)
    assert timedelta(hours=24) == LIMIT
