"""The folder door: every watched folder is scanned on its own, woken by the file system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adapters.folder.errors import FolderConflict, FolderGone
from adapters.folder.events import EventCode, FolderEvent, Report, log_event
from adapters.folder.presence import overlap
from adapters.folder.scan import FolderScan, ScanSummary
from adapters.folder.wakeup import Wakeup
from adapters.folder.watched_folder import WatchedFolder
from adapters.ports.intake import Intake
from adapters.ports.unread import AllReadable, UnreadFiles
from mapping.errors import LabbrokerError

# A writer wakes us with every block it writes: look at most this often.
_LEAST_PAUSE_SECONDS = 0.2


class FolderDoor:
    """Watches ``folders`` and hands whole files to ``intake``.

    ``report`` hears of everything that was taken, refused or stopped (on the event loop's thread).
    ``unread`` tells which taken files turned out to be unreadable: they leave ``done``.
    Raises FolderConflict where two folders overlap.
    """

    def __init__(
        self,
        intake: Intake,
        folders: Sequence[WatchedFolder],
        *,
        report: Report = log_event,
        clock: Callable[[], float] = time.monotonic,
        unread: UnreadFiles | None = None,
    ) -> None:
        for index, one in enumerate(folders):
            for other in folders[:index]:
                if overlap(one.path, other.path):
                    raise FolderConflict(first=other.source_id, second=one.source_id)
        self._intake = intake
        self._folders = tuple(folders)
        self._report = report
        self._clock = clock
        self._unread = unread or AllReadable()
        self._scans: tuple[FolderScan, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def faults(self) -> Mapping[Path, LabbrokerError]:
        """The folders that cannot be read now, and why."""
        return {scan.folder.path: scan.fault for scan in self._scans if scan.fault is not None}

    async def start(self) -> None:
        """Begin to watch. A folder that is not there is a fault to report, not an error."""
        self._open()
        self._tasks = [asyncio.create_task(self._run(scan)) for scan in self._scans]

    async def stop(self) -> None:
        """Stop watching. What is stored but not moved yet is found again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for scan in self._scans:
            scan.close()
        self._scans = ()

    async def scan_once(self) -> ScanSummary:
        """Scan every folder once, side by side. Files count as whole only after a second scan."""
        self._open()
        total = ScanSummary()
        for summary in await asyncio.gather(*(self._scan(scan) for scan in self._scans)):
            total.taken += summary.taken
            total.duplicates += summary.duplicates
            total.refused += summary.refused
            total.unread += summary.unread
            total.waiting += summary.waiting
            total.faults += summary.faults
            total.next_seconds = min(
                total.next_seconds or summary.next_seconds, summary.next_seconds
            )
        return total

    def _open(self) -> None:
        if not self._scans:
            self._scans = tuple(
                FolderScan(folder, self._intake, self._report, self._clock, self._unread)
                for folder in self._folders
            )

    async def _run(self, scan: FolderScan) -> None:
        woken = asyncio.Event()
        wakeup = Wakeup(asyncio.get_running_loop(), woken)
        folder, armed = scan.folder, None
        try:
            while True:
                woken.clear()
                summary = await self._scan(scan)
                if scan.fault is None and armed != scan.presence.identity:
                    armed = scan.presence.identity
                    await asyncio.to_thread(
                        wakeup.arm, folder.path, folder.polling, folder.scan_seconds
                    )
                await asyncio.sleep(_LEAST_PAUSE_SECONDS)
                await _wait(woken, summary.next_seconds - _LEAST_PAUSE_SECONDS)
        finally:
            await asyncio.to_thread(wakeup.disarm)

    async def _scan(self, scan: FolderScan) -> ScanSummary:
        try:
            return await scan.scan()
        except Exception as error:  # noqa: BLE001 - one folder's fault must stop no other folder
            source_id = scan.folder.source_id
            # The text of an unforeseen error may quote a patient's data: its type must do.
            fault = FolderGone(source_id=source_id, reason=f"unexpected {type(error).__name__}")
            self._report(FolderEvent(source_id, EventCode.FAULT, error=fault))
            return ScanSummary(faults=1, next_seconds=scan.folder.scan_seconds)


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await woken.wait()
    except TimeoutError:
        return
