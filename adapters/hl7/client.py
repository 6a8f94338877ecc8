"""An MLLP sender: one connection, several messages, every answer matched to its message.

An answer that does not come in time makes the connection useless, because it would later be
taken for the answer to the next message; it is closed, and the caller decides on sending again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from adapters.hl7.acknowledgement import read_acknowledgement
from adapters.hl7.framing import MllpFramer, enclose
from adapters.hl7.header import read_header
from mapping.errors import LabbrokerError


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """MSA-1, MSA-2, MSA-3 of the answer."""

    code: str
    control_id: str
    text: str = ""

    @property
    def accepted(self) -> bool:
        """AA or CA: the receiver has it, no need to send again."""
        return self.code in ("AA", "CA")


class NotAcknowledged(LabbrokerError):
    """No usable answer: the receiver may or may not have the message."""

    code = "mllp-not-acknowledged"
    en = (
        "The MLLP receiver gave no usable answer: {reason}.",
        "Send the same message again under the same control id; receivers recognise duplicates.",
    )
    zh = (
        "MLLP 接收端未給予可用的回覆：{reason}。",
        "請以相同的控制碼重送同一訊息；接收端可辨識重複。",
    )


class MllpClient(asyncio.Protocol):
    """Use :func:`connect`, then :meth:`send`, in order or several at a time (pipelined)."""

    def __init__(self, timeout_seconds: float = 30.0) -> None:
        self._timeout = timeout_seconds
        self._framer = MllpFramer()
        self._waiting: deque[tuple[str, asyncio.Future[Acknowledgement]]] = deque()
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(self, raw: bytes) -> Acknowledgement:
        """Send one message and wait for its answer.

        Raises :class:`NotAcknowledged` when none comes in time, the connection ends, or the
        answer names another message; :class:`ValueError` when ``raw`` cannot be framed.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise NotAcknowledged(reason="the connection is closed")
        header = read_header(raw)
        answer: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        block = enclose(raw)
        self._waiting.append((header.echo_id if header else "", answer))
        transport.write(block)
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError:
            self._fail("no answer in time")
            raise NotAcknowledged(reason="no answer in time") from None
        except asyncio.CancelledError:
            self._fail("sending was cancelled")
            raise

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended, by either side."""
        return self._transport is None or self._transport.is_closing()

    async def close(self) -> None:
        """Close the connection; messages still waiting are not acknowledged."""
        if self._transport is not None:
            self._transport.close()
            await self._closed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for item in self._framer.feed(data):
            if isinstance(item, bytes):
                self._answered(item)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection ended")
        if not self._closed.done():
            self._closed.set_result(None)

    def _answered(self, frame: bytes) -> None:
        answer = read_acknowledgement(frame)
        if not self._waiting:
            self._fail("an answer came that nobody waits for")
            return
        if answer is None:
            self._fail("the answer holds no MSA segment")
            return
        control_id, waiting = self._waiting[0]
        if control_id and answer[1] and answer[1] != control_id:
            self._fail("the answer is for another message")
            return
        self._waiting.popleft()
        if not waiting.done():
            waiting.set_result(Acknowledgement(*answer))

    def _fail(self, reason: str) -> None:
        while self._waiting:
            _, waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(NotAcknowledged(reason=reason))
        if self._transport is not None:
            self._transport.abort()


async def connect(
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = 30.0,
) -> MllpClient:
    """A connected client. Raises :class:`OSError` or :class:`TimeoutError`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_seconds):
        _, client = await loop.create_connection(
            lambda: MllpClient(timeout_seconds), host, port, ssl=tls
        )
    return client
