"""Warns of what stops the service's work without a word: silence, a full disk, an old backup, a
destination that takes nothing, or refuses it."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from pathlib import Path

from sqlalchemy import Engine, select

from adapters.ports.intake import StorageUnavailable
from broker.alarm_settling import AlarmSettling
from broker.config.alarm_section import AlarmLimits
from broker.logs import log_event
from broker.nodes import Node
from broker.operation.backup import last_backup_at
from broker.store.alarms import AlarmChange, AlarmKey, AlarmKind, Threat
from broker.store.dialect import is_shared
from broker.store.engine import open_snapshot
from broker.store.outbox import refused_deliveries, stuck_deliveries
from broker.store.schema import receipt
from broker.store.source_scores import silent_sources
from broker.store.writer import Writer

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 300.0

OPERATION_ALARMS = (
    AlarmKind.SOURCE_SILENT,
    AlarmKind.DISK_LOW,
    AlarmKind.BACKUP_OLD,
    AlarmKind.DELIVERY_STUCK,
    AlarmKind.DELIVERY_REFUSED,
)


class OperationWatch:
    """``parties`` names for each source the institution that it sends for; ``clock`` gives aware
    UTC; ``free`` the free part of a folder's disk, 0 to 1."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        folder: Path,
        parties: Mapping[str, str],
        clock: Callable[[], datetime],
        node: Node | None = None,
        *,
        limits: AlarmLimits | None = None,
        free: Callable[[Path], float] = lambda folder: _free_part(folder),
    ) -> None:
        settling = AlarmSettling(writer, node or Node(), "watch:operation", OPERATION_ALARMS)
        self._alarms = settling
        self._reader = reader
        self._folder = folder
        self._parties = parties
        self._clock = clock
        self._free = free
        self._limits = limits or AlarmLimits()

    async def run(self) -> None:
        """Look every five minutes, until cancelled."""
        while True:
            try:
                await self.look()
            except StorageUnavailable as error:
                log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
            except Exception as error:  # noqa: BLE001 - a fault here must stop no upload
                log_event(_log, "service.fault", level=logging.ERROR, error=error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> list[AlarmChange]:
        """Compare how things are with the open alarms, unless another node does. Raises
        ``StorageUnavailable``."""
        if not await self._alarms.is_ours():
            return []
        now = self._clock()
        found = await asyncio.to_thread(self._threats, now)
        changes = await self._alarms.settle(found, now)
        for change in changes:
            log_event(
                _log,
                "operation.alarm" if change.opened else "operation.over",
                level=logging.WARNING if change.opened else logging.INFO,
                institution=change.key.institution_code,
                reason=change.key.kind.value,
                records=change.threat.records,
            )
        return changes

    def _threats(self, now: datetime) -> dict[AlarmKey, Threat]:
        """``due_at`` is since when it should not be so."""
        found: dict[AlarmKey, Threat] = {}
        limits, sources = self._limits, tuple(self._parties)
        with open_snapshot(self._reader) as connection:
            for source, since in silent_sources(connection, sources, now, limits.silence).items():
                key = AlarmKey(AlarmKind.SOURCE_SILENT, self._parties[source], source)
                found[key] = Threat(0, since)
            for row in stuck_deliveries(connection, now - limits.delivery):
                key = AlarmKey(AlarmKind.DELIVERY_STUCK, row.clinic_code, row.destination)
                found[key] = Threat(row.results, row.queued_at + limits.delivery)
            for row in refused_deliveries(connection):
                key = AlarmKey(AlarmKind.DELIVERY_REFUSED, row.clinic_code, row.destination)
                found[key] = Threat(row.results, row.refused_at)
            shared = is_shared(connection)
            began = connection.execute(
                select(receipt.c.received_at).order_by(receipt.c.id).limit(1)
            ).scalar()
        # PostgreSQL's backups are its own.
        kept = None if shared else last_backup_at(self._folder) or began
        if kept is not None and now - kept > limits.backup:
            key = AlarmKey(AlarmKind.BACKUP_OLD, "", "backup")
            found[key] = Threat(0, kept + limits.backup)
        if self._free(self._folder) < limits.disk_free:
            day = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
            found[AlarmKey(AlarmKind.DISK_LOW, "", "disk")] = Threat(0, day)
        return found


def _free_part(folder: Path) -> float:
    disk = shutil.disk_usage(folder)
    return disk.free / disk.total
