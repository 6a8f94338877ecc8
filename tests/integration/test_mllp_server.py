"""The MLLP door before rude and polite peers, over loopback sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapters.hl7.connection import MllpConnection
from adapters.hl7.framing import enclose
from adapters.hl7.limits import MllpLimits
from adapters.hl7.server import MllpServer, SourceOfPeer
from adapters.ports.intake import Door, Media, StorageUnavailable
from tests.mllp_peers import HeldIntake, Peer, everybody, listening, numbered

Open = Callable[..., Awaitable[tuple[MllpServer, Peer]]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    servers: list[MllpServer] = []
    peers: list[Peer] = []

    async def open_door(
        intake: HeldIntake,
        limits: MllpLimits | None = None,
        source_of_peer: SourceOfPeer = everybody,
    ) -> tuple[MllpServer, Peer]:
        server = await listening(intake, limits, source_of_peer)
        servers.append(server)
        peer = await Peer.connect(server.port)
        peers.append(peer)
        return server, peer

    yield open_door
    for peer in peers:
        await peer.leave()
    for server in servers:
        await server.stop()


async def test_a_stored_message_is_answered_and_handed_over_as_received(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake)
    raw = numbered(1)
    await peer.write(enclose(raw))
    assert await peer.answer() == ("AA", "M1", "")
    await intake.told(1)
    ((payload, _),) = intake.offers
    assert payload.raw == raw
    assert (payload.source_id, payload.door, payload.media) == ("lab-a", Door.MLLP, Media.HL7V2)
    assert payload.control_id == "M1"
    assert intake.answered == [(1, True)]


async def test_no_answer_precedes_the_commit(opened: Open) -> None:
    intake = HeldIntake()
    _, peer = await opened(intake)
    await peer.write(enclose(numbered(1)))
    await intake.holds(1)
    assert await peer.is_silent()
    assert intake.answered == []
    intake.settle(1)
    assert await peer.answer() == ("AA", "M1", "")


async def test_answers_keep_the_order_of_the_frames_whatever_commits_first(opened: Open) -> None:
    intake = HeldIntake()
    _, peer = await opened(intake)
    await peer.write(b"".join(enclose(numbered(at)) for at in (1, 2, 3)))
    await intake.holds(3)
    intake.settle(3)
    intake.settle(2)
    assert await peer.is_silent()
    intake.settle(1)
    assert [(await peer.answer())[1] for _ in range(3)] == ["M1", "M2", "M3"]
    await intake.told(3)
    assert intake.answered == [(1, True), (2, True), (3, True)]


async def test_a_failed_commit_is_answered_ae_in_its_turn(opened: Open) -> None:
    intake = HeldIntake()
    server, peer = await opened(intake)
    await peer.write(enclose(numbered(1)) + enclose(numbered(2)))
    await intake.holds(2)
    intake.settle(2)
    intake.fail(1)
    assert (await peer.answer())[:2] == ("AE", "M1")
    assert (await peer.answer())[:2] == ("AA", "M2")
    await intake.told(1)
    assert intake.answered == [(2, True)]
    assert (server.statistics.accepted, server.statistics.refused) == (1, 1)


async def test_an_intake_that_refuses_at_once_is_answered_ae(opened: Open) -> None:
    intake = HeldIntake(refuse=StorageUnavailable(reason="closed"))
    _, peer = await opened(intake)
    await peer.write(enclose(numbered(1)))
    assert (await peer.answer())[:2] == ("AE", "M1")


async def test_thirty_two_pipelined_frames_in_one_write_are_all_answered(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake)
    await peer.write(b"".join(enclose(numbered(at)) for at in range(32)))
    assert [(await peer.answer())[:2] for _ in range(32)] == [("AA", f"M{at}") for at in range(32)]


async def test_a_message_may_come_byte_by_byte(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake)
    block = enclose(b"MSH|^~\\&|L|L|||2026||ORU^R01|M1|P|2.5\r")
    for at in range(len(block)):
        peer.writer.write(block[at : at + 1])
        await peer.writer.drain()
        await asyncio.sleep(0)
    assert await peer.answer() == ("AA", "M1", "")


async def test_a_restarted_message_is_taken_once_and_answered_once(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, peer = await opened(intake)
    block = enclose(numbered(1))
    await peer.write(block[:40], block)
    assert await peer.answer() == ("AA", "M1", "")
    assert await peer.is_silent()
    assert intake.control_ids == ["M1"]
    assert server.statistics.faults == {"restarted": 1}


async def test_junk_before_a_message_does_not_cost_the_message(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, peer = await opened(intake)
    await peer.write(b"\r\nHELO\r\n", enclose(numbered(1)))
    assert await peer.answer() == ("AA", "M1", "")
    assert server.statistics.faults == {"outside": 1}


async def test_a_peer_that_never_sends_cr_is_answered_after_a_moment(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake, MllpLimits(end_grace_seconds=0.05))
    await peer.write(enclose(numbered(1))[:-1])
    assert await peer.answer() == ("AA", "M1", "")
    await peer.write(enclose(numbered(2))[:-1])
    assert await peer.answer() == ("AA", "M2", "")


async def test_half_a_message_and_silence_ends_without_an_answer(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, peer = await opened(intake, MllpLimits(frame_seconds=0.1))
    await peer.write(enclose(numbered(1))[:50])
    await peer.closed()
    assert intake.offers == []
    assert server.statistics.timed_out == 1


async def test_a_peer_that_drips_is_closed_however_lively(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, peer = await opened(intake, MllpLimits(frame_seconds=0.1, linger_seconds=0.1))
    block = enclose(numbered(1))

    async def drip() -> None:
        for at in range(len(block)):
            peer.writer.write(block[at : at + 1])
            await peer.writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(ConnectionError):
        await drip()
    assert intake.offers == []
    assert server.statistics.timed_out == 1


async def test_a_peer_that_says_nothing_is_closed(opened: Open) -> None:
    server, peer = await opened(HeldIntake(), MllpLimits(idle_seconds=0.1))
    await peer.closed()
    assert server.statistics.timed_out == 1


async def test_waiting_for_a_slow_commit_is_not_idle(opened: Open) -> None:
    intake = HeldIntake()
    _, peer = await opened(intake, MllpLimits(idle_seconds=0.25))
    await peer.write(enclose(numbered(1)))
    await intake.holds(1)
    assert await peer.is_silent(0.5)
    intake.settle(1)
    assert await peer.answer() == ("AA", "M1", "")


async def test_a_frame_beyond_the_limit_is_refused_and_the_connection_ends(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, peer = await opened(intake, MllpLimits(frame_bytes=2000))
    big = numbered(1, "NTE|1||" + "x" * 5000)
    peer.writer.write(enclose(numbered(0)) + enclose(big) + enclose(numbered(2)))
    assert await peer.answer() == ("AA", "M0", "")
    assert await peer.answer() == ("AR", "M1", "Message too large")
    await peer.closed()
    assert intake.control_ids == ["M0"]
    assert server.statistics.faults == {"too-large": 1}


async def test_what_is_no_hl7_is_kept_and_refused(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake)
    await peer.write(enclose(b'{"resourceType": "Bundle"}'))
    assert await peer.answer() == ("AR", "", "Not an HL7 v2 message")
    await intake.told(1)
    ((payload, _),) = intake.offers
    assert (payload.media, payload.raw) == (Media.UNKNOWN, b'{"resourceType": "Bundle"}')
    assert intake.answered == [(1, True)]


async def test_undecodable_bytes_are_kept_and_acknowledged(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake)
    raw = numbered(1) + b"NTE|1||\xff\xfe\r"
    await peer.write(enclose(raw))
    assert await peer.answer() == ("AA", "M1", "")
    assert intake.offers[0][0].raw == raw


async def test_an_empty_block_is_no_message(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    _, peer = await opened(intake)
    await peer.write(b"\x0b\x1c\r", enclose(numbered(1)))
    assert await peer.answer() == ("AA", "M1", "")
    assert len(intake.offers) == 1


async def test_a_stranger_is_refused_and_nothing_is_kept(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    asked: list[tuple[str, object, str, str]] = []

    def nobody(address: str, tls: object, application: str, facility: str) -> str | None:
        asked.append((address, tls, application, facility))
        return None

    _, peer = await opened(intake, None, nobody)
    await peer.write(enclose(numbered(1)))
    assert await peer.answer() == ("AR", "M1", "Unknown source")
    assert intake.offers == []
    assert asked == [("127.0.0.1", None, "LIS", "LAB")]


async def test_a_peer_that_is_gone_before_its_answer_is_reported_so(opened: Open) -> None:
    intake = HeldIntake()
    server, peer = await opened(intake)
    await peer.write(enclose(numbered(1)))
    await intake.holds(1)
    peer.reset()
    await asyncio.sleep(0.05)
    intake.settle(1)
    await intake.told(1)
    assert intake.answered == [(1, False)]
    assert server.statistics.undelivered == 1


async def test_a_peer_that_half_closes_still_gets_its_answers(opened: Open) -> None:
    intake = HeldIntake()
    _, peer = await opened(intake)
    await peer.write(enclose(numbered(1)) + enclose(numbered(2))[:-1])
    peer.writer.write_eof()
    await intake.holds(2)
    assert await peer.is_silent()
    intake.settle(2)
    intake.settle(1)
    assert (await peer.answer())[1] == "M1"
    assert (await peer.answer())[1] == "M2"
    await peer.closed()
    assert intake.answered == [(1, True), (2, True)]


async def test_reading_pauses_while_many_frames_wait(opened: Open) -> None:
    intake = HeldIntake()
    _, peer = await opened(intake, MllpLimits(unsettled_frames=4))
    for at in range(1, 9):
        await peer.write(enclose(numbered(at)))
    await intake.holds(4)
    await asyncio.sleep(0.1)
    assert len(intake.offers) == 4
    for at in range(1, 5):
        intake.settle(at)
    await intake.holds(8)
    for at in range(5, 9):
        intake.settle(at)
    assert [(await peer.answer())[1] for _ in range(8)] == [f"M{at}" for at in range(1, 9)]


class FullTransport(asyncio.Transport):
    """A transport whose write buffer is full because the peer does not read."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 1)})
        self.reading = True
        self.written = b""

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False


