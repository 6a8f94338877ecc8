"""Whose receipts a node reads next. The words of one source are read in the order they came, so
they are one node's at a time; several sources are read by several nodes side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from broker.nodes import Hold, Node
from broker.store.leases import add_knowledge, knowledge
from broker.store.receipts import waiting_sources

_SOURCES_AT_ONCE = 200
_KEPT_SECONDS = 1.0
# As long as a node may be missed before its sources are read by others.
_ASK_AGAIN_SECONDS = 5.0


@dataclass(slots=True)
class Turn:
    """``source_id`` is None where all sources are this node's."""

    source_id: str | None = None
    hold: Hold | None = None
    knowledge: int = 0
    until: float = 0.0

    def require(self, connection: Connection) -> None:
        """Raises ``LeaseLost`` where another node reads the source by now."""
        if self.hold is not None:
            self.hold.require(connection)


class Turns:
    """Alone on its store a node reads everything, in the order it came."""

    async def take(self) -> Turn | None:
        """None where nothing waits that this node could read. Raises ``StorageUnavailable``."""
        return Turn()

    async def end(self, turn: Turn) -> None:
        """A batch is stored."""

    def is_outdated(self, connection: Connection, turn: Turn) -> bool:
        """Whether what the results were read by has changed since."""
        return False

    def learned(self, connection: Connection, turn: Turn) -> None:
        """What results are read by was changed in this transaction, under this turn."""


class SharedTurns(Turns):
    """``refresh`` takes code maps and habits anew from the store. ``wake`` is called when a source
    that another node holds is to be asked for again."""

    def __init__(
        self,
        node: Node,
        reader: Engine,
        refresh: Callable[[Connection], None],
        wake: Callable[[], None],
    ) -> None:
        self._node = node
        self._reader = reader
        self._refresh = refresh
        self._wake = wake
        self._known: int | None = None
        self._kept: Turn | None = None

    async def take(self) -> Turn | None:
        loop = asyncio.get_running_loop()
        turn, self._kept = self._kept, None
        if turn is not None and not self._has_open(turn):
            await self._give_back(turn)
            turn = None
        if turn is None:
            turn = await self._next()
        if turn is None:
            return None
        if not turn.until:
            turn.until = loop.time() + _KEPT_SECONDS
        with self._reader.connect() as connection:
            now_known = knowledge(connection)
            if now_known != self._known:
                self._refresh(connection)
                self._known = now_known
        turn.knowledge = now_known
        return turn

    async def end(self, turn: Turn) -> None:
        if asyncio.get_running_loop().time() < turn.until:
            self._kept = turn
        else:
            await self._give_back(turn)

    def is_outdated(self, connection: Connection, turn: Turn) -> bool:
        return knowledge(connection) != turn.knowledge

    def learned(self, connection: Connection, turn: Turn) -> None:
        current = add_knowledge(connection)
        if current == turn.knowledge + 1:
            # Nobody else has changed anything: what this node knows it knows.
            turn.knowledge = current

    async def _next(self) -> Turn | None:
        busy: set[str] = set()
        while True:
            with self._reader.connect() as connection:
                waiting = waiting_sources(connection, _SOURCES_AT_ONCE, busy)
            if not waiting:
                break
            hold = await self._node.take(*(f"read:{source}" for source in waiting))
            if hold is not None:
                return Turn(hold.name.removeprefix("read:"), hold)
            busy.update(waiting)
        if busy:
            # Whoever holds them reads on; should it die, they are read here.
            asyncio.get_running_loop().call_later(_ASK_AGAIN_SECONDS, self._wake)
        return None

    def _has_open(self, turn: Turn) -> bool:
        with self._reader.connect() as connection:
            return turn.source_id in waiting_sources(connection, _SOURCES_AT_ONCE)

    async def _give_back(self, turn: Turn) -> None:
        if turn.hold is not None:
            await self._node.give_back(turn.hold)
