"""Stored receipts become records: parse, match, convert, check - in the order they came.

Reading is pure and done on the event loop, a few receipts at a time; while the doors are busy the
pipeline steps back, so that acknowledgements stay fast. A receipt that cannot be read is
quarantined with its reason and stops nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Engine

from adapters.ports.intake import Media, StorageUnavailable
from broker.check_reports import CheckReports
from broker.delivery.agreement import Agreements
from broker.drafting import Draft, Drafting
from broker.finding_json import findings_to_json
from broker.logs import log_event
from broker.reading_room import ReadingRoom, Refusal, TooComplex
from broker.report_index import IndexedReport, index_reports
from broker.states import ReceiptState
from broker.store.code_maps import UNKNOWN_ORDER, store_waiting_codes
from broker.store.critical import settle_critical
from broker.store.leases import LeaseLost
from broker.store.line_habits import store_habits
from broker.store.outbox import enqueue
from broker.store.receipts import finish_receipt, open_receipts
from broker.store.records import store_drafts
from broker.store.results import store_report_index
from broker.store.rows import AnyRow
from broker.store.savepoints import attempt_together
from broker.store.visit_lookup import stored_visits
from broker.store.visits import requeue_rivals, store_visits
from broker.store.writer import Writer
from broker.suspects import MOST_DEATHS, Suspects
from broker.turns import Turn, Turns
from broker.visit_import import VISITS_AT_ONCE, VisitImport
from mapping.critical import CriticalLimit
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity
from mapping.line_habits import Habit
from mapping.moment import TAIPEI
from mapping.parsed import Content, ParsedPayload, Reader
from mapping.profile import SourceProfile
from mapping.record import UploadRecord
from mapping.rules import check_record
from mapping.verdict import CheckReport
from mapping.visit import Visit

_BATCH = 16
_BUSY_SECONDS = 0.05
# Under a flood the pipeline still gets this part of the time: its backlog must not stand still.
_SHARE_WHEN_BUSY = 0.1
_MEDIA = frozenset(media.value for media in Media)
# Who sends a receipt meanwhile waits for these: some twenty milliseconds.
_DRAFTS_AT_ONCE = 80
_SHARES_A_COMMIT = frozenset({Content.REPORTS.value, ""})
"""Results, and what could not be read."""
_LARGE_BYTES = 200_000
# Spreadsheets unfold to many times their size, in parsers that are not ours.
_READ_APART = frozenset({Media.XLSX.value, Media.XLS.value, Media.DBF.value, Media.NHI_ZIP.value})
_STORE_PAUSE_SECONDS = 2.0

WITHHOLDS = frozenset({"hl7-not-production"})
"""Findings about a payload for which none of its results may be uploaded."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one receipt came to, before it is written."""

    receipt_id: int
    state: ReceiptState
    content: str = ""
    error_code: str = ""
    error_text: str = ""
    error_texts: str = ""
    """The same by language, as :class:`broker.reading_room.Refusal` has it."""
    findings: tuple[Finding, ...] = ()
    drafts: tuple[Draft, ...] = ()
    indexed: tuple[IndexedReport, ...] = ()
    """What is noted of its reports, so that clinics may read them."""
    visits: tuple[Visit, ...] = ()
    visits_stored: int = 0
    """How many it brought, where most were stored part by part."""
    reports: tuple[CheckReport, ...] = ()
    raw: bytes = b""
    """The bytes of a check report."""
    source_id: str = ""
    profile: SourceProfile | None = None
    """Under which the drafts were made; None where the settings have none."""
    habits: tuple[Habit, ...] = ()
    """What was learned of the source's codes."""
    habits_version: int = 0


