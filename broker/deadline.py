"""Which clock runs for a record, when it is due, and how urgent that is. Pure.

Source: nhi-upload-format 5.1: commissioned results within 24 hours of r14 (seed S000 p. 2),
others of r10; 24 hours to the minute, counted to the confirmed receipt.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from broker.states import DeadlineState
from mapping.record import UploadRecord
from mapping.rocdate import parse_roc_moment

LIMIT = timedelta(hours=24)
RISK = timedelta(hours=6)


def clock_start(record: UploadRecord, received_at: datetime) -> datetime:
    """r14 where it is filled, else r10, else when we received it; the earliest of the rows.

    A date without a time counts from its midnight, which errs on the early side.
    """
    for tag in ("r14", "r10"):
        starts = [
            parse_roc_moment(row[tag].value).at
            for row in record.rows
            if tag in row and len(row[tag].value) >= 7
        ]
        if starts:
            return min(starts)
    return received_at


def due_at(started_at: datetime) -> datetime:
    """The last minute that counts."""
    return started_at + LIMIT


def deadline_state(
    due: datetime, now: datetime, confirmed_at: datetime | None, risk: timedelta = RISK
) -> DeadlineState:
    """Where a record stands towards its deadline."""
    if confirmed_at is not None:
        return DeadlineState.ON_TIME if confirmed_at <= due else DeadlineState.MISSED
    if now > due:
        return DeadlineState.MISSED
    return DeadlineState.AT_RISK if due - now <= risk else DeadlineState.ON_TIME


def seal_at(ready_at: datetime, due: datetime, wait: timedelta, press: timedelta) -> datetime:
    """When a ready record must be sealed: after ``wait`` for company, or at once when it is due
    within ``press``."""
    return min(ready_at + wait, max(due - press, ready_at))
