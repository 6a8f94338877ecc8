"""Warns a person of what may come late, once, and says when it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Engine

from adapters.ports.intake import StorageUnavailable
from broker.alarm_settling import AlarmSettling, log_alarm
from broker.lateness import AHEAD, risk_horizon
from broker.logs import log_event
from broker.nodes import Node
from broker.opening_hours import ALWAYS, OpeningHours
from broker.states import RecordState
from broker.store.alarms import (
    DEADLINE_ALARMS,
    AlarmKey,
    AlarmKind,
    Threat,
)
from broker.store.critical import corrections_by_clinic, unconfirmed_by_clinic
from broker.store.engine import open_snapshot
from broker.store.paces import Known, Paces
from broker.store.unconfirmed import LONG_AGO, Unconfirmed, split_at, unconfirmed_groups
from broker.store.verdict_waits import overdue_verdicts
from broker.store.writer import Writer

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 60.0
# What sends and people took lately changes slowly.
_PACES_FOR = timedelta(minutes=15)
_WAITING_FOR_A_PERSON = (RecordState.HELD.value, RecordState.REJECTED.value)


class DeadlineWatch:
    """``hours`` says for an institution when its packages can be sent; ``clock`` gives aware
    UTC."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        clock: Callable[[], datetime],
        hours: Mapping[str, OpeningHours] | None = None,
        *,
        ahead: timedelta = AHEAD,
        critical_within: timedelta = timedelta(minutes=30),
        node: Node | None = None,
    ) -> None:
        self._alarms = AlarmSettling(writer, node or Node(), "watch", DEADLINE_ALARMS)
        self._reader = reader
        self._clock = clock
        self._hours = hours or {}
        self._ahead = ahead
        self._critical_within = critical_within
        self._paces = Known()
        self._paces_at: datetime | None = None

    async def look(self) -> None:
        """Compare what is at risk with the open alarms, unless another node does. Raises
        ``StorageUnavailable``."""
        if not await self._alarms.is_ours():
            return
        now = self._clock()
        found = await asyncio.to_thread(self._threats, now)
        changes = await self._alarms.settle(found, now)
        for change in changes:
            log_alarm(_log, change, "deadline.alarm", "deadline.over")

    async def run(self) -> None:
        """Look once a minute, until cancelled: deadlines are counted in minutes."""
        while True:
            try:
                await self.look()
            except StorageUnavailable as error:
                # The doors and the scheduler say so too; it passes, or the service ends.
                log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
            except Exception as error:  # noqa: BLE001 - a fault here must not stop the uploads
                log_event(_log, "service.fault", level=logging.ERROR, error=error)
            await asyncio.sleep(_LOOK_SECONDS)

    def _threats(self, now: datetime) -> dict[AlarmKey, Threat]:
        found: dict[AlarmKey, Threat] = {}
        with open_snapshot(self._reader) as connection:
            paces = Paces(connection, now, self._known_paces(now))
            for group in unconfirmed_groups(connection):
                is_held = group.state == RecordState.HELD.value
                reason = group.held_reason if is_held else group.state
                edges = (LONG_AGO, now, self._horizon(group, paces, now))
                for band in split_at(connection, group, edges):
                    kind = AlarmKind.MISSED if band.due_at < now else AlarmKind.AT_RISK
                    key = AlarmKey(kind, group.uploader_code or group.clinic_code, reason)
                    known = found.get(key, Threat(0, band.due_at))
                    found[key] = Threat(
                        known.records + band.records, min(known.due_at, band.due_at)
                    )
            for critical, rows in (
                (AlarmKind.CRITICAL, unconfirmed_by_clinic(connection)),
                (AlarmKind.CRITICAL_CORRECTED, corrections_by_clinic(connection)),
            ):
                for row in rows:
                    key = AlarmKey(critical, row.clinic_code or row.lab_code, "unconfirmed")
                    due_at = row.found_at + self._critical_within
                    known = found.get(key, Threat(0, due_at))
                    found[key] = Threat(known.records + row.records, min(known.due_at, due_at))
            for wait in overdue_verdicts(connection, now):
                reason = f"{wait.days}-days"
                key = AlarmKey(AlarmKind.VERDICT_OVERDUE, wait.institution_code, reason)
                found[key] = Threat(wait.records, wait.gone_at)
        return found

    def _horizon(self, group: Unconfirmed, paces: Paces, now: datetime) -> datetime:
        """What is due before this is at risk."""
        held = group.state in _WAITING_FOR_A_PERSON
        return risk_horizon(
            now,
            self._hours.get(group.uploader_code, ALWAYS),
            paces.of(group.uploader_code, group.clinic_code, held=held),
            held=held,
            ahead=self._ahead,
        )

    def _known_paces(self, now: datetime) -> Known:
        if self._paces_at is None or not self._paces_at <= now < self._paces_at + _PACES_FOR:
            self._paces, self._paces_at = Known(), now
        return self._paces
