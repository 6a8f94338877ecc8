"""Knows which card agents are there and asks the right card for a signature.

A card belongs to an institution; its agent may be anywhere. Nothing here keeps a PIN or a key, and
nothing is asked of a card that is not ready: its packages wait.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.ports.card_agent import (
    Message,
    SignAnswer,
    SignRequest,
    StatusMessage,
)
from adapters.ports.card_certificate import CardCertificate, CertificateUnreadable, Environment
from adapters.ports.card_state import CardCondition, CardState
from adapters.ports.channel import CredentialUnusable
from adapters.ports.eii_job import JobAnswer, JobPart
from adapters.ports.message_unreadable import MessageUnreadable
from broker.config.cards import Pairing

SIGN_SECONDS = 30.0
Send = Callable[[Message], Awaitable[None]]
Hear = Callable[[JobPart | JobAnswer | None], None]
"""Takes what an agent says of a job; None when the line is cut."""


class CardNotReady(CredentialUnusable):
    """Nothing was sent: the package waits for its card."""

    code = "card-not-ready"
    en = (
        "The card of {institution} cannot sign now ({reason}).",
        "Put it into its reader and enter its PIN there (`labbroker card-agent`); what waits for "
        "it leaves by itself.",
    )
    zh = (
        "{institution} 的卡片目前無法簽章（{reason}）。",
        "請將卡片置入讀卡機並於該電腦輸入 PIN 碼（`labbroker card-agent`）；待送資料將自動送出。",
    )


@dataclass(frozen=True, slots=True)
class KnownCard:
    """A card as its agent told of it last; ``agent`` is empty where no agent tells of one.
    ``signs_itself``: a SAM, with which NHI's library signs at the agent."""

    institution_code: str
    agent: str
    state: CardState
    certificate: CardCertificate | None = None
    signs_itself: bool = False

    @property
    def is_ready(self) -> bool:
        can_sign = self.signs_itself or self.certificate is not None
        return self.state.condition is CardCondition.READY and can_sign


class AgentConnection:
    """One connected agent."""

    def __init__(self, pairing: Pairing, send: Send) -> None:
        self.pairing = pairing
        self.send = send
        self.status = StatusMessage((), (), "")
        self.cards: tuple[KnownCard, ...] = ()
        self.waiting: dict[str, asyncio.Future[SignAnswer]] = {}
        self.hearing: dict[str, Hear] = {}
        """Who hears of a job, by its id."""


