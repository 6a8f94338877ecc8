"""One MLLP connection: frames to the intake, answers back in the order of the frames."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

from adapters.hl7.acknowledgement import (
    ACCEPTED,
    NOT_HL7,
    NOT_STORED,
    TOO_LARGE,
    UNKNOWN_SOURCE,
    Reply,
    write_acknowledgement,
)
from adapters.hl7.framing import FaultKind, Framed, FrameFault, MllpFramer, enclose
from adapters.hl7.header import MessageHeader, read_header
from adapters.hl7.limits import MllpLimits, MllpStatistics
from adapters.ports.intake import Accepted, Door, Intake, Media, Payload
from mapping.errors import LabbrokerError

_log = logging.getLogger(__name__)

SourceOfPeer: TypeAlias = Callable[[str, ssl.SSLObject | None, str, str], str | None]
"""``(peer address, TLS object, MSH-3.1, MSH-4.1) → source_id``, or ``None`` for a stranger."""


class ListeningDoor(Protocol):
    """What a connection needs of its server."""

    intake: Intake
    source_of_peer: SourceOfPeer
    limits: MllpLimits
    statistics: MllpStatistics

    def admit(self, connection: MllpConnection, peer: str) -> bool:
        """Count in, or turn away."""

    def forget(self, connection: MllpConnection, peer: str) -> None:
        """Count out."""

    def next_control_id(self) -> str:
        """MSH-10 of the next answer."""

    def written_at(self) -> str:
        """MSH-7 of the next answer."""


class _Exchange:
    """One frame and what it waits for. ``reply`` is set by the settle callback."""

    __slots__ = ("header", "receipt_id", "reply")

    def __init__(self, header: MessageHeader | None, reply: Reply | None = None) -> None:
        self.header = header
        self.reply = reply
        self.receipt_id: int | None = None


class MllpConnection(asyncio.Protocol):
    """Made by :class:`adapters.hl7.server.MllpServer` for each peer."""

    def __init__(self, door: ListeningDoor, loop: asyncio.AbstractEventLoop) -> None:
        self._door = door
        self._loop = loop
        self._framer = MllpFramer(door.limits.frame_bytes)
        self._exchanges: deque[_Exchange] = deque()
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._peer = ""
        self._admitted = False
        self._closing = False
        self._gone = False
        self._flushing = False
        self._write_paused = False
        self._read_paused = False
        self._heard_at = loop.time()
        self._frame_began_at: float | None = None
        self._close_by: float | None = None
        self._peer_finished = False
        self._reported: set[str] = set()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername")
        self._peer = str(peername[0]) if peername else ""
        self._tls = transport.get_extra_info("ssl_object")
        self._admitted = self._door.admit(self, self._peer)
        if not self._admitted:
            transport.close()
            return
        raw_socket = transport.get_extra_info("socket")
        if raw_socket is not None:
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        if self._closing or not self._admitted:
            return
        self._heard_at = self._loop.time()
        self._take(self._framer.feed(data))
        if not self._framer.partial:
            self._frame_began_at = None
        elif self._frame_began_at is None:
            self._frame_began_at = self._heard_at
        self._balance()

    def eof_received(self) -> bool:
        self._take(self._framer.close())
        self._frame_began_at = None
        self._peer_finished = True
        self.close_when_answered()
        return self._tls is None and bool(self._exchanges)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._admitted:
            self._take_faults(self._framer.close())
            self._door.forget(self, self._peer)
        self._flush()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._balance()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._balance()

    # called by the server

    def check_time(self, now: float) -> None:
        """Close what drips, sleeps or does not leave; end a frame whose CR does not come."""
        limits = self._door.limits
        if self._close_by is not None:
            if now >= self._close_by:
                self.abort()
        elif self._framer.awaiting_end and now - self._heard_at >= limits.end_grace_seconds:
            self._take(self._framer.finish())
            self._frame_began_at = None
        elif self._frame_began_at is not None:
            if not self._read_paused and now - self._frame_began_at >= limits.frame_seconds:
                self._time_out("frame")
        elif not self._exchanges and now - self._heard_at >= limits.idle_seconds:
            self._time_out("idle")

    def close_when_answered(self) -> None:
        """Read no more; close as soon as every stored frame has its answer."""
        self._closing = True
        self._balance()
        self._schedule_flush()

    def abort(self) -> None:
        """Close at once, unanswered frames and all."""
        if self._transport is not None:
            self._transport.abort()

    # frames in

    def _take(self, framed: list[Framed]) -> None:
        for item in framed:
            if self._closing:
                return
            if isinstance(item, bytes):
                if item and not item.isspace():
                    self._offer(item)
            else:
                self._take_fault(item)

    def _take_faults(self, framed: list[Framed]) -> None:
        for item in framed:
            if isinstance(item, FrameFault):
                self._take_fault(item)

    def _take_fault(self, fault: FrameFault) -> None:
        faults = self._door.statistics.faults
        faults[fault.kind] = faults.get(fault.kind, 0) + 1
        self._report("frame.refused", f"frame-{fault.kind}", size_bytes=fault.size)
        if fault.kind is FaultKind.TOO_LARGE and not self._gone:
            self._refuse(read_header(fault.head), TOO_LARGE)
            self.close_when_answered()

    def _offer(self, frame: bytes) -> None:
        door = self._door
        door.statistics.frames += 1
        header = read_header(frame)
        application, facility = (header.name_in(3), header.name_in(4)) if header else ("", "")
        source_id = door.source_of_peer(self._peer, self._tls, application, facility)
        if source_id is None:
            self._report("peer.refused", "unknown-source", door="mllp")
            self._refuse(header, UNKNOWN_SOURCE)
            return
        exchange = _Exchange(header)
        self._exchanges.append(exchange)
        payload = Payload(
            source_id,
            Door.MLLP,
            Media.HL7V2 if header else Media.UNKNOWN,
            frame,
            header.control_id if header else "",
        )
        try:
            door.intake.offer(payload, lambda outcome: self._settle(exchange, outcome))
        except LabbrokerError as error:
            self._settle(exchange, error)

    def _refuse(self, header: MessageHeader | None, reply: Reply) -> None:
        self._exchanges.append(_Exchange(header, reply))
        self._schedule_flush()

    # answers out

    def _settle(self, exchange: _Exchange, outcome: Accepted | LabbrokerError) -> None:
        if exchange.reply is not None:
            return
        if isinstance(outcome, Accepted):
            exchange.receipt_id = outcome.receipt_id
            exchange.reply = ACCEPTED if exchange.header is not None else NOT_HL7
        else:
            self._report("frame.refused", outcome.code)
            exchange.reply = NOT_STORED
        if len(self._exchanges) == 1 and not self._flushing:
            self._flush()
        else:
            self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write the answers that are due, up to the first frame still unsettled."""
        self._flushing = False
        transport = self._transport
        if transport is None or not self._admitted:
            return
        delivered = not self._gone and not transport.is_closing()
        answered: list[_Exchange] = []
        while self._exchanges and self._exchanges[0].reply is not None:
            answered.append(self._exchanges.popleft())
        if answered and delivered:
            transport.write(b"".join(map(self._answer, answered)))
        self._count(answered, delivered)
        if self._closing and not self._exchanges:
            self._leave(transport)
        self._balance()

    def _answer(self, exchange: _Exchange) -> bytes:
        door = self._door
        reply = exchange.reply or NOT_STORED
        return enclose(
            write_acknowledgement(exchange.header, reply, door.written_at(), door.next_control_id())
        )

    def _count(self, answered: list[_Exchange], delivered: bool) -> None:
        statistics = self._door.statistics
        for exchange in answered:
            if exchange.reply is ACCEPTED:
                statistics.accepted += 1
            else:
                statistics.refused += 1
            if exchange.receipt_id is not None:
                statistics.undelivered += not delivered
                self._door.intake.acknowledged(exchange.receipt_id, delivered)

    # pace and end

    def _balance(self) -> None:
        """Read only while answers flow and few frames wait for their commit."""
        transport = self._transport
        if transport is None or self._gone or transport.is_closing():
            return
        limit = self._door.limits.unsettled_frames
        waiting = len(self._exchanges)
        full = self._write_paused or waiting >= limit
        if full and not self._read_paused and not self._closing:
            self._read_paused = True
            transport.pause_reading()
        elif self._read_paused and (
            self._closing or (not self._write_paused and waiting <= limit // 2)
        ):
            self._read_paused = False
            self._heard_at = self._loop.time()
            if self._frame_began_at is not None:
                self._frame_began_at = self._heard_at
            transport.resume_reading()

    def _time_out(self, what: str) -> None:
        self._door.statistics.timed_out += 1
        self._report("peer.disconnected", f"{what}-time-out", door="mllp")
        self.close_when_answered()

    def _leave(self, transport: asyncio.Transport) -> None:
        """Half-close, so that a peer in the middle of sending still reads its answer."""
        if self._close_by is not None or transport.is_closing():
            return
        self._close_by = self._loop.time() + self._door.limits.linger_seconds
        if self._peer_finished or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()

    def _report(self, event: str, error_code: str, **fields: object) -> None:
        """Log what the peer did, each kind once for a connection."""
        if error_code not in self._reported:
            self._reported.add(error_code)
            given = {"peer": self._peer, "error_code": error_code, **fields}
            _log.warning(event, extra={"fields": given})