class Pipeline:
    """Works off stored receipts. ``on_ready`` wakes the scheduler; ``clock`` gives aware UTC."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        readers: Mapping[Media, Reader],
        profiles: Mapping[str, SourceProfile],
        drafting: Drafting,
        clock: Callable[[], datetime],
        on_ready: Callable[[], None],
        busy: Callable[[], bool] = lambda: False,
        *,
        suspects: Suspects | None = None,
        room: ReadingRoom | None = None,
        check_reports: CheckReports | None = None,
        turns: Turns | None = None,
        deliveries: Agreements | None = None,
        critical_limits: Sequence[CriticalLimit] = (),
        on_results: Callable[[], None] = lambda: None,
    ) -> None:
        self._deliveries = deliveries or Agreements()
        self._critical_limits = critical_limits
        self._on_results = on_results
        self._check_reports = check_reports
        self._writer = writer
        self._reader = reader
        self._readers = readers
        self._profiles = profiles
        self._drafting = drafting
        self._clock = clock
        self._on_ready = on_ready
        self._busy = busy
        self._suspects = suspects or Suspects(None)
        self._room = room
        self._turns = turns or Turns()
        self.visit_import = VisitImport(writer)
        self._wake = asyncio.Event()
        self._wake.set()
        self.idle = asyncio.Event()
        """Set while no stored receipt waits."""

    def wake(self) -> None:
        """Something was stored."""
        self.idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; a cancelled batch is simply read again at the next start."""
        try:
            await self._run()
        finally:
            # Nothing has died: what was being read is under no suspicion.
            self._suspects.end()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                loop = asyncio.get_running_loop()
                began = loop.time()
                while await self.work_once():
                    await self._step_back(loop.time() - began)
                    began = loop.time()
            except StorageUnavailable as error:
                # A full disk passes; the doors refuse meanwhile, and nothing is forgotten.
                log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
                self._wake.set()
                await asyncio.sleep(_STORE_PAUSE_SECONDS)
                continue
            if not self._wake.is_set():
                self.idle.set()

    async def work_once(self) -> int:
        """Work off one batch. Returns how many receipts were read.

        Raises ``StorageUnavailable``: those not written are read again.
        """
        turn = await self._turns.take()
        if turn is None:
            return 0
        try:
            return await self._work_off(turn)
        finally:
            await self._turns.end(turn)

    async def _work_off(self, turn: Turn) -> int:
        with self._reader.connect() as connection:
            rows = open_receipts(connection, 0, _BATCH, turn.source_id)
            if rows and self._suspects.deaths(rows[0].id):
                rows = rows[:1]
            self._suspects.begin([row.id for row in rows])
            works: list[_Work] = []
            for row in rows:
                if works and len(row.raw) > _LARGE_BYTES:
                    # It may bring many visits, which what came before it must not see half stored.
                    break
                works.append(await self._read(connection, row))
                if works[-1].visits:
                    # Those behind it must see these visits: they are read with the next batch.
                    break
                await asyncio.sleep(0)
        if len(works) == 1 and len(works[0].visits) > VISITS_AT_ONCE:
            works[0] = await self._import(works[0], again=bool(rows[0].content))
        outcomes = await self._store_all(works, turn)
        if any(isinstance(outcome, LeaseLost) for outcome in outcomes):
            # Another node reads them now.
            return len(works)
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, StorageUnavailable):
                raise outcome
            if isinstance(outcome, Exception):
                works[index] = await self._give_up(works[index], outcome, turn)
            elif outcome is not None:
                raise outcome
        for work in works:
            log_event(
                _log,
                "receipt.parsed" if work.state is ReceiptState.PARSED else "receipt.quarantined",
                receipt_id=work.receipt_id,
                content=work.content,
                error_code=work.error_code,
                records=len(work.drafts),
                visits=work.visits_stored or len(work.visits),
            )
            for habit in work.habits:
                if not habit.known:
                    log_event(
                        _log,
                        "code.changed",
                        level=logging.WARNING,
                        receipt_id=work.receipt_id,
                        reason=habit.kind.value,
                    )
        if any(work.drafts for work in works):
            self._on_ready()
        if any(work.indexed for work in works):
            self._on_results()
        self._suspects.end([work.receipt_id for work in works])
        return len(works)

    async def _import(self, work: _Work, *, again: bool) -> _Work:
        """Store many visits part by part. What is left of the work tells what it always tells."""
        # It has been read; what the service dies of from now on is not its doing.
        self._suspects.end([work.receipt_id])
        try:
            requeued = await self.visit_import.store(work.receipt_id, work.visits, again=again)
        except StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001 - told when the rest is stored, which meets the same
            return work
        if requeued:
            self.wake()
        stored = len(work.visits)
        return replace(work, visits=work.visits[-VISITS_AT_ONCE:], visits_stored=stored)

    async def _store_all(self, works: list[_Work], turn: Turn) -> list[BaseException | None]:
        """Store in their order; why each of them failed. Every commit waits for the disk, so
        several receipts share one, but not while senders wait for the writer too."""
        groups = list(_groups(works, 1 if self._busy() else _DRAFTS_AT_ONCE))
        futures: list[Awaitable[list[Exception | None] | None]] = []
        for group in groups:
            stores = [self._store(work, turn) for work in group]
            # The writer gives each a savepoint.
            if len(stores) == 1:
                futures.append(self._writer.write(stores[0]))
            else:
                futures.append(self._writer.write(partial(attempt_together, works=stores)))
        outcomes: list[BaseException | None] = []
        found = await asyncio.gather(*futures, return_exceptions=True)
        for group, outcome in zip(groups, found, strict=True):
            outcomes += outcome if isinstance(outcome, list) else [outcome] * len(group)
        return outcomes

    async def _give_up(self, work: _Work, error: Exception, turn: Turn) -> _Work:
        """What came of a receipt cannot be stored: quarantine it, so that the next goes on."""
        log_event(_log, "pipeline.fault", receipt_id=work.receipt_id, error=error)
        given_up = _quarantine(work.receipt_id, _fault(error))
        await self._writer.write(self._store(given_up, turn))
        return given_up

    async def _step_back(self, worked_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        turn_at = loop.time() + worked_seconds * (1 / _SHARE_WHEN_BUSY - 1)
        await asyncio.sleep(0)
        while self._busy() and loop.time() < turn_at:  # noqa: ASYNC110 - a matter of time
            await asyncio.sleep(_BUSY_SECONDS)

    async def _read(self, connection: Connection, row: AnyRow) -> _Work:
        profile = self._profiles.get(row.source_id) or SourceProfile(source_id=row.source_id)
        reader = self._readers.get(Media(row.media)) if row.media in _MEDIA else None
        try:
            if row.media == Media.CHECK_REPORT.value and self._check_reports is not None:
                return await self._read_check_report(self._check_reports, row)
            if row.media == Media.CORRECTION.value:
                content = Content.CORRECTION.value
                return _Work(row.id, ReceiptState.PARSED, content=content)
            if reader is None:
                raise UnknownMedia(media=row.media)
            deaths = self._suspects.deaths(row.id)
            if deaths >= MOST_DEATHS:
                raise EndedTheService(deaths=deaths)
            if self._room is not None and (
                deaths or len(row.raw) > _LARGE_BYTES or row.media in _READ_APART
            ):
                outcome = await self._room.read(Media(row.media), row.raw, profile)
                if isinstance(outcome, Refusal):
                    return _quarantine(row.id, outcome)
                parsed = outcome
                if deaths:
                    self._suspects.resume(row.id)
            else:
                parsed = reader(row.raw, profile)
            return self._draft(connection, row, profile, parsed)
        except LabbrokerError as error:
            return _quarantine(row.id, Refusal.of(error))
        except (RecursionError, MemoryError):
            return _quarantine(row.id, Refusal.of(TooComplex()))
        except Exception as error:  # noqa: BLE001 - a poison result must never block the next
            log_event(_log, "pipeline.fault", receipt_id=row.id, error=error)
            return _quarantine(row.id, _fault(error))

    @staticmethod
    async def _read_check_report(desk: CheckReports, row: AnyRow) -> _Work:
        reports = await asyncio.to_thread(desk.read, row.source_id, row.door, row.raw, row.name)
        content = Content.CHECK_REPORT.value
        return _Work(row.id, ReceiptState.PARSED, content=content, reports=reports, raw=row.raw)

    def _draft(
        self, connection: Connection, row: AnyRow, profile: SourceProfile, parsed: ParsedPayload
    ) -> _Work:
        drafts: list[Draft] = []
        indexed: tuple[IndexedReport, ...] = ()
        if parsed.content is Content.REPORTS:
            withheld = tuple(
                replace(finding, severity=Severity.ERROR)
                for finding in parsed.findings
                if finding.code in WITHHOLDS
            )
            visits_of, desk = stored_visits(connection, row.id)
            drafts = self._drafting.drafts(
                parsed.reports,
                profile,
                row.received_at,
                visits_of,
                withheld,
                parsed.findings,
                desk,
            )
            # A message for training is no result of anybody's.
            indexed = (
                () if withheld else index_reports(parsed.reports, profile, self._critical_limits)
            )
        return _Work(
            receipt_id=row.id,
            state=ReceiptState.PARSED,
            content=parsed.content.value,
            findings=parsed.findings,
            drafts=tuple(drafts),
            indexed=indexed,
            visits=parsed.visits,
            source_id=row.source_id,
            profile=self._profiles.get(row.source_id),
            habits=self._drafting.habits.take_new() if self._drafting.habits else (),
            habits_version=self._habits_version,
        )

    def _store(self, work: _Work, turn: Turn) -> Callable[[Connection], None]:
        def store(connection: Connection) -> None:
            turn.require(connection)
            if work.content == Content.CHECK_REPORT.value and self._check_reports is not None:
                outcome = self._check_reports.store(
                    connection, work.receipt_id, work.raw, work.reports, self._clock()
                )
                if outcome.released:
                    self._writer.call_on_loop(self.wake)
                for package_id in outcome.package_ids:
                    log_event(_log, "verdict.brought", package_id=package_id)
                return
            if work.visits:
                if store_visits(connection, work.receipt_id, work.visits):
                    self._writer.call_on_loop(self.wake)
                self._turns.learned(connection, turn)
            if work.content == Content.CORRECTION.value:
                finish_receipt(connection, work.receipt_id, work.state, content=work.content)
                return
            store_habits(connection, work.receipt_id, work.habits, self._clock())
            unknown_orders = any(each.code == UNKNOWN_ORDER for each in work.findings)
            if (work.drafts or unknown_orders) and (
                self._profiles.get(work.source_id) is not work.profile
                or work.habits_version != self._habits_version
                or self._turns.is_outdated(connection, turn)
            ):
                # Its codes or visits are others by now: the receipt stays open and is read again.
                return
            if work.habits:
                self._turns.learned(connection, turn)
            if work.content == Content.VISITS.value:
                store_waiting_codes(connection, work.receipt_id, work.source_id, work.findings)
            if work.state is ReceiptState.PARSED:
                now = self._clock()
                stored = store_drafts(connection, work.receipt_id, work.drafts, now, self._check)
                if stored.ready and _requeue_rivals(connection, work):
                    self._writer.call_on_loop(self.wake)
                store_report_index(connection, work.receipt_id, work.indexed, now)
                settle_critical(connection, work.receipt_id, work.indexed, now)
                enqueue(connection, work.receipt_id, work.indexed, self._deliveries, now)
            finish_receipt(
                connection,
                work.receipt_id,
                work.state,
                content=work.content,
                error_code=work.error_code,
                error_text=work.error_text,
                error_texts=work.error_texts,
                findings=json.loads(findings_to_json(work.findings)),
            )

        return store

    @property
    def _habits_version(self) -> int:
        return self._drafting.habits.version if self._drafting.habits else 0

    def _check(self, record: UploadRecord) -> tuple[Finding, ...]:
        today = self._clock().astimezone(TAIPEI).date()
        return check_record(record, self._drafting.lists.context(today))


def _groups(works: Sequence[_Work], drafts_at_once: int) -> Iterator[list[_Work]]:
    """``works`` in their order, so many drafts together. What brings anything but results has a
    group of its own."""
    group: list[_Work] = []
    size = 0
    for work in works:
        weight = max(1, len(work.drafts)) if work.content in _SHARES_A_COMMIT else drafts_at_once
        if group and size + weight > drafts_at_once:
            yield group
            group, size = [], 0
        group.append(work)
        size += weight
    if group:
        yield group


def _requeue_rivals(connection: Connection, work: _Work) -> int:
    """Who waits because two orders were open may go on when one of them has its result."""
    people = {
        (draft.clinic_code, draft.national_id)
        for draft in work.drafts
        if draft.visit_id is not None and draft.held_reason is None and draft.national_id
    }
    return sum(requeue_rivals(connection, *person, work.receipt_id) for person in sorted(people))


class EndedTheService(LabbrokerError):
    code = "ended-the-service"
    en = (
        "The service ended {deaths} times in a row while it was working on this payload.",
        "Report the fault with the log around it; `labbroker replay` tries it again.",
    )
    zh = (
        "處理此筆內容時，服務已連續中止 {deaths} 次。",
        "請附上當時的紀錄回報；可用 `labbroker replay` 再試一次。",
    )


class UnknownMedia(LabbrokerError):
    code = "unknown-media"
    en = (
        "No reader knows this kind of payload ({media}).",
        "Look at the bytes with `labbroker check`, set the right kind at the source, then replay.",
    )
    zh = (
        "沒有可讀取此類內容（{media}）的程式。",
        "請以 `labbroker check` 檢視內容，修正來源設定後重新處理。",
    )


def _fault(error: Exception) -> Refusal:
    return replace(Refusal.of(LabbrokerError()), text=type(error).__name__)


def _quarantine(receipt_id: int, why: Refusal) -> _Work:
    return _Work(
        receipt_id,
        ReceiptState.QUARANTINED,
        error_code=why.code,
        error_text=why.text,
        error_texts=why.texts,
    )
