"""A card desk behind a real WebSocket, an agent linked to it, and cards without a library."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.card.agent import CardAgent, EiiWork
from adapters.card.agent_link import AgentLink
from adapters.card.errors import CardAbsent, CardLocked, PinWrong
from adapters.card.pin_entry import Pin
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardCondition, CardState, ReaderState
from broker.card_desk.desk import CardDesk
from broker.card_desk.door import CardDoor
from broker.config.cards import Pairing
from broker.web.entrance import ACCESS, Access
from tests.card.soft_token import CLINIC, entry, institution

SECRET = "pairing-secret-of-the-tests"
PIN = "271828"
PATIENCE_SECONDS = 20


@dataclass
class PaperCard:
    """A card whose PIN is :data:`PIN`; ``entries`` counts what was given to it."""

    name: str = "front"
    code: str = CLINIC
    days: int = 365
    condition: CardCondition = CardCondition.LOCKED
    entries: int = 0
    signed: list[bytes] = field(default_factory=list)
    slow: asyncio.Event | None = None

    def __post_init__(self) -> None:
        made = entry(institution(self.code), days=self.days, elliptic=True)
        key = serialization.load_pem_private_key(made.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key, self.certificate = key, made.certificate

    def look(self) -> CardState:
        if self.condition is CardCondition.ABSENT:
            return CardState(self.name, self.condition, reason="card-absent")
        pem = CardCertificate.read(self.certificate).pem.decode("ascii")
        return CardState(self.name, self.condition, self.code, "label", "01", pem)

    def unlock(self, pin: Pin | None, *, last_try: bool = False) -> None:
        self.entries += 1
        if pin is None or pin.spend() != PIN:
            raise PinWrong(name=self.name, tries="fewer")
        self.condition = CardCondition.READY

    def lock(self) -> None:
        if self.condition is CardCondition.READY:
            self.condition = CardCondition.LOCKED

    def pull(self) -> None:
        self.condition = CardCondition.ABSENT

    def sign_digest(self, digest: bytes) -> bytes:
        if self.condition is CardCondition.ABSENT:
            raise CardAbsent(name=self.name, reason="pulled")
        if self.condition is not CardCondition.READY:
            raise CardLocked(name=self.name)
        self.signed.append(digest)
        return self.key.sign(digest, ec.ECDSA(Prehashed(SHA256())))


class OneReader:
    def __init__(self) -> None:
        self.closed = False

    def look(self) -> tuple[ReaderState, ...]:
        return (ReaderState("Reader 1", True, "3b00"),)

    def close(self) -> None:
        self.closed = True


@dataclass
class DeskStage:
    application: web.Application
    desk: CardDesk
    door: CardDoor
    url: str
    trust: ssl.SSLContext | None = None
    ready: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def agent(
        self, *cards: PaperCard, secret: str = SECRET, eii: EiiWork | None = None
    ) -> AsyncIterator[CardAgent]:
        agent = CardAgent(cards, OneReader(), "1.0", look_seconds=0.02, eii=eii)
        link = AgentLink(self.url, secret, agent, lambda url, word: self.told.append(word),
                         self.trust)  # fmt: skip
        tasks = [asyncio.create_task(agent.watch()), asyncio.create_task(link.run())]
        try:
            yield agent
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await agent.close()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():  # noqa: ASYNC110 - the other side of a socket
                await asyncio.sleep(0.01)

    async def until_ready(self, code: str = CLINIC) -> None:
        await self.until(lambda: self.desk.card_of(code).is_ready)

    def condition(self, code: str = CLINIC) -> str:
        state = self.desk.card_of(code).state
        return state.reason or state.condition.value


def pairing(*institutions: str) -> Pairing:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    return Pairing("front-desk", (digest,), institutions or (CLINIC,))


@asynccontextmanager
async def desk_stage(
    *pairings: Pairing,
    server_tls: ssl.SSLContext | None = None,
    heartbeat_seconds: float = 10.0,
    sign_seconds: float = 10.0,
) -> AsyncIterator[DeskStage]:
    """Cards of the made-up "Test authority" are test cards here."""
    desk = CardDesk(
        pairings or (pairing(),),
        lambda: datetime.now(UTC),
        test_issuers=("CN=Test authority",),
        sign_seconds=sign_seconds,
    )
    door = CardDoor(desk, heartbeat_seconds)
    application = web.Application()
    application[ACCESS] = Access(  # its settings alone are asked for: is a proxy in front?
        reader=cast(Any, None), write=cast(Any, None), clock=lambda: datetime.now(UTC)
    )
    application.add_routes(door.routes())
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls)
    await site.start()
    scheme = "https" if server_tls else "http"
    stage = DeskStage(application, desk, door, f"{scheme}://127.0.0.1:{runner.addresses[0][1]}")
    desk.on_ready = stage.ready.append
    try:
        yield stage
    finally:
        await door.close()
        await runner.cleanup()
