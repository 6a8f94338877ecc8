"""A card that is somewhere else, as a channel uses it."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import TimeoutError as FutureTimeout

from adapters.ports.credential import CredentialKind
from broker.card_desk.desk import SIGN_SECONDS, CardDesk, CardNotReady

_LONGER = 10.0


class RemoteCard:
    """Implements ``adapters.ports.credential.Credential``: the card of ``institution``, at
    whichever agent holds it. Make it on the event loop; use it in threads."""

    kind = CredentialKind.PKCS11

    def __init__(self, desk: CardDesk, institution: str) -> None:
        self._desk = desk
        self._institution = institution
        self._loop = asyncio.get_running_loop()

    @property
    def institution_code(self) -> str:
        """Raises ``CardNotReady``, so that nothing is begun that the card could not end."""
        return self._desk.ready_card(self._institution).institution_code

    @property
    def certificate(self) -> bytes:
        """Raises ``CardNotReady``."""
        card = self._desk.ready_card(self._institution)
        assert card.certificate is not None  # noqa: S101 - a ready card has one
        return card.certificate.pem

    def sign(self, message: bytes) -> bytes:
        """Raises ``CardNotReady``; blocks until the agent has answered."""
        digest = hashlib.sha256(message).digest()
        asked = asyncio.run_coroutine_threadsafe(
            self._desk.sign(self._institution, digest), self._loop
        )
        try:
            return asked.result(SIGN_SECONDS + _LONGER)
        except FutureTimeout:
            asked.cancel()
            raise CardNotReady(institution=self._institution, reason="time-out") from None

    def __repr__(self) -> str:
        return f"RemoteCard({self._institution})"
