"""Erases at night what is older than the settings keep it, on one node, some rows at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from adapters.ports.intake import StorageUnavailable
from broker.logs import log_event
from broker.nodes import Hold, Node
from broker.store.audit import note
from broker.store.engine import open_snapshot
from broker.store.leases import LeaseLost
from broker.store.retention import SHELVES, Erased, Kept, Step, erase_some
from broker.store.writer import Writer
from broker.web.control import Order
from mapping.moment import TAIPEI

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 600.0
# Doors and senders come between two steps.
_PAUSE_SECONDS = 0.05
_NIGHT = range(2, 5)
"""Hours of Taipei: laboratories send till midnight, clinics begin at eight."""

Days = Mapping[Kept, int | None]
"""For how many days each is kept; None: for good."""


def days_kept(told: Mapping[str, int | None]) -> dict[Kept, int | None]:
    """The days of the settings, for everything that has some."""
    return {kept: told.get(kept.value) for kept in Kept}


def erased_json(found: Mapping[Kept, Erased]) -> dict[str, dict[str, int]]:
    """``{"raw_payloads": {"rows", "bytes"}, …}`` of what was found."""
    return {
        kept.value: {"rows": erased.rows, "bytes": erased.size} for kept, erased in found.items()
    }


def erase_all(
    connection: Connection, days: Days, now: datetime, *, dry_run: bool = False
) -> dict[Kept, Erased]:
    """Erase, or only count, all that is older than its days, in the caller's transaction."""
    found: dict[Kept, Erased] = {}
    for index, before in _due(days, now):
        shelf, after_id = SHELVES[index], 0
        while True:
            step = erase_some(connection, shelf, before, after_id, dry_run=dry_run)
            if step.last_id is None:
                break
            found[shelf.kept] = found.get(shelf.kept, Erased()) + step.erased
            after_id = step.last_id
    return found


def note_erased(
    connection: Connection, found: Mapping[Kept, Erased], person: str, now: datetime
) -> None:
    """One row of the audit trail for each kind, in the transaction that erases it."""
    for kept, erased in found.items():
        note(
            connection,
            person=person,
            action="retention",
            kind=kept.value,
            subject="",
            institution="",
            at=now,
            detail={"rows": str(erased.rows), "bytes": str(erased.size)},
        )


class Retention:
    """``clock`` gives aware UTC."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        days: Days,
        clock: Callable[[], datetime],
        node: Node | None = None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._days = days
        self._clock = clock
        self._node = node or Node()
        self._hold: Hold | None = None
        self._done_on: date | None = None

    async def run(self) -> None:
        """Each night once, until cancelled."""
        while True:
            local = self._clock().astimezone(TAIPEI)
            if local.hour in _NIGHT and local.date() != self._done_on:
                try:
                    await self.sweep()
                    self._done_on = local.date()
                except StorageUnavailable as error:
                    log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
                except Exception as error:  # noqa: BLE001 - a fault here must stop no upload
                    log_event(_log, "service.fault", level=logging.ERROR, error=error)
            await asyncio.sleep(_LOOK_SECONDS)

    async def sweep(self, person: str = "system") -> dict[Kept, Erased]:
        """Erase what is due; nothing while another node does it. Raises ``StorageUnavailable``."""
        hold = self._hold = self._hold or await self._node.take("retention")
        found: dict[Kept, Erased] = {}
        if hold is None:
            return found
        now = self._clock()
        try:
            for index, before in _due(self._days, now):
                after_id: int | None = 0
                while after_id is not None:
                    step = await self._step(hold, index, before, after_id, person)
                    after_id = step.last_id
                    if after_id is not None:
                        kept = SHELVES[index].kept
                        found[kept] = found.get(kept, Erased()) + step.erased
                        await asyncio.sleep(_PAUSE_SECONDS)
        except LeaseLost:
            self._hold = None
        for kept, erased in found.items():
            log_event(
                _log,
                "retention.erased",
                reason=kept.value,
                rows=erased.rows,
                size_bytes=erased.size,
            )
        return found

    async def count(self) -> dict[Kept, Erased]:
        """What :meth:`sweep` would erase now."""

        def look() -> dict[Kept, Erased]:
            with open_snapshot(self._reader) as connection:
                return erase_all(connection, self._days, self._clock(), dry_run=True)

        return await asyncio.to_thread(look)

    async def _step(
        self, hold: Hold, index: int, before: datetime, after_id: int, person: str
    ) -> Step:
        # Looked for beside the writer, so that a night without work holds nobody up.
        def look() -> Step:
            with open_snapshot(self._reader) as connection:
                return erase_some(connection, SHELVES[index], before, after_id, dry_run=True)

        if (await asyncio.to_thread(look)).last_id is None:
            return Step(Erased(), None)

        def erase(connection: Connection) -> Step:
            hold.require(connection)
            step = erase_some(connection, SHELVES[index], before, after_id)
            if step.erased.rows:
                found = {SHELVES[index].kept: step.erased}
                note_erased(connection, found, person, self._clock())
            return step

        return await self._writer.write(erase)


def retention_orders(retention: Retention) -> dict[str, Order]:
    """The order of the control door."""

    async def obey(_: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        return {**erased_json(await retention.sweep("cli:"))}

    return {"retention": obey}


def _due(days: Days, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Places in ``SHELVES``, and before when what stands there may go."""
    for index, shelf in enumerate(SHELVES):
        kept = days.get(shelf.kept)
        if kept is not None:
            yield index, now - timedelta(days=kept)
