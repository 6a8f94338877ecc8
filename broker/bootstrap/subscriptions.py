"""Builds what serves FHIR subscriptions: a sender for each that works, begun and ended with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from adapters.fhir.subscription_hook import GONE, Endpoint, SubscriptionHook, notification
from adapters.ports.emptying import NotTaken, OutboxLoop, Pauses, Taken
from adapters.ports.outbox import Outgoing
from adapters.ports.results import Viewer
from adapters.ports.subscriptions import SubscriptionStatus
from broker.config.settings import Settings
from broker.config.subscription_section import SubscriptionSettings
from broker.delivery.agreement import DeliveryAgreement, DeliveryKind
from broker.delivery.outbox import NotTheirs, Renderer, StoredOutbox
from broker.delivery.subscriptions import HeaderVault, StoredSubscriptions
from broker.logs import log_event
from broker.nodes import Node
from broker.results import ReadResults
from broker.store.engine import open_snapshot
from broker.store.rows import AnyRow
from broker.store.subscriptions import (
    destination_of,
    end_subscription,
    note_try,
    working_subscriptions,
)
from broker.store.writer import Writer
from mapping.errors import LabbrokerError

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 60.0
_RESTART_SECONDS = 5.0
_PAUSES = Pauses()


def subscribers(settings: Settings) -> Mapping[str, Collection[str]]:
    """The clinics to whose results each source may subscribe."""
    if not settings.subscription.enabled:
        return {}
    return {each.source_id: each.reads_for for each in settings.sources}


def subscription_senders(
    settings: Settings,
    stores: Stores,
    clinics_of: Callable[[str], frozenset[str]],
    clock: Callable[[], datetime],
    environ: Mapping[str, str],
) -> SubscriptionSenders | None:
    """None where the settings want no subscriptions."""
    if not settings.subscription.enabled:
        return None
    return SubscriptionSenders(settings.subscription, stores, clinics_of, clock, environ)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where senders read and write."""

    writer: Writer
    reader: Engine
    results: ReadResults
    node: Node | None = None


