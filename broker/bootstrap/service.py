"""Builds everything from the settings and runs it: the only place that knows every part."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

from aiohttp import web
from sqlalchemy import Connection

from adapters.fhir.routes import fhir_application
from broker.bootstrap.audit_keeping import AuditAnchors, audited
from broker.bootstrap.cards import Cards
from broker.bootstrap.channels import Channels
from broker.bootstrap.check_report_desk import check_report_desk
from broker.bootstrap.console_desk import console_desk
from broker.bootstrap.delivery import WRITERS, Deliveries
from broker.bootstrap.doors import (
    asks_for_certificate,
    listening,
    open_control,
    open_folders,
    open_mllp,
    tls_context,
)
from broker.bootstrap.hand_uploads import HandUploads
from broker.bootstrap.hand_work import HandWork
from broker.bootstrap.list_orders import list_orders
from broker.bootstrap.lists import load_lists
from broker.bootstrap.node import open_store
from broker.bootstrap.notices import notice_senders
from broker.bootstrap.people_orders import (
    forget_first_code,
    make_first_administrator,
    people_orders,
)
from broker.bootstrap.portal_sweep import PortalSweep
from broker.bootstrap.readers import READERS
from broker.bootstrap.subscriptions import Stores, subscribers, subscription_senders
from broker.bootstrap.visit_orders import visit_orders
from broker.code_maps import MappedProfiles, requeue_known
from broker.config.settings import Settings
from broker.deadline_watch import DeadlineWatch
from broker.delivery.agreement import Agreements
from broker.drafting import Drafting
from broker.intake import DurableIntake
from broker.logs import log_event
from broker.operation.notices import AlarmNotices
from broker.operation.retention import Retention, days_kept, retention_orders
from broker.operation.watch import OperationWatch
from broker.packages import Sealer
from broker.pipeline import Pipeline
from broker.reading_room import ReadingRoom
from broker.resources import StoredResources
from broker.results import ReadResults
from broker.scheduler import Scheduler
from broker.sources import SourceDirectory
from broker.store.line_habits import load_habits
from broker.store.listener import WORK
from broker.store.overview import has_open_receipts
from broker.store.package_files import load_package_file
from broker.store.packages import next_package_at
from broker.store.ready_records import ready_overview
from broker.store.receipts import replay_receipt
from broker.submission import SEND_TIMEOUT, Submission
from broker.suspects import Suspects
from broker.web.account import access_routes
from broker.web.api.delivery_desk import DeliveryDesk
from broker.web.api.routes import install_api
from broker.web.bearer import certificate_of
from broker.web.console.routes import install_console
from broker.web.control import (
    Order,
)
from broker.web.entrance import Access
from broker.web.health import health_routes
from broker.web.session import install_access
from mapping.line_habits import LineHabits
from mapping.rules import ImportedLists

_log = logging.getLogger(__name__)

# The doors count as busy when something was stored so lately.
_BUSY_SECONDS = 0.1


class Broker:
    """One running service. ``clock`` gives aware UTC; ``environ`` holds the secrets' variables."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._environ = environ
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._directory = SourceDirectory(
            settings.sources,
            {folder.source_id for folder in settings.folders},
            certificates_required=asks_for_certificate(settings.mllp.tls),
        )
        self._cards = Cards(settings, clock)
        self._channels = Channels(settings, environ, self._cards)
        self._closing = AsyncExitStack()
        """What has been opened, to be closed in the opposite order."""
        self.exit_code = 0
        self._notices_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recover, then work, then open the doors: nothing is taken before it can be kept.

        Raises :class:`DoorUnavailable` and what the store raises; what had begun is closed again.
        """
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        data = self.settings.data_dir
        store = await open_store(self.settings, self._closing, self._store_failed)
        self._store, self._writer, self.reader = store, store.writer, store.reader
        self._closing.push_async_callback(self._channels.close)
        await asyncio.to_thread(self._channels.prepare)
        await store.recover(self.clock())
        self.profiles = MappedProfiles(self.settings.profiles)
        with self.reader.connect() as connection:
            self.profiles.load(connection)
            self.habits = LineHabits(load_habits(connection))
        # Codes that were linked in the settings meanwhile, or just before a crash.
        await self._writer.write(lambda c: requeue_known(c, self.profiles))
        log_event(_log, "store.opened", sqlite=sqlite3.sqlite_version, seconds=loop.time() - began)
        if await self._writer.write(lambda c: make_first_administrator(c, data, self.clock())):
            log_event(_log, "access.first_administrator")
        anchors = AuditAnchors(self.reader, data, self.clock)
        anchors.start()
        self._closing.push_async_callback(anchors.stop)
        self._build_work()
        await self._open_doors()
        log_event(_log, "service.started", settings_file=self.settings.file is not None)

    async def stop(self) -> None:
        """No new work; what was taken is answered and recorded; then the store closes."""
        log_event(_log, "service.stopping", reason="asked")
        await self._closing.aclose()
        log_event(_log, "service.stopped")

    async def wait_stopped(self) -> None:
        """Until :meth:`ask_to_stop`, or until the store has failed."""
        await self._stopped.wait()

    def ask_to_stop(self) -> None:
        """For signal handlers."""
        self._stopped.set()

    async def replay(self, receipt_id: int) -> bool:
        """Read the bytes of a receipt again. False where there is no such receipt."""
        found = await self._writer.write(lambda c: replay_receipt(c, receipt_id))
        if found:
            log_event(_log, "receipt.replayed", receipt_id=receipt_id)
            self.pipeline.wake()
        return found

    @property
    def mllp_port(self) -> int:
        return self._mllp.port

    @property
    def http_port(self) -> int:
        port: int = self._runner.addresses[0][1]
        return port

    async def at_rest(self) -> None:
        """Until no receipt waits to be read and no package to be sent or checked."""
        while not self._is_at_rest():  # noqa: ASYNC110 - the state is in the store
            await asyncio.sleep(0.05)

    def _is_at_rest(self) -> bool:
        with self.reader.connect() as connection:
            return not (
                has_open_receipts(connection)
                or ready_overview(connection)
                or next_package_at(connection)
            )

    def _build_work(self) -> None:
        settings, schedule = self.settings, self.settings.schedule
        self.intake = DurableIntake(self._writer, lambda: self.pipeline.wake(), self.clock)
        uploaders = {each.code: self._channels.uploader(each) for each in settings.institutions}
        lists = self._load_lists()
        sealer = Sealer(
            self._writer,
            self.reader,
            settings.data_dir / "packages",
            self.clock,
            schedule.max_records_per_package,
            schedule.max_package_bytes,
            lists,
        )
        submission = Submission(
            self._writer,
            uploaders,
            sealer.path,
            self.clock,
            poll=timedelta(seconds=schedule.verdict_poll_seconds),
            settle=timedelta(seconds=schedule.settle_seconds),
            send_timeout=max(SEND_TIMEOUT, settings.eii_channel.timeout_seconds + 60),
            on_replayed=lambda: self.pipeline.wake(),
            agreements=settings.agreements,
            stored_file=lambda package_id: load_package_file(self.reader, package_id),
        )
        self.scheduler = Scheduler(
            self._writer,
            self.reader,
            sealer,
            submission,
            self.clock,
            wait=timedelta(seconds=schedule.seal_after_seconds),
            press=timedelta(minutes=schedule.press_before_minutes),
            parts_ahead=schedule.parts_ahead,
            hours=settings.hours,
            node=self._store.node,
            serves=frozenset(uploaders) if self._store.node.is_shared else None,
            can_send=self._cards.is_here,
        )
        watch = DeadlineWatch(
            self._writer,
            self.reader,
            self.clock,
            settings.hours,
            ahead=timedelta(hours=schedule.warn_before_hours),
            critical_within=settings.alarms.critical,
            node=self._store.node,
        )
        self._drafting = Drafting(settings.agreements, frozenset(uploaders), lists, self.habits)
        room = ReadingRoom()
        self._closing.push_async_callback(room.close)
        self.pipeline = Pipeline(
            self._writer,
            self.reader,
            READERS,
            self.profiles,
            self._drafting,
            self.clock,
            self.scheduler.wake,
            busy=self._doors_busy,
            check_reports=check_report_desk(settings, self._environ),
            suspects=Suspects(settings.data_dir),
            room=room,
            turns=self._store.turns(self._learn, lambda: self.pipeline.wake()),
            deliveries=Agreements(settings.deliveries, subscribers(settings)),
            critical_limits=settings.critical_limits,
            on_results=lambda: self.deliveries.wake(),
        )
        self.results = ReadResults(self.reader, READERS, self.profiles)
        self.deliveries = Deliveries(
            settings.deliveries,
            self._writer,
            self.reader,
            self.results,
            self.clock,
            self._environ,
            node=self._store.node,
            subscriptions=subscription_senders(
                settings,
                Stores(self._writer, self.reader, self.results, self._store.node),
                self._directory.clinics_of,
                self.clock,
                self._environ,
            ),
        )
        sweep = PortalSweep(self._channels.hand_off_folders(), self.reader)
        self._closing.push_async_callback(sweep.stop)
        sweep.start()
        self._closing.callback(self._store.listen(self._heard))
        self._closing.push_async_callback(self._end_work)
        self._closing.push_async_callback(self.intake.close)
        self._closing.push_async_callback(self._cards.close)
        self._cards.start(self._writer, self.reader, self.scheduler.wake, self._store.node)
        self._pipeline_task = self._keep(self.pipeline.run())
        self._keep(self.scheduler.run())
        self._watch_task = self._keep(watch.run())
        self.deliveries.start(self._keep)
        self._retention = Retention(
            self._writer,
            self.reader,
            days_kept(settings.retention_days),
            self.clock,
            self._store.node,
        )
        operation = OperationWatch(
            self._writer,
            self.reader,
            settings.data_dir,
            {key: each.lab_code or each.clinic_code for key, each in settings.profiles.items()},
            self.clock,
            self._store.node,
            limits=settings.alarms,
        )
        self._operation_task = self._keep(operation.run())
        self._retention_task = self._keep(self._retention.run())
        self._start_notices()

    def _load_lists(self) -> ImportedLists:
        """What can be read; results go on without a list that cannot."""
        loaded = load_lists(self.settings.lists)
        for problem in loaded.problems:
            log_event(_log, "list.unreadable", level=logging.WARNING, error=problem)
        return loaded.lists

    def _learn(self, connection: Connection) -> None:
        """Another node, or a person at one, has changed how results are read."""
        self.profiles.load(connection)
        self.habits.load(load_habits(connection))

    def _heard(self, what: str) -> None:
        self.pipeline.wake()
        if what == WORK:
            self.scheduler.wake()

    def _start_notices(self) -> None:
        senders = notice_senders(self.settings.notices, self._environ, self.clock)
        if senders:
            notices = AlarmNotices(self._writer, self.reader, senders, self.clock, self._store.node)
            self._notices_task = self._keep(notices.run())

    async def _end_work(self) -> None:
        await self.deliveries.stop()
        if self._notices_task is not None:
            self._notices_task.cancel()
        self._pipeline_task.cancel()
        self._watch_task.cancel()
        self._retention_task.cancel()
        self._operation_task.cancel()
        self.scheduler.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open_doors(self) -> None:
        settings = self.settings
        self._mllp = await open_mllp(
            settings.mllp, self.intake, self._directory.source_of_peer, self._closing
        )
        self._folders = await open_folders(settings, self.intake, self.reader, self._closing)
        application = web.Application(client_max_size=settings.http.max_body_bytes)
        install_access(
            application,
            Access(
                self.reader,
                self._writer.write,
                self.clock,
                settings.access,
                on_password=lambda: forget_first_code(settings.data_dir),
            ),
        )
        application.add_routes(access_routes())
        application.add_routes(
            health_routes(self.reader, self._readiness, self.clock, settings.data_dir)
        )
        application.add_routes(self._cards.routes())
        orders = self._orders()
        install_console(
            application,
            console_desk(
                settings,
                self._writer,
                self.reader,
                self.clock,
                self.profiles,
                orders,
                self.replay,
                self._drafting,
                self.intake,
            ),
        )
        install_api(
            application, DeliveryDesk(self.deliveries.reading, WRITERS, self.deliveries.wake)
        )
        senders = self.deliveries.subscriptions
        application.add_subapp(
            "/fhir",
            fhir_application(
                self.intake,
                self._authenticate,
                settings.http.max_body_bytes,
                results=ReadResults(self.reader, READERS, settings.profiles),
                ledger=StoredResources(self._writer, self.reader),
                clinics_of=self._directory.clinics_of,
                subscriptions=senders.desk if senders is not None else None,
                endpoint_networks=settings.subscription.networks,
            ),
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=5.0)
        self._closing.push_async_callback(self._runner.cleanup)
        await self._runner.setup()
        if settings.http.enabled:
            site = web.TCPSite(
                self._runner,
                settings.http.host,
                settings.http.port,
                ssl_context=tls_context(settings.http.tls),
            )
            with listening("http", settings.http.host, settings.http.port):
                await site.start()
            log_event(
                _log, "door.opened", door="http", host=settings.http.host, port=self.http_port
            )
        await open_control(
            settings, self.replay, audited(orders, self._writer, self.clock), self._closing
        )

    def _orders(self) -> Mapping[str, Order]:
        """What a person may ask for, at the control door and on the pages: one object for both,
        since some orders wait for each other."""
        return {
            **self._hand_work().orders(),
            **list_orders(self._store.knowing_writer, self.clock),
            **people_orders(self._writer, self.clock),
            **self._hand_uploads().orders(),
            **visit_orders(self.intake, self.reader, self.pipeline.visit_import),
            **self._cards.orders(),
            **retention_orders(self._retention),
        }

    def _hand_work(self) -> HandWork:
        return HandWork(
            self._store.knowing_writer,
            self.reader,
            self.intake,
            self.profiles,
            self.clock,
            replay=self.replay,
            on_ready=self.scheduler.wake,
            on_requeued=self.pipeline.wake,
            habits=self.habits,
        )

    def _hand_uploads(self) -> HandUploads:
        return HandUploads(
            self._writer,
            self.reader,
            self.intake,
            self.clock,
            self._channels.portal_of,
            self.scheduler.wake,
        )

    def _authenticate(self, request: web.Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._directory.of_token(token.strip())
        shown = certificate_of(request)
        return None if shown is None else self._directory.of_certificate(shown)

    def _doors_busy(self) -> bool:
        last = self.intake.last_stored_at
        return asyncio.get_running_loop().time() - last < _BUSY_SECONDS

    def _readiness(self) -> Mapping[str, bool]:
        return {
            "store": not self._writer.failed,
            "pipeline": not self._pipeline_task.done(),
            "folders": not self._folders.faults,
        }

    def _store_failed(self) -> None:
        log_event(_log, "store.unavailable", level=logging.CRITICAL, reason="io-error")
        self.exit_code = 1
        self._stopped.set()

    def _keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._worker_ended)
        return task

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log_event(_log, "service.fault", level=logging.CRITICAL, error=error)
        self.exit_code = 1
        self._stopped.set()
