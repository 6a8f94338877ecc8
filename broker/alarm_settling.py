"""How every watch brings the alarms of its kinds up to date: one node at a time, told alike."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from broker.logs import log_event
from broker.nodes import Hold, Node
from broker.store.alarms import AlarmChange, AlarmKey, AlarmKind, Threat, settle_alarms
from broker.store.leases import LeaseLost
from broker.store.writer import Writer


class AlarmSettling:
    """Under the lease ``name``; alarms of other ``kinds`` stay as they are."""

    def __init__(self, writer: Writer, node: Node, name: str, kinds: Collection[AlarmKind]) -> None:
        self._writer = writer
        self._node = node
        self._name = name
        self._kinds = kinds
        self._hold: Hold | None = None

    async def is_ours(self) -> bool:
        """Whether this node is the one that looks. Raises ``StorageUnavailable``."""
        self._hold = self._hold or await self._node.take(self._name)
        return self._hold is not None

    async def settle(self, found: Mapping[AlarmKey, Threat], now: datetime) -> list[AlarmChange]:
        """What has changed; nothing where another node has taken over since :meth:`is_ours`.
        Raises ``StorageUnavailable``."""
        hold = self._hold
        if hold is None:
            return []

        def work(connection: Connection) -> list[AlarmChange]:
            hold.require(connection)
            return settle_alarms(connection, found, now, kinds=self._kinds)

        try:
            return await self._writer.write(work)
        except LeaseLost:
            self._hold = None
            return []


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