async def test_a_peer_that_reads_no_answers_is_not_read_from() -> None:
    server = MllpServer(HeldIntake(), everybody)
    connection = MllpConnection(server, asyncio.get_running_loop())
    transport = FullTransport()
    connection.connection_made(transport)
    connection.pause_writing()
    assert not transport.reading
    connection.resume_writing()
    assert transport.reading


async def test_connections_beyond_the_limit_are_turned_away(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, first = await opened(intake, MllpLimits(connections_per_peer=1))
    await first.write(enclose(numbered(1)))
    await first.answer()
    second = await Peer.connect(server.port)
    await second.closed()
    await second.leave()
    assert server.statistics.turned_away == 1
    await first.leave()
    await asyncio.sleep(0.05)
    third = await Peer.connect(server.port)
    await third.write(enclose(numbered(3)))
    assert (await third.answer())[1] == "M3"
    await third.leave()


async def test_slow_peers_do_not_hold_up_good_ones(opened: Open) -> None:
    intake = HeldIntake(prompt=True)
    server, good = await opened(intake)
    slow = [await Peer.connect(server.port) for _ in range(40)]
    for peer in slow:
        peer.writer.write(b"\x0bMSH|")
    await good.write(enclose(numbered(1)))
    assert await good.answer() == ("AA", "M1", "")
    for peer in slow:
        await peer.leave()


async def test_stopping_answers_what_is_under_way_and_takes_no_more(opened: Open) -> None:
    intake = HeldIntake()
    server, peer = await opened(intake)
    idle = await Peer.connect(server.port)
    await peer.write(enclose(numbered(1)))
    await intake.holds(1)
    port = server.port
    stopping = asyncio.create_task(server.stop())
    await idle.closed()
    await peer.write(enclose(numbered(2)))
    assert not stopping.done()
    intake.settle(1)
    assert await peer.answer() == ("AA", "M1", "")
    await peer.closed()
    await peer.leave()
    await idle.leave()
    await stopping
    assert intake.control_ids == ["M1"]
    assert intake.answered == [(1, True)]
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_stopping_does_not_wait_for_ever_for_a_commit(opened: Open) -> None:
    intake = HeldIntake()
    server, peer = await opened(intake, MllpLimits(stop_seconds=0.1))
    await peer.write(enclose(numbered(1)))
    await intake.holds(1)
    await server.stop()
    intake.settle(1)
    await intake.told(1)
    assert intake.answered == [(1, False)]


async def test_nothing_of_a_message_is_logged(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    intake = HeldIntake(refuse=StorageUnavailable(reason="disk full"))
    _, peer = await opened(intake, MllpLimits(frame_bytes=2000))
    caplog.set_level(logging.DEBUG)
    await peer.write(b"A123456789 junk", enclose(numbered(1)), enclose(numbered(2))[:100])
    await peer.answer()
    peer.writer.write(enclose(numbered(3, "NTE|1||" + "x" * 5000)))
    await peer.answer()
    await peer.closed()
    logged = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "frame.refused" in logged
    for secret in ("A123456789", "王", "小明", "19700102", "M1", "xxx"):
        assert secret not in logged
