"""Both ends of the MLLP door for its tests: an intake that settles when told, and a raw peer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

from adapters.hl7.acknowledgement import read_acknowledgement
from adapters.hl7.framing import MllpFramer
from adapters.hl7.limits import MllpLimits
from adapters.hl7.server import MllpServer, SourceOfPeer
from adapters.ports.intake import Accepted, Payload, Settle, StorageUnavailable
from mapping.errors import LabbrokerError
from tests.hl7_samples import MSH, OBR, OBX, PID, message, with_fields


@dataclass
class HeldIntake:
    """Keeps every offer until the test settles it; ``prompt`` settles at once, in the call."""

    prompt: bool = False
    offers: list[tuple[Payload, Settle]] = field(default_factory=list)
    answered: list[tuple[int, bool]] = field(default_factory=list)
    refuse: LabbrokerError | None = None

    def offer(self, payload: Payload, settle: Settle) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.offers.append((payload, settle))
        if self.prompt:
            self.settle(len(self.offers))

    async def receive(self, payload: Payload) -> Accepted:
        raise NotImplementedError

    def acknowledged(self, receipt_id: int, delivered: bool) -> None:
        self.answered.append((receipt_id, delivered))

    def settle(self, number: int, duplicate: bool = False) -> None:
        """Commit the offer of this number, from 1; it is its receipt id as well."""
        self.offers[number - 1][1](Accepted(number, duplicate))

    def fail(self, number: int) -> None:
        self.offers[number - 1][1](StorageUnavailable(reason="disk full"))

    @property
    def control_ids(self) -> list[str]:
        return [payload.control_id for payload, _ in self.offers]

    async def holds(self, count: int) -> None:
        """Until so many offers have come."""
        async with asyncio.timeout(10):
            while len(self.offers) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def told(self, count: int) -> None:
        """Until so many answers have been reported."""
        async with asyncio.timeout(10):
            while len(self.answered) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


class Peer:
    """A peer that writes any bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._framer = MllpFramer()
        self._answers: list[tuple[str, str, str]] = []

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def write(self, *pieces: bytes) -> None:
        """Each piece in a TCP segment of its own, as far as loopback allows."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def answer(self) -> tuple[str, str, str]:
        """MSA-1, MSA-2, MSA-3 of the next answer."""
        async with asyncio.timeout(10):
            while not self._answers:
                data = await self.reader.read(65536)
                assert data, "the server closed without an answer"
                for frame in self._framer.feed(data):
                    assert isinstance(frame, bytes)
                    found = read_acknowledgement(frame)
                    assert found is not None
                    self._answers.append(found)
        return self._answers.pop(0)

    async def closed(self) -> None:
        """Until the server has closed, with nothing more said."""
        async with asyncio.timeout(10):
            try:
                rest = await self.reader.read(65536)
            except ConnectionError:
                rest = b""
        assert rest == b""
        assert not self._answers

    async def is_silent(self, seconds: float = 0.15) -> bool:
        try:
            async with asyncio.timeout(seconds):
                data = await self.reader.read(1)
        except TimeoutError:
            return not self._answers
        return data == b""

    def reset(self) -> None:
        """Go at once, with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def leave(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def everybody(address: str, tls: object, application: str, facility: str) -> str | None:
    return "lab-a"


async def listening(
    intake: HeldIntake,
    limits: MllpLimits | None = None,
    source_of_peer: SourceOfPeer = everybody,
) -> MllpServer:
    server = MllpServer(intake, source_of_peer, limits)
    await server.start(port=0)
    return server


def numbered(number: int, *segments: str) -> bytes:
    """A result message with control id ``M<number>``."""
    return message(with_fields(MSH, f10=f"M{number}"), PID, OBR, *(segments or (OBX,)))
