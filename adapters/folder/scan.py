"""One folder, one scan: look, judge, read, store, move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from adapters.folder.claim import WholeFile, move_refused, name_label
from adapters.folder.errors import FileBusy, FolderGone
from adapters.folder.events import EventCode, FolderEvent, Report
from adapters.folder.laying_aside import LaidAside, LayingAside
from adapters.folder.presence import Presence, os_reason
from adapters.folder.survey import BackOff, Ready, Surveyor
from adapters.folder.taking import ReadFile, Taking, batches
from adapters.folder.watched_folder import WatchedFolder
from adapters.ports.intake import Accepted, Door, Intake, Payload, StorageUnavailable
from adapters.ports.unread import UnreadFiles
from mapping.errors import LabbrokerError

_T = TypeVar("_T")


@dataclass(slots=True)
class ScanSummary:
    """Counts of one scan. ``next_seconds`` is when the next one is worth while."""

    taken: int = 0
    duplicates: int = 0
    refused: int = 0
    unread: int = 0
    waiting: int = 0
    faults: int = 0
    next_seconds: float = 0.0


class FolderScan:
    """Scans of one folder. ``clock`` gives monotonic seconds; blocking calls run in a thread of
    this folder's own, so that a share that hangs stops no other folder."""

    def __init__(
        self,
        folder: WatchedFolder,
        intake: Intake,
        report: Report,
        clock: Callable[[], float],
        unread: UnreadFiles,
    ) -> None:
        self.folder = folder
        self.fault: LabbrokerError | None = None
        """What keeps the folder from being read now."""
        self.presence = Presence(folder)
        self._intake = intake
        self._report = report
        self._clock = clock
        self._surveyor = Surveyor(folder)
        self._taking = Taking(folder, clock)
        self._unread = unread
        self._aside = LayingAside(folder)
        self._storage = BackOff()
        self._one_at_a_time = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="folder")

    def close(self) -> None:
        """Let the thread go; a call that hangs in the file system is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def call(self, function: Callable[[], _T]) -> _T:
        """Run a blocking function on the folder's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def scan(self) -> ScanSummary:
        """Look once and handle what is ready. What goes wrong is reported, never raised."""
        async with self._one_at_a_time:
            summary = ScanSummary(next_seconds=self.folder.scan_seconds)
            try:
                for name in await self.call(self._taking.return_late):
                    self._tell(EventCode.LATE_WRITER, name)
                entries = await self.call(self.presence.listing)
            except FolderGone as error:
                self._stop(error, summary)
                return summary
            if isinstance(self.fault, FolderGone):
                self._recover()
            survey = self._surveyor.survey(entries, self._clock())
            summary.waiting = survey.waiting
            for name, code in survey.notices:
                self._tell(code, name)
            for name, refusal in survey.refused:
                await self._refuse(name, refusal, summary)
            await self._take_all(survey.ready, summary)
            await self._lay_aside(summary)
            now = self._clock()
            summary.next_seconds = self._surveyor.next_seconds(now)
            if self._storage.until > now:
                summary.next_seconds = min(summary.next_seconds, self._storage.until - now)
            return summary

    async def _lay_aside(self, summary: ScanSummary) -> None:
        """Files that could not be read after they were taken."""
        try:
            moved = await self.call(self._lay_aside_now)
        except OSError as fault:
            reason = os_reason(fault)
            error = FileBusy(source_id=self.folder.source_id, action="moved", reason=reason)
            summary.faults += 1
            self._tell(EventCode.FAULT, error=error)
            return
        for each in moved:
            summary.unread += 1
            self._tell(EventCode.UNREAD, each.path.name, each.error, each.receipt_id)

    def _lay_aside_now(self) -> list[LaidAside]:
        moved = self._aside.lay_aside(self._unread.unread_of(self.folder.source_id))
        self._taking.follow({each.path: each.target for each in moved})
        return moved

    async def _take_all(self, ready: list[Ready], summary: ScanSummary) -> None:
        if self._storage.until > self._clock():
            summary.waiting += len(ready)
            return
        if not ready and isinstance(self.fault, StorageUnavailable):
            self._recover()
        left = len(ready)
        for batch in batches(ready):
            if not await self._take(batch, summary):
                break
            left -= len(batch)
        summary.waiting += left

    async def _take(self, batch: list[Ready], summary: ScanSummary) -> bool:
        """Read, store and move one batch. False: the store is down, the rest need not be tried."""
        reads = await self.call(lambda: self._taking.read(batch))
        stored, unavailable = await self._store(reads, summary)
        await self._move(stored, summary)
        for read in reads:
            if isinstance(read.error, LabbrokerError):
                await self._refuse(read.ready.name, read.error, summary)
            elif read.error is not None:
                self._postpone(read.ready.name, read.error, "read", summary)
            elif read.file is None:
                summary.waiting += 1
        if unavailable is not None:
            self._storage.lengthen(self._clock())
            self._stop(unavailable, summary)
            return False
        self._storage = BackOff()
        if stored and self.fault is not None:
            self._recover()
        return True

    async def _store(
        self, reads: list[ReadFile], summary: ScanSummary
    ) -> tuple[list[tuple[Ready, WholeFile, Accepted]], StorageUnavailable | None]:
        """Offer all at once, in order, so that one commit may take them all."""
        files = [(read, read.file) for read in reads if read.file is not None]
        outcomes = await asyncio.gather(
            *(self._offer(self._payloads(read, file)) for read, file in files),
            return_exceptions=True,
        )
        stored: list[tuple[Ready, WholeFile, Accepted]] = []
        unavailable: StorageUnavailable | None = None
        for (read, file), outcome in zip(files, outcomes, strict=True):
            ready = read.ready
            if isinstance(outcome, Accepted):
                stored.append((ready, file, outcome))
            elif isinstance(outcome, StorageUnavailable):
                unavailable = outcome
            elif isinstance(outcome, Exception):
                self._postpone(ready.name, outcome, "stored", summary)
            else:
                raise outcome
        return stored, unavailable

    def _payloads(self, read: ReadFile, file: WholeFile) -> list[Payload]:
        source_id = self.folder.source_id
        if not read.members:
            return [Payload(source_id, Door.FOLDER, read.media, file.raw, name=file.label)]
        return [
            Payload(
                source_id,
                Door.FOLDER,
                member.media,
                member.raw,
                name=f"{file.label}/{name_label(member.name)}",
            )
            for member in read.members
        ]

    async def _offer(self, payloads: list[Payload]) -> Accepted:
        """Store all payloads of a file. It is a duplicate where each of them was there before.
        Raises the first error: what was stored then is found again as a duplicate."""
        accepted = await asyncio.gather(
            *(self._intake.receive(each) for each in payloads), return_exceptions=True
        )
        for outcome in accepted:
            if isinstance(outcome, BaseException):
                raise outcome
        taken = [each for each in accepted if isinstance(each, Accepted)]
        new = [each for each in taken if not each.duplicate]
        self._aside.look_again(each.receipt_id for each in taken)
        for each in taken[1:]:
            self._intake.acknowledged(each.receipt_id, True)
        return Accepted(taken[0].receipt_id, duplicate=not new)

    async def _move(
        self, stored: list[tuple[Ready, WholeFile, Accepted]], summary: ScanSummary
    ) -> None:
        if not stored:
            return
        errors = await self.call(lambda: self._taking.move(stored))
        for (ready, _, accepted), error in zip(stored, errors, strict=True):
            if error is not None:
                self._postpone(ready.name, error, "moved", summary)
                continue
            self._intake.acknowledged(accepted.receipt_id, True)
            if accepted.duplicate:
                summary.duplicates += 1
            else:
                summary.taken += 1
            code = EventCode.DUPLICATE if accepted.duplicate else EventCode.TAKEN
            self._tell(code, ready.name, receipt_id=accepted.receipt_id)

    async def _refuse(self, name: str, error: LabbrokerError, summary: ScanSummary) -> None:
        path, refused = self.folder.path / name, self.folder.refused
        try:
            await self.call(lambda: move_refused(path, refused, error))
        except OSError as fault:
            self._postpone(name, fault, "moved", summary)
            return
        summary.refused += 1
        self._tell(EventCode.REFUSED, name, error)

    def _postpone(self, name: str, error: Exception, action: str, summary: ScanSummary) -> None:
        summary.faults += 1
        self._surveyor.postpone(name, self._clock())
        if not isinstance(error, LabbrokerError):
            reason = os_reason(error) if isinstance(error, OSError) else type(error).__name__
            error = FileBusy(source_id=self.folder.source_id, action=action, reason=reason)
        self._tell(EventCode.FAULT, name, error)

    def _stop(self, error: LabbrokerError, summary: ScanSummary) -> None:
        summary.faults += 1
        if self.fault is None or self.fault.code != error.code:
            self._tell(EventCode.FAULT, error=error)
        self.fault = error

    def _recover(self) -> None:
        self.fault = None
        self._tell(EventCode.RECOVERED)

    def _tell(
        self,
        code: EventCode,
        name: str = "",
        error: LabbrokerError | None = None,
        receipt_id: int | None = None,
    ) -> None:
        label = name_label(name)
        self._report(FolderEvent(self.folder.source_id, code, label, error, receipt_id))
