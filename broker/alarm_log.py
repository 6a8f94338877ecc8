"""What an alarm came to, in the log: the same fields whichever watch raised it."""

from __future__ import annotations

import logging

from broker.logs import log_event
from broker.store.alarms import AlarmChange


def log_alarm(logger: logging.Logger, change: AlarmChange, opened: str, over: str) -> None:
    """``opened`` and ``over`` are the events of :data:`broker.log_events.EVENTS` to use."""
    log_event(
        logger,
        opened if change.opened else over,
        level=logging.WARNING if change.opened else logging.INFO,
        institution=change.key.institution_code,
        reason=f"{change.key.kind}/{change.key.reason}",
        records=change.threat.records,
        due_at=change.threat.due_at,
    )
