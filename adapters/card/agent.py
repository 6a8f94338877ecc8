"""The card agent: holds the cards of one PC, and signs what the broker asks for.

It runs in the session of the user who enters the PINs. The cards' libraries may hang: every call of
them is made in a thread, and what is told of a card that hangs is that it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from adapters.card.errors import CardAbsent
from adapters.card.pcsc_readers import PcscUnavailable
from adapters.card.pin_entry import Pin
from adapters.ports.card_agent import SamState, SignAnswer, SignRequest, StatusMessage
from adapters.ports.card_certificate import CardCertificate
from adapters.ports.card_state import CardState, ReaderState
from adapters.ports.eii_job import EiiMessage
from mapping.errors import LabbrokerError

LOOK_SECONDS = 1.0


class HeldCard(Protocol):
    """``adapters.card.pkcs11_token.Pkcs11Token``. All calls block."""

    @property
    def name(self) -> str: ...
    @property
    def certificate(self) -> bytes: ...
    def look(self) -> CardState: ...
    def unlock(self, pin: Pin | None, *, last_try: bool = False) -> None: ...
    def lock(self) -> None: ...
    def sign_digest(self, digest: bytes) -> bytes: ...


class Readers(Protocol):
    """``adapters.card.pcsc_readers.PcscReaders``."""

    def look(self) -> tuple[ReaderState, ...]: ...
    def close(self) -> None: ...


class EiiWork(Protocol):
    """``adapters.nhi.eii_jobs.EiiJobs``."""

    @property
    def journal_id(self) -> str: ...
    def look(self) -> tuple[SamState, ...]: ...
    def take(self, message: EiiMessage, send: Callable[[EiiMessage], Awaitable[None]]) -> None: ...
    def line_lost(self, send: Callable[[EiiMessage], Awaitable[None]]) -> None: ...
    async def close(self) -> None: ...


class CardAgent:
    """``readers`` is None where PC/SC is not used: cards are told without them. ``eii`` does what
    NHI's library on this PC is needed for."""

    def __init__(
        self,
        cards: Sequence[HeldCard],
        readers: Readers | None,
        version: str,
        *,
        look_seconds: float = LOOK_SECONDS,
        eii: EiiWork | None = None,
    ) -> None:
        self.eii = eii
        self._cards = {card.name: card for card in cards}
        self._readers = readers
        self._version = version
        self._look_seconds = look_seconds
        self._changed = asyncio.Condition()
        self.status = StatusMessage((), (), version)
        """As last looked at."""

    async def watch(self) -> None:
        """Look at cards and readers, again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> StatusMessage:
        """Look now; whoever waits for a change is told of it."""
        looks = [asyncio.to_thread(card.look) for card in self._cards.values()]
        cards, readers = await asyncio.gather(
            asyncio.gather(*looks), asyncio.to_thread(self._look_at_readers)
        )
        sams: tuple[SamState, ...] = ()
        journal = ""
        if self.eii is not None:
            sams, journal = await asyncio.to_thread(self.eii.look), self.eii.journal_id
        found = StatusMessage(tuple(cards), readers, self._version, sams, journal)
        if found != self.status:
            async with self._changed:
                self.status = found
                self._changed.notify_all()
        return found

    async def other_than(self, known: StatusMessage | None) -> StatusMessage:
        """The status, as soon as it is another than the one that is known."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.status != known)
            return self.status

    async def unlock(self, name: str, pin: Pin | None, *, last_try: bool = False) -> None:
        """Enter a PIN that a person has just typed: one call of the card, whatever comes of it.

        Raises what ``Pkcs11Token.unlock`` raises.
        """
        try:
            await asyncio.to_thread(self._card(name).unlock, pin, last_try=last_try)
        finally:
            await self.look()

    async def sign(self, request: SignRequest) -> SignAnswer:
        """Never raises for what a card can do: the answer says why there is no signature."""

        def work() -> bytes:
            card = self._card(request.card)
            if CardCertificate.read(card.certificate).sha256 != request.certificate_sha256:
                raise CardAbsent(name=request.card, reason="another card is in the reader")
            return card.sign_digest(request.digest)

        try:
            signature = await asyncio.to_thread(work)
        except LabbrokerError as error:
            await self.look()
            return SignAnswer(request.request_id, reason=error.code)
        return SignAnswer(request.request_id, signature)

    async def close(self) -> None:
        """Close all sessions: the PINs are wanted again. A file that is being sent is sent to the
        end."""
        if self.eii is not None:
            await self.eii.close()
        await asyncio.gather(*(asyncio.to_thread(card.lock) for card in self._cards.values()))
        if self._readers is not None:
            await asyncio.to_thread(self._readers.close)

    def _card(self, name: str) -> HeldCard:
        try:
            return self._cards[name]
        except KeyError:
            raise CardAbsent(name=name, reason="this agent holds no such card") from None

    def _look_at_readers(self) -> tuple[ReaderState, ...]:
        if self._readers is None:
            return ()
        try:
            return self._readers.look()
        except PcscUnavailable:
            return ()


Report = Callable[[str, str], None]
"""What happens to a link: ``(broker's URL, word)``; ``connected``, ``refused``, ``lost``."""
