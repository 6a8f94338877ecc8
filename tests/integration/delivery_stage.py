"""Results on their way to clinics: messages, receivers, and the senders of a stage."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from adapters.hl7.framing import MllpFramer, enclose
from adapters.hl7.header import read_header
from adapters.hl7.oru import read_hl7
from broker.bootstrap.delivery import Deliveries
from broker.bootstrap.readers import READERS
from broker.delivery.agreement import DeliveryAgreement, DeliveryFormat, DeliveryKind
from broker.demo.people import CLINIC, LAB, national_id
from broker.results import ReadResults
from broker.store.delivery_tables import outgoing
from mapping.profile import SourceProfile
from mapping.report import LabReport
from tests.integration.broker_stage import PROFILE, Stage

OTHER = "3599900002"
PERSON = national_id("A", 19900001)


def oru(
    filler: str,
    value: str,
    *,
    status: str = "F",
    clinic: str = CLINIC,
    person: str = PERSON,
    flag: str = "",
    taken: str = "202611190930",
    reported: str = "202611191200",
) -> bytes:
    """One result; ``filler`` is its order."""
    return (
        f"MSH|^~\\&|LIS|{LAB}|||{reported}||ORU^R01|{filler}-{value}-{status}|P|2.5.1||||||UNICODE"
        f" UTF-8\rPID|1||{person}^^^^NNTWN||許功蓋||19580314|M\r"
        f"ORC|RE|P-{filler}|{filler}||||||||||||||||||^^^^^^FI^^^{clinic}\r"
        f"OBR|1|P-{filler}|{filler}|09005C^血糖|||{taken}|||||||||||||||{reported}|||{status}\r"
        f"OBX|1|NM|GLUC^血糖||{value}|mg/dL|70 - 100|{flag}|||{status}\r"
    ).encode()


def agreement(
    name: str, kind: DeliveryKind, clinic: str = CLINIC, **more: Any
) -> DeliveryAgreement:
    return DeliveryAgreement(name, clinic, kind, more.pop("format", DeliveryFormat.HL7), **more)


def rows(stage: Stage) -> list[Any]:
    """The outbox, in its order."""
    with stage.reader.connect() as connection:
        return list(connection.execute(select(outgoing).order_by(outgoing.c.id)))


def states(stage: Stage) -> list[str]:
    return [row.state for row in rows(stage)]


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - the state is in the store
            await asyncio.sleep(0.01)


@dataclass
class Receiver:
    """A clinic's system. ``answer`` gives the code for the n-th message, None to hang up."""

    answer: Callable[[int, bytes], str | None] = lambda count, raw: "AA"
    came: list[bytes] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = MllpFramer()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for frame in framer.feed(data):
                    assert isinstance(frame, bytes)
                    self.came.append(frame)
                    code = self.answer(len(self.came), frame)
                    if code is None:
                        writer.close()
                        return
                    header = read_header(frame)
                    assert header is not None
                    ack = f"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|{code}|{header.control_id}\r"
                    writer.write(enclose(ack.encode()))
                    await writer.drain()
        writer.close()

    @property
    def reports(self) -> list[LabReport]:
        return [read_hl7(raw, SourceProfile("x")).reports[0] for raw in self.came]

    @property
    def values(self) -> list[str]:
        return [each.observations[0].value for each in self.reports]


async def at_once(seconds: float) -> None:
    """A pause that takes no time."""
    await asyncio.sleep(0.001)


@asynccontextmanager
async def delivering(
    stage: Stage,
    *agreements: DeliveryAgreement,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Deliveries]:
    """The senders at work."""
    results = ReadResults(stage.reader, READERS, {"lab": PROFILE})
    deliveries = Deliveries(
        agreements,
        stage.writer,
        stage.reader,
        results,
        lambda: stage.now,
        environ or {},
        sleep=at_once,
    )
    deliveries.start(asyncio.create_task)
    try:
        yield deliveries
    finally:
        await deliveries.stop()
