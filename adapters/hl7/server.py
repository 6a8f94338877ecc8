"""The MLLP door: frames in, the intake stores, and only then the answer goes out.

Order on one connection: answers leave in the order of their frames, whatever order the commits
return in. Nothing is answered AA but from the intake's settle callback. A frame without an HL7
header is stored too (media ``unknown``) and answered AR; only a frame of an unknown source and
one beyond the size limit are not kept.

Nothing of a message is logged: events (those of ``docs/reference/log-events.md``) carry the
peer's address, sizes and codes.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import ssl
import time
from collections import Counter
from datetime import datetime
from typing import Final

from adapters.hl7.connection import MllpConnection, SourceOfPeer
from adapters.hl7.limits import MllpLimits, MllpStatistics
from adapters.ports.intake import Intake
from mapping.moment import TAIPEI

_log = logging.getLogger(__name__)
_SWEEP_SECONDS: Final = 1.0

__all__ = ["MllpServer", "SourceOfPeer"]


class MllpServer:
    """Listens on one address. :meth:`start`, then :meth:`stop`; not to be started twice."""

    def __init__(
        self, intake: Intake, source_of_peer: SourceOfPeer, limits: MllpLimits | None = None
    ) -> None:
        self.intake = intake
        self.source_of_peer = source_of_peer
        self.limits = limits or MllpLimits()
        self.statistics = MllpStatistics()
        self.stopping = False
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._connections: set[MllpConnection] = set()
        self._by_peer: Counter[str] = Counter()
        self._all_gone: asyncio.Event = asyncio.Event()
        self._serial = itertools.count(1)
        self._prefix = secrets.token_hex(4).upper()
        self._second = 0
        self._written_at = ""

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 2575,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen; 2575 is the registered port of HL7. Raises :class:`OSError` when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: MllpConnection(self, loop),
            host,
            port,
            ssl=tls,
            backlog=self.limits.connections,
            # A peer that connects and never speaks TLS is not counted yet: it must not stay.
            ssl_handshake_timeout=self.limits.frame_seconds if tls is not None else None,
        )
        self._sweep(loop)

    @property
    def port(self) -> int:
        """The port that is listened on, for ``start(port=0)``."""
        sockets = self._server.sockets if self._server is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def stop(self) -> None:
        """Take no more; let commits under way be answered; close."""
        if self._server is None:
            return
        self.stopping = True
        self._server.close()
        for connection in tuple(self._connections):
            connection.close_when_answered()
        if self._connections:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(self.limits.stop_seconds):
                    await self._all_gone.wait()
            except TimeoutError:
                for connection in tuple(self._connections):
                    connection.abort()
                await asyncio.sleep(0)
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._server.wait_closed()

    def admit(self, connection: MllpConnection, peer: str) -> bool:
        """Count a new connection in; ``False`` turns it away."""
        limits = self.limits
        if (
            self.stopping
            or len(self._connections) >= limits.connections
            or self._by_peer[peer] >= limits.connections_per_peer
        ):
            self.statistics.turned_away += 1
            fields = {"door": "mllp", "peer": peer, "error_code": "too-many-connections"}
            _log.warning("peer.refused", extra={"fields": fields})
            return False
        self.statistics.connections += 1
        self._connections.add(connection)
        self._by_peer[peer] += 1
        return True

    def forget(self, connection: MllpConnection, peer: str) -> None:
        """Count a connection out."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]
        if not self._connections:
            self._all_gone.set()

    def next_control_id(self) -> str:
        """Our own MSH-10: 8 hexadecimal digits of this run and a serial number."""
        return f"{self._prefix}{next(self._serial):08X}"

    def written_at(self) -> str:
        """MSH-7 of an answer, to the second, Taipei time with its offset."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._written_at = datetime.fromtimestamp(second, TAIPEI).strftime("%Y%m%d%H%M%S%z")
        return self._written_at

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self._connections):
            connection.check_time(now)
        limits = self.limits
        shortest = min(limits.frame_seconds, limits.idle_seconds, limits.end_grace_seconds)
        self._sweeper = loop.call_later(min(_SWEEP_SECONDS, shortest / 4), self._sweep, loop)
