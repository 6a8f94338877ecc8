"""Tells of alarms by e-mail and webhook: once when one opens, once when it is over.

What was told is noted after it was taken, so that a crash in between tells it twice under the same
key and never not at all. Nothing of a patient is in an alarm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, exists, select

from adapters.ports.intake import StorageUnavailable
from adapters.ports.notice import Notice, NoticeSender
from broker.logs import log_event
from broker.nodes import Hold, Node
from broker.operation.alarm_words import alarm_words
from broker.store.delivery_tables import alarm_notice
from broker.store.dialect import insert_new
from broker.store.engine import open_snapshot
from broker.store.schema import alarm
from broker.store.writer import Writer
from mapping.errors import LabbrokerError

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 20.0
_LOOKED_BACK = timedelta(days=2)
_MOST = 100


class AlarmNotices:
    """``senders`` by their names in the settings; ``clock`` gives aware UTC."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        senders: Mapping[str, NoticeSender],
        clock: Callable[[], datetime],
        node: Node | None = None,
    ) -> None:
        self._node = node or Node()
        self._hold: Hold | None = None
        self._writer = writer
        self._reader = reader
        self._senders = senders
        self._clock = clock

    async def run(self) -> None:
        """Look every twenty seconds, until cancelled."""
        while True:
            try:
                await self.look()
            except StorageUnavailable as error:
                log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> int:
        """Tell what has not been told. Returns how many were taken; one that was not is tried
        again at the next look. Nothing while another node does it."""
        hold = self._hold = self._hold or await self._node.take("watch:notices")
        if hold is None:
            return 0
        told = 0
        for name, sender in self._senders.items():
            for notice in await asyncio.to_thread(self._owed, name):
                try:
                    await sender.send(notice)
                except (OSError, TimeoutError, LabbrokerError) as error:
                    log_event(
                        _log, "notice.failed", level=logging.WARNING, destination=name, error=error
                    )
                    break
                await self._writer.write(
                    lambda c, name=name, notice=notice: _note(c, name, notice, self._clock())  # type: ignore[misc]
                )
                told += 1
        return told

    def _owed(self, name: str) -> list[Notice]:
        with open_snapshot(self._reader) as connection:
            return owed_notices(connection, name, self._clock() - _LOOKED_BACK)


def owed_notices(connection: Connection, target: str, since: datetime) -> list[Notice]:
    """What ``target`` has not been told of the alarms that opened since then, oldest first."""
    owed = []
    for opened in (True, False):
        event = "opened" if opened else "over"
        known = exists(
            select(alarm_notice.c.alarm_id).where(
                alarm_notice.c.alarm_id == alarm.c.id,
                alarm_notice.c.target == target,
                alarm_notice.c.event == event,
            )
        )
        wanted = select(alarm).where(alarm.c.opened_at >= since, ~known)
        if not opened:
            wanted = wanted.where(alarm.c.closed_at.is_not(None))
        owed += [
            Notice(
                row.id,
                opened,
                row.kind,
                row.institution_code,
                row.reason,
                row.records,
                row.due_at,
                *alarm_words(row.kind),
            )
            for row in connection.execute(wanted.order_by(alarm.c.id).limit(_MOST))
        ]
    return owed


def _note(connection: Connection, target: str, notice: Notice, now: datetime) -> None:
    whose = select(alarm.c.institution_code).where(alarm.c.id == notice.alarm_id)
    connection.execute(
        insert_new(connection, alarm_notice).on_conflict_do_nothing(),
        {
            "alarm_id": notice.alarm_id,
            "institution_code": connection.execute(whose).scalar_one(),
            "target": target,
            "event": "opened" if notice.opened else "over",
            "told_at": now,
        },
    )