class SubscriptionSenders:
    """``clinics_of`` tells for which clinics a source reads now; ``desk`` is what the FHIR door
    uses."""

    def __init__(
        self,
        settings: SubscriptionSettings,
        stores: Stores,
        clinics_of: Callable[[str], frozenset[str]],
        clock: Callable[[], datetime],
        environ: Mapping[str, str],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.networks = settings.networks
        self._stores = stores
        self._clinics_of = clinics_of
        self._clock = clock
        self._sleep = sleep
        self._changed = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._senders: dict[tuple[int, int], _Sender] = {}
        """By number and version."""

        def key() -> str | None:
            return settings.key.read(environ).reveal() if settings.key is not None else None

        self._vault = HeaderVault(key)
        self.desk = StoredSubscriptions(
            stores.writer,
            stores.reader,
            self._vault,
            clock,
            self._changed.set,
            settings.most_of_source,
        )

    def start(self) -> None:
        """Serve those that work, until :meth:`stop`."""
        self._keeping = asyncio.create_task(self._keep())

    def wake(self) -> None:
        """Something may have been queued."""
        for sender in self._senders.values():
            sender.loop.wake()

    async def stop(self) -> None:
        """End what is under way: it is sent again at the next start."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._end(list(self._senders))

    async def _keep(self) -> None:
        """Look once a minute too: another node may have changed something."""
        while True:
            self._changed.clear()
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - others go on, and it is looked again
                log_event(_log, "service.fault", level=logging.ERROR, error=error)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()

    async def _look(self) -> None:
        now = self._clock()
        rows = await asyncio.to_thread(self._working, now)
        wanted = {(row.id, row.version): row for row in rows}
        await self._end([each for each in self._senders if each not in wanted])
        for key, row in wanted.items():
            if key not in self._senders:
                self._senders[key] = self._begin(row)

    def _working(self, now: datetime) -> list[AnyRow]:
        with open_snapshot(self._stores.reader) as connection:
            return working_subscriptions(connection, now)

    async def _end(self, keys: list[tuple[int, int]]) -> None:
        ended = [self._senders.pop(key) for key in keys]
        for sender in ended:
            sender.task.cancel()
        await asyncio.gather(*(sender.task for sender in ended), return_exceptions=True)
        for sender in ended:
            await sender.hook.close()

    def _begin(self, row: AnyRow) -> _Sender:
        try:
            headers = self._vault.open(row.source_id, row.headers)
            fault = ""
        except LabbrokerError as error:
            headers, fault = {}, error.code
        hook = SubscriptionHook(Endpoint(row.endpoint, row.payload, headers), self.networks)
        name = destination_of(row.id)
        agreement = DeliveryAgreement(name, "", DeliveryKind.FHIR_HOOK, url=row.endpoint)
        outbox = StoredOutbox(
            agreement,
            self._stores.writer,
            self._stores.reader,
            self._rendering(row),
            self._clock,
            self._stores.node,
            # Whose results a source may read can have changed since it was queued.
            lambda outgoing: outgoing.clinic_code in self._clinics_of(row.source_id),
        )

        async def deliver(outgoing: Outgoing) -> Taken | NotTaken:
            outcome = NotTaken(fault) if fault else await hook.deliver(outgoing)
            # What was taken is not sent again because its status could not be written.
            with suppress(LabbrokerError):
                await self._note(row.id, outcome)
            return outcome

        loop = OutboxLoop(outbox, deliver, sleep=self._sleep)
        task = asyncio.create_task(self._run(row, hook, loop, outbox, fault))
        return _Sender(hook, loop, task)

    async def _run(
        self,
        row: AnyRow,
        hook: SubscriptionHook,
        loop: OutboxLoop,
        outbox: StoredOutbox,
        fault: str,
    ) -> None:
        while True:
            try:
                if row.status == SubscriptionStatus.REQUESTED and not row.payload:
                    await self._greet(row.id, hook, fault)
                await loop.run()
            except Exception as error:  # noqa: BLE001 - told by the outbox
                with suppress(LabbrokerError):
                    await outbox.fell(error)
            await self._sleep(_RESTART_SECONDS)

    async def _greet(self, number: int, hook: SubscriptionHook, fault: str) -> None:
        """Until the endpoint has answered once; what comes meanwhile waits."""
        failures = 0
        while True:
            outcome = NotTaken(fault) if fault else await hook.greet()
            with suppress(LabbrokerError):
                await self._note(number, outcome)
            if isinstance(outcome, Taken):
                return
            failures += 1
            await self._sleep(_PAUSES.after(failures, 0.0))

    async def _note(self, number: int, outcome: Taken | NotTaken) -> None:
        fault = outcome.reason if isinstance(outcome, NotTaken) else ""
        now = self._clock()

        def note(connection: Connection) -> None:
            if fault == GONE:
                # The other side says that nobody is there for good (RFC 9110, 15.5.11).
                end_subscription(connection, number, fault, now)
            else:
                note_try(connection, number, fault, now)

        await self._stores.writer.write(note)
        if fault == GONE:
            self._changed.set()

    def _rendering(self, subscription: AnyRow) -> Renderer:
        source_id = subscription.source_id

        def render(agreement: DeliveryAgreement, row: AnyRow, now: datetime) -> tuple[str, bytes]:
            if not row.clinic_code:
                raise NotTheirs
            viewer = Viewer(source_id, frozenset({row.clinic_code}))
            result, _earlier = self._stores.results.word_of(viewer, row.receipt_id, row.number)
            if result is None:
                raise NotTheirs
            body = notification(result, subscription.type_name, subscription.payload)
            return f"LB{row.id}", body

        return render


@dataclass(frozen=True, slots=True)
class _Sender:
    hook: SubscriptionHook
    loop: OutboxLoop
    task: asyncio.Task[None]
