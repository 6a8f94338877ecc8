"""What to seal and send next: earliest due first, waking on the next due time.

Nothing is polled: the scheduler sleeps until the next record wants sealing or the next package
wants something done, and is woken when a record becomes ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Engine

from broker.deadline import seal_at
from broker.logs import log_event
from broker.packages import Sealer
from broker.store.packages import (
    SerialsUsedUp,
    due_packages,
    next_package_at,
    ready_overview,
)
from broker.submission import Submission

_log = logging.getLogger(__name__)
_RETRY = timedelta(minutes=10)


class Scheduler:
    """Seals and moves packages. ``clock`` gives aware UTC."""

    def __init__(
        self,
        reader: Engine,
        sealer: Sealer,
        submission: Submission,
        clock: Callable[[], datetime],
        *,
        wait: timedelta,
        press: timedelta,
    ) -> None:
        self._reader = reader
        self._sealer = sealer
        self._submission = submission
        self._clock = clock
        self._wait = wait
        self._press = press
        self._wake = asyncio.Event()
        self._stopping = False
        self._blocked_until: dict[str, datetime] = {}

    def wake(self) -> None:
        """A record became ready or a package wants attention."""
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run` after the step that has begun: a send is never cut off by a stop."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until :meth:`stop`."""
        while not self._stopping:
            self._wake.clear()
            await self.work_once()
            if not self._stopping:
                await self._sleep_until(self._next_at())

    async def work_once(self) -> None:
        """Seal all that is due for sealing, then move each package that wants it."""
        await self._seal_due()
        with self._reader.connect() as connection:
            rows = due_packages(connection, self._clock())
        by_institution: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            by_institution.setdefault(row.institution_code, []).append(index)

        async def work_off(indexes: list[int]) -> None:
            # One sender for a credential at a time; institutions go side by side.
            for index in indexes:
                if self._stopping:
                    return
                await self._submission.advance(rows[index])

        await asyncio.gather(*(work_off(indexes) for indexes in by_institution.values()))

    async def _seal_due(self) -> None:
        now = self._clock()
        with self._reader.connect() as connection:
            overview = ready_overview(connection)
        for row in overview:
            if self._seal_time(row.uploader_code, row.ready_at, row.due_at) > now:
                continue
            try:
                package_id = await self._sealer.seal(row.uploader_code)
            except SerialsUsedUp as error:
                self._blocked_until[row.uploader_code] = now + _RETRY
                log_event(
                    _log,
                    "package.failed",
                    reason=error.code,
                )
                continue
            if package_id is not None:
                log_event(_log, "package.sealed", package_id=package_id)

    def _seal_time(self, institution: str, ready_at: datetime, due: datetime) -> datetime:
        at = seal_at(ready_at, due, self._wait, self._press)
        return max(at, self._blocked_until.get(institution, at))

    def _next_at(self) -> datetime | None:
        with self._reader.connect() as connection:
            times = [
                self._seal_time(row.uploader_code, row.ready_at, row.due_at)
                for row in ready_overview(connection)
            ]
            package_at = next_package_at(connection)
        if package_at is not None:
            times.append(package_at)
        return min(times, default=None)

    async def _sleep_until(self, at: datetime | None) -> None:
        # A look once a minute at the latest: the wall clock may be set, a sleep does not see it.
        seconds = 60.0
        if at is not None:
            seconds = min(seconds, max(0.0, (at - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
