"""Opens the store, alone or among other brokers, with what keeps them out of each other's way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Engine

from broker.config.settings import Settings
from broker.logs import log_event
from broker.nodes import Node, SharedNode, new_holder
from broker.operation.backup import erase_old_copies
from broker.store.engine import open_reader, open_writer
from broker.store.leases import add_knowledge
from broker.store.listener import Listener
from broker.store.migrations import greet
from broker.store.packages import recover_packages
from broker.store.receipts import settle_acknowledgements_after_crash
from broker.store.row_security import is_guarded
from broker.store.shared_writer import SharedWriter
from broker.store.writer import Writer
from broker.turns import SharedTurns, Turns

_log = logging.getLogger(__name__)
T = TypeVar("T")
# Another node answers its senders long before.
_ANSWERED_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class OpenStore:
    """What the parts of a service work with."""

    writer: Writer
    reader: Engine
    node: Node

    async def recover(self, now: datetime) -> None:
        """What the last process left. What other nodes have begun is theirs: should they be dead,
        their leases end and it is taken over then."""
        if not self.node.is_shared:
            await self.writer.write(settle_acknowledgements_after_crash)
            await self.writer.write(lambda c: recover_packages(c, now))
            return
        before = now - _ANSWERED_WITHIN
        await self.writer.write(lambda c: settle_acknowledgements_after_crash(c, before))

    def turns(self, refresh: Callable[[Connection], None], wake: Callable[[], None]) -> Turns:
        """See :class:`broker.turns.SharedTurns`."""
        if not self.node.is_shared:
            return Turns()
        return SharedTurns(self.node, self.reader, refresh, wake)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call ``heard`` when another node has stored something; returns what ends it."""
        if not isinstance(self.node, SharedNode):
            return lambda: None
        loop = asyncio.get_running_loop()
        return Listener(self.reader, loop, self.node.holder, heard).close

    @property
    def knowing_writer(self) -> Writer:
        """For what changes how results are read: other nodes then read by it too."""
        return _KnowingWriter(self.writer) if self.node.is_shared else self.writer


class _KnowingWriter(Writer):
    def __init__(self, writer: Writer) -> None:  # The thread and connection are the other's.
        self._to = writer

    def write(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        def knowing(connection: Connection) -> T:
            result = work(connection)
            add_knowledge(connection)
            return result

        return self._to.write(knowing)


async def open_store(
    settings: Settings, closing: AsyncExitStack, on_failure: Callable[[], None]
) -> OpenStore:
    """Open it for a service; ``closing`` closes it. Raises what the store raises."""
    loop = asyncio.get_running_loop()
    location = settings.store
    engine = await asyncio.to_thread(open_writer, location)
    holder = new_holder()
    writer = (
        SharedWriter(engine, loop, on_failure, holder=holder)
        if location.is_shared
        else Writer(engine, loop, on_failure)
    )
    closing.push_async_callback(asyncio.to_thread, writer.close)
    if not location.is_shared:
        copies = await asyncio.to_thread(
            erase_old_copies, settings.data_dir, settings.upgrade_copies
        )
        if copies:
            log_event(_log, "retention.erased", reason="upgrade_copies", rows=copies)
    reader = open_reader(location)
    closing.callback(reader.dispose)
    node: Node = Node()
    if location.is_shared:
        node = SharedNode(writer, span=timedelta(seconds=settings.lease_seconds), holder=holder)
        await writer.beside(lambda c: greet(c, holder))
        closing.push_async_callback(node.close)
        with reader.connect() as connection:
            if not is_guarded(connection):
                log_event(_log, "store.unguarded")
        keeping = loop.create_task(node.run())
        closing.callback(keeping.cancel)
    return OpenStore(writer, reader, node)
