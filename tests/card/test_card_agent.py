"""Card agent and broker over a real WebSocket: what is signed, and what is not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from adapters.card.agent import CardAgent
from adapters.card.agent_link import AgentLink, BrokerAddressUnsafe
from adapters.card.errors import PinWrong
from adapters.card.pin_entry import Pin
from adapters.ports.card_agent import (
    PATH,
    SignAnswer,
    SignRequest,
    StatusMessage,
    decode,
    encode,
)
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardCondition, CardState, ReaderState, TriesLeft
from adapters.ports.message_unreadable import MessageUnreadable
from broker.card_desk.desk import CardDesk, CardNotReady
from broker.card_desk.remote_card import RemoteCard
from tests.card.agent_stage import PIN, SECRET, OneReader, PaperCard, desk_stage, pairing
from tests.card.soft_token import CLINIC, ELLIPTIC

DIGEST = hashlib.sha256(b"nonce").digest()


async def test_the_digest_goes_to_the_agent_and_the_signature_comes_back() -> None:
    card = PaperCard()
    async with desk_stage() as stage, stage.agent(card) as agent:
        await stage.until(lambda: stage.condition() == "locked")
        remote = RemoteCard(stage.desk, CLINIC)
        with pytest.raises(CardNotReady) as refused:
            await asyncio.to_thread(remote.sign, b"nonce")
        assert refused.value.parameters["reason"] == "locked"
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        signature = await asyncio.to_thread(remote.sign, b"nonce")
        assert remote.institution_code == CLINIC
        assert CardCertificate.read(remote.certificate).proves(DIGEST, signature)
        assert card.signed == [DIGEST]
        assert stage.ready == [CLINIC]
        assert stage.desk.connections()[0].status.readers[0].name == "Reader 1"


async def test_a_pin_stays_at_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    send = aiohttp.ClientWebSocketResponse.send_str

    async def spy(self: aiohttp.ClientWebSocketResponse, data: str, *rest: int) -> None:
        sent.append(data)
        await send(self, data)

    monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "send_str", spy)
    async with desk_stage() as stage, stage.agent(PaperCard()) as agent:
        with pytest.raises(PinWrong):
            await agent.unlock("front", Pin("999999"))
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        await stage.desk.sign(CLINIC, DIGEST)
    assert len(sent) >= 3
    assert not any(PIN in text or "999999" in text for text in sent)


async def test_a_wrong_pin_is_entered_once_however_long_the_link_lives() -> None:
    card = PaperCard()
    async with desk_stage() as stage, stage.agent(card) as agent:
        with pytest.raises(PinWrong):
            await agent.unlock("front", Pin("999999"))
        await stage.until(lambda: stage.condition() == "locked")
        remote = RemoteCard(stage.desk, CLINIC)
        asked = [asyncio.to_thread(remote.sign, b"x") for _ in range(50)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(answer, CardNotReady) for answer in answers)
        assert card.entries == 1


async def test_an_agent_without_the_secret_is_not_let_in() -> None:
    async with desk_stage() as stage, stage.agent(PaperCard(), secret="guessed"):
        await stage.until(lambda: "refused" in stage.told)
        assert stage.condition() == "agent-away"
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"Authorization": f"Basic {SECRET}"}):
                async with session.get(stage.url + PATH, headers=headers) as answer:
                    assert answer.status == 401
            good = {"Authorization": f"Bearer {SECRET}"}
            async with session.get(stage.url + PATH, headers=good) as answer:
                assert answer.status == 426


async def test_over_a_line_that_others_could_read_no_agent_is_let_in() -> None:
    class Transport(asyncio.Transport):
        def __init__(self, address: str) -> None:
            super().__init__({"peername": (address, 40_000)})

    async with desk_stage() as stage:
        (route,) = stage.door.routes()
        proxied = {"X-Forwarded-For": "192.0.2.7"}
        for address, more, status in (
            ("192.0.2.7", {}, 403),
            ("127.0.0.1", proxied, 403),
            ("127.0.0.1", {}, 426),
            ("::1", {}, 426),
        ):
            request = make_mocked_request(
                "GET",
                PATH,
                headers={"Authorization": f"Bearer {SECRET}", **more},
                app=stage.application,
                transport=Transport(address),
            )
            answer = await route.handler(request)
            assert isinstance(answer, web.Response)
            assert answer.status == status


async def test_an_agent_holds_only_cards_of_its_own_institutions() -> None:
    async with desk_stage(pairing(ELLIPTIC)) as stage, stage.agent(PaperCard()) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until(lambda: bool(stage.desk.connections()))
        await stage.until(lambda: bool(stage.desk.connections()[0].status.cards))
        assert not stage.desk.connections()[0].cards
        assert stage.condition() == "agent-away"


async def test_an_agent_that_claims_another_institution_than_the_certificate_is_not_believed() -> (
    None
):
    class Liar(PaperCard):
        def look(self) -> CardState:
            told = super().look()
            return CardState(told.name, CardCondition.READY, ELLIPTIC, "", "", told.certificate)

    async with desk_stage(pairing(CLINIC, ELLIPTIC)) as stage, stage.agent(Liar()):
        await stage.until(lambda: bool(stage.desk.connections()))
        await stage.until(lambda: bool(stage.desk.connections()[0].status.cards))
        assert not stage.desk.connections()[0].cards


async def test_a_signature_of_another_key_is_not_used() -> None:
    class Impostor(PaperCard):
        def sign_digest(self, digest: bytes) -> bytes:
            return PaperCard(condition=CardCondition.READY).sign_digest(digest)

    async with desk_stage() as stage, stage.agent(Impostor()) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        with pytest.raises(CardNotReady):
            await stage.desk.sign(CLINIC, DIGEST)


async def test_a_production_card_never_signs_for_the_stand_in() -> None:
    async with desk_stage() as stage, stage.agent(PaperCard()) as agent:
        stage.desk._test_issuers = ()
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        with pytest.raises(CardNotReady) as refused:
            await stage.desk.sign(CLINIC, DIGEST)
        assert "production" in refused.value.sentence()


async def test_a_card_that_is_exchanged_is_not_taken_for_the_other() -> None:
    card = PaperCard()
    async with desk_stage() as stage, stage.agent(card) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        known = stage.desk.card_of(CLINIC).certificate
        assert known is not None
        answer = await agent.sign(SignRequest("1", "front", known.sha256, DIGEST))
        assert answer.signature
        answer = await agent.sign(SignRequest("2", "front", "00" * 32, DIGEST))
        assert (answer.signature, answer.reason) == (b"", "card-absent")
        answer = await agent.sign(SignRequest("3", "other", known.sha256, DIGEST))
        assert answer.reason == "card-absent"
        assert len(card.signed) == 1


async def test_a_card_that_is_pulled_is_known_at_once_and_back_when_it_is_back() -> None:
    card = PaperCard()
    async with desk_stage() as stage, stage.agent(card) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        card.pull()
        await stage.until(lambda: stage.condition() == "card-absent")
        card.condition = CardCondition.LOCKED
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        assert stage.ready == [CLINIC, CLINIC]


async def test_a_link_that_is_lost_in_the_middle_of_a_signature_signs_nothing() -> None:
    class Slow(PaperCard):
        def sign_digest(self, digest: bytes) -> bytes:
            hold.wait()
            return super().sign_digest(digest)

    hold = threading.Event()
    async with desk_stage() as stage, stage.agent(Slow()) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        signing = asyncio.create_task(stage.desk.sign(CLINIC, DIGEST))
        await stage.until(lambda: bool(stage.desk.connections()[0].waiting))
        await stage.door.close()
        with pytest.raises(CardNotReady) as lost:
            await signing
        assert lost.value.parameters["reason"] == "agent-away"
        hold.set()


async def test_an_agent_that_does_not_answer_is_waited_for_no_longer_than_said() -> None:
    class Mute(PaperCard):
        def sign_digest(self, digest: bytes) -> bytes:
            hold.wait()
            return b""

    hold = threading.Event()
    async with desk_stage(sign_seconds=0.05) as stage, stage.agent(Mute()) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        with pytest.raises(CardNotReady) as late:
            await stage.desk.sign(CLINIC, DIGEST)
        assert late.value.parameters["reason"] == "time-out"
        hold.set()


async def test_the_agent_comes_back_when_the_broker_was_away() -> None:
    async with desk_stage() as stage, stage.agent(PaperCard()) as agent:
        await agent.unlock("front", Pin(PIN))
        await stage.until_ready()
        async with aiohttp.ClientSession() as session:
            good = {"Authorization": f"Bearer {SECRET}"}
            async with session.ws_connect(stage.url + PATH, headers=good) as rude:
                await rude.send_str("{}")
                assert (await rude.receive()).type is aiohttp.WSMsgType.CLOSE
        await stage.until(lambda: len(stage.desk.connections()) == 1)
        await stage.door.close()
        await stage.until(lambda: stage.told.count("connected") == 2)
        await stage.until_ready()


async def test_a_peer_that_answers_no_heartbeat_is_taken_for_gone() -> None:
    async with desk_stage(heartbeat_seconds=0.1) as stage, aiohttp.ClientSession() as session:
        good = {"Authorization": f"Bearer {SECRET}"}
        async with session.ws_connect(stage.url + PATH, headers=good, autoping=False):
            await stage.until(lambda: len(stage.desk.connections()) == 1)
            assert stage.condition() == "card-absent"
            await stage.until(lambda: not stage.desk.connections())
            assert stage.condition() == "agent-away"


async def test_over_tls_the_broker_is_proved_by_its_certificate(tmp_path: Path) -> None:
    server, trust = _tls(tmp_path)
    async with desk_stage(server_tls=server) as stage:
        async with stage.agent(PaperCard()):
            await stage.until(lambda: "lost" in stage.told)
            assert not stage.desk.connections()
        stage.trust = trust
        async with stage.agent(PaperCard()) as agent:
            await agent.unlock("front", Pin(PIN))
            await stage.until_ready()
            assert stage.url.startswith("https://")


@pytest.mark.parametrize(
    "url",
    ["http://broker.example:8080", "ftp://127.0.0.1", "http://10.0.0.1", "broker"],
    ids=["name", "scheme", "address", "bare"],
)
async def test_a_secret_is_not_sent_where_others_could_read_it(url: str) -> None:
    agent = CardAgent([], OneReader(), "1.0")
    with pytest.raises(BrokerAddressUnsafe):
        AgentLink(url, SECRET, agent, lambda url, word: None)


async def test_closing_the_agent_locks_its_cards() -> None:
    card, readers = PaperCard(), OneReader()
    agent = CardAgent([card], readers, "1.0")
    await agent.unlock("front", Pin(PIN))
    assert agent.status.cards[0].condition is CardCondition.READY
    await agent.close()
    assert card.condition is CardCondition.LOCKED
    assert readers.closed


def test_messages_survive_the_wire() -> None:
    state = CardState(
        "卡", CardCondition.HELD, CLINIC, "l", "s", "pem", TriesLeft.ONE, 2, True, "r"
    )
    for message in (
        StatusMessage((state,), (ReaderState("讀卡機", True, "3b", True),), "1.0"),
        SignRequest("id", "front", "ab", DIGEST),
        SignAnswer("id", b"\x00\xff"),
        SignAnswer("id", reason="card-locked"),
    ):
        assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "other"},
        {"cards": 1},
        {"cards": [1]},
        {"cards": [{"wrong_entries": "1", "keypad": True}]},
        {"readers": [{"name": "r"}]},
        {"version": None},
        {"version": "x" * 20_000},
        {"type": "sign"},
        {"type": "sign", "request_id": "1", "card": "", "certificate_sha256": "", "digest": "YQ=="},
        {"type": "signed", "request_id": "1", "signature": "*", "reason": ""},
    ],
    ids=["type", "cards", "card", "count", "reader", "null", "long", "bare", "digest", "base64"],
)
def test_a_message_of_another_shape_is_refused(changes: dict[str, object]) -> None:
    plain = {"type": "status", "cards": [], "readers": [], "version": "1"}
    assert decode(json.dumps(plain)) == StatusMessage((), (), "1")
    with pytest.raises(MessageUnreadable):
        decode(json.dumps({**plain, **changes}))
    with pytest.raises(MessageUnreadable):
        decode("[" * 100_000)


def test_secrets_of_pairings_are_told_apart() -> None:
    desk = CardDesk((pairing(),), lambda: datetime.now(UTC))
    found = desk.pairing_of(SECRET)
    assert found is not None
    assert found.agent == "front-desk"
    assert desk.pairing_of("") is None
    assert desk.pairing_of("\udcff") is None
    assert found.secret_hashes[0] not in repr(found)


def _tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    )
    both = folder / "server.pem"
    both.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(both)
    trust = ssl.create_default_context(cafile=str(both))
    return server, trust
