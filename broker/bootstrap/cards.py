"""The cards of the settings: who may hold them, which institutions sign with one, the alarms."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from sqlalchemy import Engine

from adapters.ports.credential import CredentialKind
from broker.card_desk.desk import CardDesk, KnownCard
from broker.card_desk.door import CardDoor
from broker.card_desk.remote_card import RemoteCard
from broker.card_desk.remote_eii import RemoteEiiSeat, RemoteSam
from broker.card_desk.watch import CardWatch
from broker.config.settings import EiiChannelSettings, Settings
from broker.logs import log_event
from broker.nodes import Node
from broker.store.card_waits import card_is_back
from broker.store.writer import Writer
from broker.web.control import Order

_log = logging.getLogger(__name__)


class Cards:
    """``close`` ends the agents' connections."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self.desk = CardDesk(
            settings.pairings, clock, test_issuers=settings.sandbox_channel.test_issuers
        )
        self._door = CardDoor(self.desk)
        self._signing = frozenset(self.institutions)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def institutions(self) -> tuple[str, ...]:
        """Those whose packages a card at an agent signs, or a SAM."""
        return tuple(
            each.code
            for each in self._settings.institutions
            if each.credential_kind is CredentialKind.PKCS11 or each.code in self.sams
        )

    @property
    def sams(self) -> frozenset[str]:
        """Institutions whose files an agent sends with NHI's library."""
        return frozenset(code for each in self._settings.pairings for code in each.eii)

    def sam(self, institution: str) -> RemoteSam:
        """The institution's SAM, wherever its agent is."""
        return RemoteSam(self.desk, institution)

    def eii_seat(self, eii: EiiChannelSettings) -> RemoteEiiSeat:
        """NHI's library at the agents."""
        return RemoteEiiSeat(self.desk, eii.work_folder, call_seconds=eii.timeout_seconds)

    def is_here(self, institution: str) -> bool:
        """Whether this node can use the institution's card now, or needs none."""
        return institution not in self._signing or self.desk.card_of(institution).is_ready

    def credential(self, institution: str) -> RemoteCard:
        """The institution's card, wherever its agent is. Call it on the event loop."""
        return RemoteCard(self.desk, institution)

    def routes(self) -> list[web.RouteDef]:
        """None where no agent may come."""
        return self._door.routes() if self._settings.pairings else []

    def start(
        self, writer: Writer, reader: Engine, wake: Callable[[], None], node: Node | None = None
    ) -> None:
        """Watch the cards; what waited for one leaves when it can sign."""

        async def card_ready(institution: str) -> None:
            log_event(_log, "card.ready", institution=institution)
            now = self._clock()
            await writer.write(lambda c: card_is_back(c, institution, now))
            wake()

        self.desk.on_ready = lambda institution: self._keep(card_ready(institution))
        if self.institutions:
            watch = CardWatch(
                self.desk,
                writer,
                reader,
                self._clock,
                self.institutions,
                self._settings.hours,
                node=node,
            )
            self._keep(watch.run())

    async def close(self) -> None:
        """End the watch and the connections."""
        await self._door.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def orders(self) -> Mapping[str, Order]:
        """For the control door: what ``labbroker cards`` shows of a running service."""

        async def tell(body: bytes, query: Mapping[str, str]) -> dict[str, Any]:
            return self.overview()

        return {"cards": tell}

    def overview(self) -> dict[str, Any]:
        """Agents, readers and cards as plain values: no PIN, no patient."""
        now = datetime.now(UTC)
        return {
            "institutions": [
                plain_card(self.desk.card_of(institution), now) for institution in self.institutions
            ],
            "agents": [
                {
                    "agent": each.pairing.agent,
                    "version": each.status.version,
                    "readers": [
                        {"name": reader.name, "has_card": reader.has_card, "mute": reader.mute}
                        for reader in each.status.readers
                    ],
                    "cards": [plain_card(card, now) for card in each.cards],
                }
                for each in self.desk.connections()
            ],
        }

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def plain_card(card: KnownCard, now: datetime) -> dict[str, Any]:
    """A card as plain values."""
    state, certificate = card.state, card.certificate
    return {
        "name": state.name,
        "agent": card.agent,
        "institution": card.institution_code,
        "condition": state.condition.value,
        "reason": state.reason,
        "label": state.label,
        "serial": state.serial,
        "tries": state.tries.value,
        "wrong_entries": state.wrong_entries,
        "keypad": state.keypad,
        "subject": certificate.subject if certificate else "",
        "environment": certificate.environment.value if certificate else "",
        "valid_until": certificate.valid_until.isoformat() if certificate else "",
        "days_left": certificate.days_left(now) if certificate else None,
    }
