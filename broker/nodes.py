"""Several brokers on one store: each piece of work is one node's at a time.

The work asks its :class:`Node` before it begins; alone on its store a node may do anything at
once, and on a shared one it needs a lease, which is renewed as long as it is held.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection

from adapters.ports.intake import StorageUnavailable
from broker.logs import log_event
from broker.store.leases import (
    Lease,
    give_back_lease,
    renew_lease,
    require_lease,
    take_lease,
)
from broker.store.migrations import greet, take_leave
from broker.store.writer import Writer

_log = logging.getLogger(__name__)

LEASE_SPAN = timedelta(seconds=20)
"""A node that died or was cut off is replaced after this time."""


class Hold:
    """A piece of work that this node may do now."""

    def __init__(self, lease: Lease | None = None) -> None:
        self.lease = lease

    @property
    def name(self) -> str:
        return self.lease.name if self.lease else ""

    @property
    def kind(self) -> str:
        """``send``, ``read`` or ``watch``."""
        return self.name.partition(":")[0]

    def require(self, connection: Connection) -> None:
        """To be called in each transaction that writes what was worked out under this hold.
        Raises ``LeaseLost``: then nothing of it is written."""
        if self.lease is not None:
            require_lease(connection, self.lease)


class Node:
    """The only broker on its store: whatever it asks for is its own."""

    is_shared = False
    holder = ""
    """Its name among the nodes."""
    silent_after = timedelta(seconds=15)
    """A node that has not told of itself for so long is taken for dead."""

    async def take(self, *names: str) -> Hold | None:
        """The first of these pieces of work that is free; None where others do them all.
        Raises ``StorageUnavailable``."""
        return Hold()

    async def give_back(self, hold: Hold) -> None:
        """The work is done for now."""

    async def tell(self, work: Callable[[Connection], None]) -> None:
        """Let the other nodes know something, beside the work. Raises ``StorageUnavailable``."""

    async def run(self) -> None:
        """Keep what is held, until cancelled."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Let others take over at once."""


class SharedNode(Node):
    """One of several brokers. ``span`` is how long it is missed when it dies."""

    is_shared = True

    def __init__(self, writer: Writer, *, span: timedelta = LEASE_SPAN, holder: str = "") -> None:
        self.holder = holder or new_holder()
        self._writer = writer
        self._span = span
        # Three of its signs were missed.
        self.silent_after = max(Node.silent_after, span * 3 / 4)
        self._held: dict[str, Hold] = {}

    async def take(self, *names: str) -> Hold | None:
        wanted = [name for name in names if name not in self._held]
        if not wanted:
            return None
        lease = await self._writer.beside(lambda c: take_lease(c, wanted, self.holder, self._span))
        if lease is None:
            return None
        hold = self._held[lease.name] = Hold(lease)
        return hold

    async def give_back(self, hold: Hold) -> None:
        lease = hold.lease
        if lease is None or self._held.get(lease.name) is not hold:
            return
        del self._held[lease.name]
        await self._writer.beside(lambda c: give_back_lease(c, lease))

    async def tell(self, work: Callable[[Connection], None]) -> None:
        await self._writer.beside(work)

    async def run(self) -> None:
        while True:
            try:
                await self._renew()
            except StorageUnavailable as error:
                log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
            except Exception as error:  # noqa: BLE001 - what is not renewed ends, and is told
                log_event(_log, "service.fault", level=logging.ERROR, error=error)
            await asyncio.sleep(self._span.total_seconds() / 4)

    async def _renew(self) -> None:
        held = [(hold, hold.lease) for hold in self._held.values() if hold.lease is not None]

        def renew(connection: Connection) -> list[Hold]:
            greet(connection, self.holder)
            return [hold for hold, lease in held if not renew_lease(connection, lease, self._span)]

        for hold in await self._writer.beside(renew):
            if self._held.get(hold.name) is hold:
                del self._held[hold.name]
                log_event(_log, "lease.lost", level=logging.WARNING, reason=hold.kind)

    async def close(self) -> None:
        held = [hold.lease for hold in self._held.values() if hold.lease is not None]
        self._held.clear()

        def leave(connection: Connection) -> None:
            for lease in held:
                give_back_lease(connection, lease)
            take_leave(connection, self.holder)

        try:
            await self._writer.beside(leave)
        except StorageUnavailable:
            return  # What it held ends by itself.


def new_holder() -> str:
    """A name that no other process has or had."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


Fence = Callable[[Connection], None]
"""Raises ``LeaseLost`` in the transaction of a node that may not write any more."""


def no_fence(_: Connection) -> None:
    """Alone on its store."""
