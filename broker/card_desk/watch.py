"""Warns a person whose card is away while it should be there, and before its certificate ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from adapters.ports.intake import StorageUnavailable
from broker.alarm_settling import AlarmSettling, log_alarm
from broker.card_desk.desk import CardDesk
from broker.logs import log_event
from broker.nodes import Node
from broker.opening_hours import ALWAYS, OpeningHours
from broker.store.alarms import AlarmKey, AlarmKind, Threat
from broker.store.card_views import CardView, living_card_views, tell_card_views
from broker.store.card_waits import waiting_for
from broker.store.writer import Writer

_log = logging.getLogger(__name__)

AWAY_SECONDS = 20.0
"""A card that is wiped and put back within this time alarms nobody."""
LOOK_SECONDS = 10.0
CERTIFICATE_AHEAD = timedelta(days=30)
CARD_ALARMS = (AlarmKind.CARD_AWAY, AlarmKind.CERTIFICATE_ENDS)


class CardWatch:
    """``institutions`` are those whose packages a card signs; ``hours`` says when it should be
    there. A card that is gone is alarmed within 60 s: a connection that is lost, or a node that
    died, is noticed after 15, and the two times above come on top. Among several nodes a card is
    there where one of them sees it; each tells the others what it sees."""

    def __init__(
        self,
        desk: CardDesk,
        writer: Writer,
        reader: Engine,
        clock: Callable[[], datetime],
        institutions: Sequence[str],
        hours: Mapping[str, OpeningHours],
        *,
        away_seconds: float = AWAY_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        elapsed: Callable[[], float] = time.monotonic,
        node: Node | None = None,
    ) -> None:
        self._desk = desk
        self._node = node or Node()
        self._told: tuple[CardView, ...] | None = None
        self._alarms = AlarmSettling(writer, self._node, "watch:cards", CARD_ALARMS)
        self._reader = reader
        self._clock = clock
        self._institutions = institutions
        self._hours = hours
        self._away_seconds = away_seconds
        self._look_seconds = look_seconds
        self._elapsed = elapsed
        self._away_since: dict[str, float] = {}

    async def run(self) -> None:
        """Look every few seconds and whenever a card has changed, until cancelled."""
        while True:
            self._desk.changed.clear()
            try:
                await self.look()
            except StorageUnavailable as error:
                log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
            except Exception as error:  # noqa: BLE001 - a fault here must not stop the uploads
                log_event(_log, "service.fault", level=logging.ERROR, error=error)
            try:
                async with asyncio.timeout(self._look_seconds):
                    await self._desk.changed.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Compare the cards with the open alarms, unless another node does. Raises
        ``StorageUnavailable``."""
        now = self._clock()
        keys = self._keys(now, await self._views())
        if not await self._alarms.is_ours():
            return
        waiting = await asyncio.to_thread(self._waiting, keys)
        found = {
            key: Threat(records, until or due_at or now)
            for (key, until), (records, due_at) in zip(keys, waiting, strict=True)
        }
        changes = await self._alarms.settle(found, now)
        for change in changes:
            log_alarm(_log, change, "card.alarm", "card.over")

    async def _views(self) -> Mapping[str, CardView]:
        """What this node sees of each card, or another that sees more. Raises
        ``StorageUnavailable``."""
        own = tuple(map(self._own_view, self._institutions))
        if not self._node.is_shared:
            return {each.institution_code: each for each in own}
        if own != self._told:
            await self._node.tell(lambda c: tell_card_views(c, self._node.holder, own))
            self._told = own
        others = await asyncio.to_thread(self._living)
        return {
            each.institution_code: _together(each, others.get(each.institution_code, ()))
            for each in own
        }

    def _own_view(self, institution: str) -> CardView:
        card = self._desk.card_of(institution)
        certificate = self._desk.certificate_seen(institution)
        return CardView(
            institution,
            card.is_ready,
            bool(card.agent),
            card.state.reason or card.state.condition.value,
            certificate.valid_until if certificate else None,
        )

    def _living(self) -> Mapping[str, Sequence[CardView]]:
        with self._reader.connect() as connection:
            return living_card_views(connection, self._node.silent_after)

    def _keys(
        self, now: datetime, views: Mapping[str, CardView]
    ) -> list[tuple[AlarmKey, datetime | None]]:
        keys: list[tuple[AlarmKey, datetime | None]] = []
        for institution, view in views.items():
            expected = self._hours.get(institution, ALWAYS).is_open(now)
            if view.is_ready or not expected:
                self._away_since.pop(institution, None)
            else:
                since = self._away_since.setdefault(institution, self._elapsed())
                if self._elapsed() - since >= self._away_seconds:
                    keys.append((AlarmKey(AlarmKind.CARD_AWAY, institution, view.reason), None))
            ends = view.valid_until
            if ends is not None and ends - now <= CERTIFICATE_AHEAD:
                reason = "ended" if ends < now else "ends"
                keys.append((AlarmKey(AlarmKind.CERTIFICATE_ENDS, institution, reason), ends))
        return keys

    def _waiting(
        self, keys: Sequence[tuple[AlarmKey, datetime | None]]
    ) -> list[tuple[int, datetime | None]]:
        if not keys:
            return []
        with self._reader.connect() as connection:
            return [waiting_for(connection, key.institution_code) for key, _ in keys]


def _together(own: CardView, others: Sequence[CardView]) -> CardView:
    """The one that sees most; the certificate that ends last is the card's newest."""
    best = max((own, *others), key=lambda view: (view.is_ready, view.has_agent))
    ends = [view.valid_until for view in (own, *others) if view.valid_until is not None]
    return replace(best, valid_until=max(ends, default=None))
