"""Our own MLLP client, against our server and against receivers that answer badly."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.hl7.client import Acknowledgement, NotAcknowledged, connect
from adapters.hl7.framing import enclose
from adapters.hl7.limits import MllpLimits
from adapters.hl7.server import MllpServer
from broker.config.settings import SourceSettings
from broker.sources import SourceDirectory
from mapping.profile import SourceProfile
from tests.mllp_peers import HeldIntake, everybody, listening, numbered

Receiver = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[bytes], Awaitable[int]]]:
    """``await serve(answer)`` listens and gives ``answer`` to whatever comes; ``b""`` closes."""
    servers: list[asyncio.Server] = []

    async def start(answer: bytes) -> int:
        async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(65536) and answer:
                writer.write(answer)
            writer.close()

        server = await asyncio.start_server(receive, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_messages_are_sent_one_after_the_other_on_one_connection() -> None:
    intake = HeldIntake(prompt=True)
    server = await listening(intake)
    async with await connect("127.0.0.1", server.port) as client:
        for at in range(3):
            assert await client.send(numbered(at)) == Acknowledgement("AA", f"M{at}")
    await server.stop()
    assert intake.control_ids == ["M0", "M1", "M2"]


async def test_messages_may_be_pipelined() -> None:
    intake = HeldIntake()
    server = await listening(intake)
    async with await connect("127.0.0.1", server.port) as client:
        sending = [asyncio.create_task(client.send(numbered(at))) for at in range(10)]
        await intake.holds(10)
        for at in range(10, 0, -1):
            intake.settle(at)
        answers = await asyncio.gather(*sending)
    await server.stop()
    assert [answer.control_id for answer in answers] == [f"M{at}" for at in range(10)]
    assert all(answer.accepted for answer in answers)


async def test_a_refusal_is_an_answer() -> None:
    intake = HeldIntake()
    server = await listening(intake)
    async with await connect("127.0.0.1", server.port) as client:
        sending = asyncio.create_task(client.send(numbered(1)))
        await intake.holds(1)
        intake.fail(1)
        answer = await sending
    await server.stop()
    assert (answer.code, answer.accepted) == ("AE", False)


async def test_an_answer_that_does_not_come_makes_the_connection_useless() -> None:
    intake = HeldIntake()
    server = await listening(intake)
    client = await connect("127.0.0.1", server.port, timeout_seconds=0.1)
    with pytest.raises(NotAcknowledged, match="in time"):
        await client.send(numbered(1))
    with pytest.raises(NotAcknowledged, match="closed"):
        await client.send(numbered(2))
    await client.close()
    intake.settle(1)
    await server.stop()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "connection ended"),
        (enclose(b"MSH|^~\\&|X\rMSA|AA|OTHER\r"), "another message"),
        (enclose(b"MSH|^~\\&|X\r"), "no MSA"),
        (enclose(b"\x06"), "no MSA"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "in time"),
    ],
)
async def test_a_bad_answer_is_no_acknowledgement(
    serve: Callable[[bytes], Awaitable[int]], answer: bytes, reason: str
) -> None:
    client = await connect(
        "127.0.0.1", await serve(answer), timeout_seconds=0.3 if reason == "in time" else 20
    )
    with pytest.raises(NotAcknowledged, match=reason) as failed:
        await client.send(numbered(1))
    assert failed.value.code == "mllp-not-acknowledged"
    assert failed.value.sentence("zh")
    await client.close()


async def test_a_message_that_cannot_be_framed_is_not_sent(
    serve: Callable[[bytes], Awaitable[int]],
) -> None:
    client = await connect("127.0.0.1", await serve(b""))
    with pytest.raises(ValueError, match="cannot hold"):
        await client.send(b"MSH|^~\\&|\x0b")
    await client.close()


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "door.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_the_door_speaks_tls_and_knows_its_peer_by_certificate(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pem))
    ours.load_cert_chain(pem)
    ours.verify_mode = ssl.CERT_REQUIRED
    theirs = ssl.create_default_context(cafile=str(pem))
    theirs.check_hostname = False
    theirs.load_cert_chain(pem)
    names: list[object] = []

    def by_certificate(
        address: str, tls: ssl.SSLObject | None, application: str, facility: str
    ) -> str | None:
        assert tls is not None
        names.append((tls.getpeercert() or {}).get("subject"))
        return everybody(address, tls, application, facility)

    intake = HeldIntake(prompt=True)
    server = MllpServer(intake, by_certificate)
    await server.start(port=0, tls=ours)
    async with await connect("127.0.0.1", server.port, tls=theirs) as client:
        assert (await client.send(numbered(1))).accepted
        assert (await client.send(numbered(2))).accepted
    await server.stop()
    assert names == [((("commonName", "127.0.0.1"),),)] * 2


async def test_a_certificate_names_its_source_whatever_the_message_claims(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pem))
    ours.load_cert_chain(pem)
    ours.verify_mode = ssl.CERT_REQUIRED
    theirs = ssl.create_default_context(cafile=str(pem))
    theirs.check_hostname = False
    theirs.load_cert_chain(pem)
    shown = x509.load_pem_x509_certificate(pem.read_bytes()).fingerprint(hashes.SHA256()).hex()
    for listed, accepted in ((shown, True), ("0" * 64, False)):
        source = SourceSettings(SourceProfile("lab"), certificate_hashes=(listed,))
        claimed = SourceSettings(SourceProfile("other"), sending_application="LIS")
        directory = SourceDirectory([source, claimed], certificates_required=True)
        intake = HeldIntake(prompt=True)
        server = MllpServer(intake, directory.source_of_peer)
        await server.start(port=0, tls=ours)
        async with await connect("127.0.0.1", server.port, tls=theirs) as client:
            assert (await client.send(numbered(1))).accepted is accepted
        await server.stop()


def required_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context that wants a certificate of its peers, and the PEM file that has one."""
    pem = certificate(folder)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pem))
    ours.load_cert_chain(pem)
    ours.verify_mode = ssl.CERT_REQUIRED
    return ours, pem


async def test_a_peer_without_a_certificate_brings_nothing_in(tmp_path: Path) -> None:
    ours, pem = required_tls(tmp_path)
    theirs = ssl.create_default_context(cafile=str(pem))
    theirs.check_hostname = False
    intake = HeldIntake(prompt=True)
    server = MllpServer(intake, everybody)
    await server.start(port=0, tls=ours)
    with pytest.raises((OSError, NotAcknowledged)):
        async with await connect("127.0.0.1", server.port, tls=theirs) as client:
            await client.send(numbered(1))
    await server.stop()
    assert intake.offers == []


async def test_a_peer_that_never_speaks_tls_is_closed(tmp_path: Path) -> None:
    ours, _ = required_tls(tmp_path)
    intake = HeldIntake(prompt=True)
    server = MllpServer(intake, everybody, MllpLimits(frame_seconds=0.2))
    await server.start(port=0, tls=ours)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    await server.stop()
    assert intake.offers == []


async def test_plain_text_at_the_tls_door_is_not_taken(tmp_path: Path) -> None:
    ours, _ = required_tls(tmp_path)
    intake = HeldIntake(prompt=True)
    server = MllpServer(intake, everybody)
    await server.start(port=0, tls=ours)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(enclose(numbered(1)))
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert b"MSA" not in await reader.read()
    writer.close()
    await server.stop()
    assert intake.offers == []