class CardDesk:
    """``on_ready`` is told an institution whose card can sign from now on; ``allowed`` are the
    worlds whose cards may sign here."""

    def __init__(
        self,
        pairings: Sequence[Pairing],
        clock: Callable[[], datetime],
        *,
        allowed: frozenset[Environment] = frozenset({Environment.REHEARSAL, Environment.TEST}),
        test_issuers: tuple[str, ...] = (),
        sign_seconds: float = SIGN_SECONDS,
    ) -> None:
        self._pairings = pairings
        self._clock = clock
        self._allowed = allowed
        self._test_issuers = test_issuers
        self._sign_seconds = sign_seconds
        self._connections: list[AgentConnection] = []
        self._last: dict[str, CardCertificate] = {}
        self.on_ready: Callable[[str], None] = lambda institution: None
        self.changed = asyncio.Event()
        """Set whenever a card or an agent has come, gone or changed."""

    def pairing_of(self, secret: str) -> Pairing | None:
        """Who holds this secret."""
        given = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for pairing in self._pairings:
            for known in pairing.secret_hashes:
                if hmac.compare_digest(known, given):
                    found = pairing
        return found

    def connect(self, pairing: Pairing, send: Send) -> AgentConnection:
        """An agent has come."""
        connection = AgentConnection(pairing, send)
        self._connections.append(connection)
        return connection

    def disconnect(self, connection: AgentConnection) -> None:
        """It has gone; what it should have signed was not signed."""
        self._connections.remove(connection)
        for future in connection.waiting.values():
            if not future.done():
                future.set_result(SignAnswer("", reason="agent-away"))
        for hear in tuple(connection.hearing.values()):
            hear(None)
        self.changed.set()

    def take(self, connection: AgentConnection, message: object) -> None:
        """A status or a signature from an agent. Raises ``MessageUnreadable``."""
        if isinstance(message, StatusMessage):
            before = {each.institution_code for each in connection.cards if each.is_ready}
            connection.status = message
            connection.cards = (
                *(known for state in message.cards if (known := self._known(connection, state))),
                *self._sams(connection, message),
            )
            for each in connection.cards:
                if each.certificate is not None:
                    self._last[each.institution_code] = each.certificate
                if each.is_ready and each.institution_code not in before:
                    self.on_ready(each.institution_code)
            self.changed.set()
        elif isinstance(message, SignAnswer):
            future = connection.waiting.get(message.request_id)
            if future is not None and not future.done():
                future.set_result(message)
        elif isinstance(message, JobPart | JobAnswer):
            hear = connection.hearing.get(message.job_id)
            if hear is not None:
                hear(message)
        else:
            raise MessageUnreadable(field="type")

    def card_of(self, institution: str) -> KnownCard:
        """The institution's card; a ready one before others."""
        found = [
            each
            for connection in self._connections
            for each in connection.cards
            if each.institution_code == institution
        ]
        for each in found:
            if each.is_ready:
                return each
        if found:
            return found[0]
        agents = [
            each.pairing.agent
            for each in self._connections
            if institution in (*each.pairing.institutions, *each.pairing.eii)
        ]
        reason = "card-absent" if agents else "agent-away"
        state = CardState("", CardCondition.ABSENT, institution, reason=reason)
        return KnownCard(institution, agents[0] if agents else "", state)

    def certificate_seen(self, institution: str) -> CardCertificate | None:
        """The last certificate of the institution, also when its card is away."""
        return self._last.get(institution)

    def ready_card(self, institution: str) -> KnownCard:
        """Raises :class:`CardNotReady`."""
        card = self.card_of(institution)
        if not card.is_ready or card.certificate is None:
            reason = card.state.reason or card.state.condition.value
            raise CardNotReady(institution=institution, reason=reason)
        if card.certificate.environment not in self._allowed:
            reason = f"a {card.certificate.environment} card is not used with this channel"
            raise CardNotReady(institution=institution, reason=reason)
        if not card.certificate.is_valid(self._clock()):
            raise CardNotReady(institution=institution, reason="its certificate is not valid")
        return card

    async def sign(self, institution: str, digest: bytes) -> bytes:
        """A signature over a SHA-256 digest, proved with the card's certificate.

        Raises :class:`CardNotReady`.
        """
        card = self.ready_card(institution)
        connection = next(each for each in self._connections if card in each.cards)
        assert card.certificate is not None  # noqa: S101 - a ready card has one
        request = SignRequest(
            secrets.token_hex(16), card.state.name, card.certificate.sha256, digest
        )
        future = asyncio.get_running_loop().create_future()
        connection.waiting[request.request_id] = future
        try:
            async with asyncio.timeout(self._sign_seconds):
                await connection.send(request)
                answer: SignAnswer = await future
        except (TimeoutError, OSError) as error:
            reason = "time-out" if isinstance(error, TimeoutError) else "agent-away"
            raise CardNotReady(institution=institution, reason=reason) from None
        finally:
            del connection.waiting[request.request_id]
        if answer.reason:
            raise CardNotReady(institution=institution, reason=answer.reason)
        if not card.certificate.proves(digest, answer.signature):
            raise CardNotReady(institution=institution, reason="the signature is not the card's")
        return answer.signature

    def sam_at(self, institution: str, journal: str = "") -> AgentConnection | None:
        """The agent that can send for the institution with NHI's library; with ``journal`` the
        one that has this memory of what it sent, else any."""
        for connection in self._connections:
            if journal and connection.status.journal != journal:
                continue
            for each in connection.cards:
                if each.signs_itself and each.institution_code == institution and each.is_ready:
                    return connection
        return None

    def connections(self) -> Sequence[AgentConnection]:
        """All agents that are connected now."""
        return tuple(self._connections)

    @staticmethod
    def _sams(connection: AgentConnection, message: StatusMessage) -> Iterator[KnownCard]:
        """Those of institutions that this agent may send for."""
        for sam in message.sams:
            if sam.institution_code in connection.pairing.eii:
                condition = CardCondition.ABSENT if sam.reason else CardCondition.READY
                code = sam.institution_code
                state = CardState("SAM", condition, code, reason=sam.reason)
                yield KnownCard(code, connection.pairing.agent, state, signs_itself=True)

    def _known(self, connection: AgentConnection, state: CardState) -> KnownCard | None:
        """None for a card of an institution that this agent may not speak for."""
        certificate = None
        if state.certificate:
            try:
                certificate = CardCertificate.read(
                    state.certificate.encode("utf-8"), self._test_issuers
                )
            except CertificateUnreadable:
                return None
        institution = state.institution_code
        if certificate is not None and certificate.institution_code not in ("", institution):
            # The certificate's word stands above the agent's.
            return None
        if institution not in connection.pairing.institutions:
            return None
        return KnownCard(institution, connection.pairing.agent, state, certificate)
