"""Writing to a store that other brokers write to as well.

Receipts and leases go beside the work, on a connection of their own: a sender never waits for
another node's turn. Each group tells the other nodes that there is something to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, text

from adapters.ports.intake import Payload
from broker.store.listener import CHANNEL, RECEIPTS, WORK
from broker.store.writer import ReceiptDone, Writer

T = TypeVar("T")
_NOTIFY = text("SELECT pg_notify(:channel, :what)")


class SharedWriter(Writer):
    """``holder`` is this node's name, by which it does not wake itself."""

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[], None] | None = None,
        *,
        holder: str = "",
    ) -> None:
        self._holder = holder
        self._aside = _Aside(engine, loop, on_failure, holder=holder)
        super().__init__(engine, loop, on_failure)

    def append(self, payload: Payload, received_at: datetime, done: ReceiptDone) -> None:
        self._aside.append(payload, received_at, done)

    def beside(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        return self._aside.write(work)

    @property
    def pending(self) -> int:
        return self._aside.pending

    def close(self) -> None:
        self._aside.close()
        super().close()

    def _announce(self, connection: Connection, receipts: bool, jobs: bool) -> None:
        if jobs:
            tell(connection, WORK, self._holder)


class _Aside(Writer):
    owns_engine = False
    takes_turns = False

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[], None] | None,
        *,
        holder: str,
    ) -> None:
        self._holder = holder
        super().__init__(engine, loop, on_failure)

    def _announce(self, connection: Connection, receipts: bool, jobs: bool) -> None:
        if receipts:
            tell(connection, RECEIPTS, self._holder)


def tell(connection: Connection, what: str, holder: str) -> None:
    """Wake the other nodes when this transaction is committed."""
    connection.execute(_NOTIFY, {"channel": CHANNEL, "what": f"{what} {holder}"})
