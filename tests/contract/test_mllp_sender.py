"""The sender against receivers: python-hl7's server, our own, and some that answer badly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import hl7
import hl7.mllp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7.framing import MllpFramer, enclose
from adapters.hl7.header import read_header
from adapters.hl7.sender import Destination, MllpSender, Pace, pause_after
from adapters.ports.intake import StorageUnavailable
from adapters.ports.outbox import Outgoing
from tests.mllp_peers import HeldIntake, listening, numbered

PATIENT = Pace(answer=20.0)


@dataclass
class ListOutbox:
    """A queue in memory that writes down what it is told."""

    waiting: list[Outgoing]
    told: list[tuple[object, ...]] = field(default_factory=list)
    broken: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, *raws: bytes) -> ListOutbox:
        return cls([Outgoing(number, raw) for number, raw in enumerate(raws, start=1)])

    async def first(self) -> Outgoing | None:
        if not self.waiting:
            self.empty.set()
            return None
        return self.waiting[0]

    async def delivered(self, outgoing_id: int, answer: str) -> None:
        if self.broken:
            self.broken -= 1
            raise StorageUnavailable(reason="disk full")
        self._done(outgoing_id, "delivered", answer)

    async def refused(self, outgoing_id: int, answer: str, text: str) -> None:
        self._done(outgoing_id, "refused", answer, text)

    async def failed(self, outgoing_id: int, reason: str) -> None:
        self.told.append((outgoing_id, "failed", reason))

    def _done(self, outgoing_id: int, *told: object) -> None:
        assert self.waiting.pop(0).outgoing_id == outgoing_id
        self.told.append((outgoing_id, *told))


@dataclass
class Pauses:
    """Pauses that take no time."""

    taken: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


async def emptied(
    outbox: ListOutbox, port: int, pauses: Pauses | None = None, pace: Pace = PATIENT
) -> MllpSender:
    sender = MllpSender(
        outbox, Destination("127.0.0.1", port), pace, pauses or Pauses(), lambda: 0.0
    )
    running = asyncio.create_task(sender.run())
    async with asyncio.timeout(20):
        await outbox.empty.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return sender


Answer = Callable[[int, bytes], bytes | None]
Script = Callable[[Answer], Awaitable[tuple[int, list[str]]]]


@pytest.fixture
async def receiver() -> AsyncIterator[Script]:
    """``await receiver(answer)``: a server that gives ``answer(count, frame)``, or hangs up on
    None. Its port, and the control ids that came."""
    servers: list[asyncio.Server] = []

    async def start(answer: Answer) -> tuple[int, list[str]]:
        came: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            framer = MllpFramer()
            while data := await reader.read(65536):
                for frame in framer.feed(data):
                    assert isinstance(frame, bytes)
                    header = read_header(frame)
                    assert header is not None
                    came.append(header.control_id)
                    said = answer(len(came), frame)
                    if said is None:
                        writer.close()
                        return
                    writer.write(said)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1]), came

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
def nowhere() -> Iterator[int]:
    """A port at which nobody listens, nor will another process."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield deaf.getsockname()[1]


def word(code: str, control_id: str, text: str = "") -> bytes:
    return enclose(f"MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|{code}|{control_id}|{text}\r".encode())


async def test_python_hl7_receives_every_message_in_order() -> None:
    came: list[str] = []

    async def serve(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                message = await reader.readmessage()
                came.append(str(message.segment("MSH")[10]))
                writer.writemessage(message.create_ack())
                await writer.drain()
        writer.close()

    server = await hl7.mllp.start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8")
    async with server:
        outbox = ListOutbox.of(*(numbered(at) for at in range(20)))
        await emptied(outbox, server.sockets[0].getsockname()[1])
    assert came == [f"M{at}" for at in range(20)]
    assert [told[1:] for told in outbox.told] == [("delivered", "AA")] * 20


async def test_our_own_server_receives_every_message_in_order() -> None:
    intake = HeldIntake(prompt=True)
    server = await listening(intake)
    outbox = ListOutbox.of(*(numbered(at) for at in range(20)))
    await emptied(outbox, server.port)
    await server.stop()
    assert intake.control_ids == [f"M{at}" for at in range(20)]
    assert len(outbox.told) == 20


async def test_the_next_message_waits_for_the_answer_to_the_one_before() -> None:
    intake = HeldIntake()
    server = await listening(intake)
    outbox = ListOutbox.of(numbered(1), numbered(2))
    sending = asyncio.create_task(emptied(outbox, server.port))
    await intake.holds(1)
    await asyncio.sleep(0.05)
    assert intake.control_ids == ["M1"]
    intake.settle(1)
    await intake.holds(2)
    intake.settle(2)
    await sending
    await server.stop()
    assert [told[:2] for told in outbox.told] == [(1, "delivered"), (2, "delivered")]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        b"",
        word("AR", "M1"),
        word("CR", "M1"),
        word("", "M1"),
        word("OK", "M1"),
        word("AA", "M9"),
        enclose(b"MSH|^~\\&|||||||ACK|1|P|2.5\r"),
        enclose(b"thank you"),
    ],
)
async def test_without_a_clear_word_the_same_message_goes_again_before_the_next(
    receiver: Script, bad: bytes | None
) -> None:
    def answer(count: int, frame: bytes) -> bytes | None:
        header = read_header(frame)
        assert header is not None
        return bad if count <= 2 else word("AA", header.control_id)

    port, came = await receiver(answer)
    outbox, pauses = ListOutbox.of(numbered(1), numbered(2)), Pauses()
    sender = await emptied(outbox, port, pauses, Pace(answer=0.5) if bad == b"" else PATIENT)
    assert came == ["M1", "M1", "M1", "M2"]
    assert [told[:2] for told in outbox.told] == [
        *((1, "failed"), (1, "failed"), (1, "delivered"), (2, "delivered")),
    ]
    assert pauses.taken == [1.0, 2.0]
    assert sender.failures == 0


@pytest.mark.parametrize("code", ["AE", "CE"])
async def test_a_message_that_is_refused_for_its_content_is_set_aside_and_the_next_goes_on(
    receiver: Script, code: str
) -> None:
    port, came = await receiver(
        lambda count, _: word(code if count == 1 else "AA", f"M{count}", "PID missing")
    )
    outbox, pauses = ListOutbox.of(numbered(1), numbered(2)), Pauses()
    await emptied(outbox, port, pauses)
    assert came == ["M1", "M2"]
    assert outbox.told == [(1, "refused", code, "PID missing"), (2, "delivered", "AA")]
    assert pauses.taken == []


async def test_a_receiver_that_is_not_there_is_tried_again_and_again(nowhere: int) -> None:
    outbox, pauses = ListOutbox.of(numbered(1)), Pauses()
    sender = MllpSender(outbox, Destination("127.0.0.1", nowhere), PATIENT, pauses, lambda: 0.0)
    running = asyncio.create_task(sender.run())
    async with asyncio.timeout(10):
        while len(pauses.taken) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert pauses.taken[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert outbox.waiting


async def test_a_sender_that_finds_nobody_ends_whenever_it_is_told_to(nowhere: int) -> None:
    for steps in range(60):
        outbox = ListOutbox.of(numbered(1))
        sender = MllpSender(outbox, Destination("127.0.0.1", nowhere), PATIENT, Pauses())
        running = asyncio.create_task(sender.run())
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        ended, _ = await asyncio.wait({running}, timeout=5)
        assert ended, f"cancelled after {steps} turns of the loop, it goes on"


async def test_a_delivery_that_could_not_be_noted_is_made_again_under_its_control_id(
    receiver: Script,
) -> None:
    port, came = await receiver(lambda _, frame: word("AA", "M1"))
    outbox = ListOutbox.of(numbered(1))
    outbox.broken = 1
    await emptied(outbox, port)
    assert came == ["M1", "M1"]
    assert outbox.told == [(1, "delivered", "AA")]


async def test_a_message_that_cannot_be_framed_is_for_a_person(receiver: Script) -> None:
    port, came = await receiver(lambda _, frame: word("AA", "M2"))
    outbox = ListOutbox.of(numbered(1) + b"\x1c\r", numbered(2))
    await emptied(outbox, port)
    assert came == ["M2"]
    assert outbox.told[0][:2] == (1, "refused")


async def test_a_message_that_comes_later_wakes_the_sender(receiver: Script) -> None:
    port, came = await receiver(lambda count, _: word("AA", f"M{count}"))
    outbox = ListOutbox.of(numbered(1))
    pace = Pace(answer=20.0, idle=0.05)
    sender = MllpSender(outbox, Destination("127.0.0.1", port), pace, Pauses())
    running = asyncio.create_task(sender.run())
    async with asyncio.timeout(10):
        await outbox.empty.wait()
        await asyncio.sleep(0.15)
        outbox.empty.clear()
        outbox.waiting.append(Outgoing(2, numbered(2)))
        sender.wake()
        await outbox.empty.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert came == ["M1", "M2"]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_and_stay_within_their_bounds(failures: int, chance: float) -> None:
    pace = Pace()
    pause = pause_after(failures, pace, chance)
    assert pace.first_pause * (1 - pace.spread) <= pause <= pace.longest_pause
    assert pause <= pause_after(failures + 1, pace, chance)
