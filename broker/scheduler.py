"""What to seal and send next: earliest due first, waking on the next due time.

Nothing is polled: the scheduler sleeps until the next record wants sealing or the next package
wants something done, and is woken when a record becomes ready. An institution whose card is away,
or whose gateway is closed, waits until both can be used; what is ready leaves before they close.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Engine

from adapters.ports.intake import StorageUnavailable
from broker.deadline import seal_at
from broker.lateness import FAR, part_horizon
from broker.logs import log_event
from broker.nodes import Hold, Node
from broker.opening_hours import ALWAYS, OpeningHours
from broker.packages import Sealer
from broker.store.leases import LeaseLost
from broker.store.packages import (
    SerialsUsedUp,
    due_packages,
    get_package,
    look_again_at,
    look_at_all,
    next_package_at,
)
from broker.store.ready_records import ReadyGroup, ready_overview
from broker.store.rows import AnyRow
from broker.store.writer import Writer
from broker.submission import Submission

_log = logging.getLogger(__name__)
_SERIALS_RETRY = timedelta(minutes=10)
_FAULT_RETRY = timedelta(minutes=1)
# A correction's h16 must be another second than the one that stands.
_AGAIN = timedelta(seconds=1)
# How long another node's institution is left alone; its commits wake this one earlier.
_ELSEWHERE = timedelta(seconds=2)
_STORE_PAUSE_SECONDS = 5.0
# The wall clock may be set, which a sleep does not see.
_LOOK_EVERY = timedelta(minutes=1)
_CLOCK_SET_BACK = timedelta(minutes=1)

PartsBefore = Callable[[str], datetime]
"""For an institution: parts of orders that are due before this leave now."""


class Scheduler:
    """Seals and moves packages. ``clock`` gives aware UTC; ``hours`` says for an institution when
    its packages can be sent, always where it is not named. Of an order some lines of which are
    still to come, what there is leaves ``parts_ahead`` of its last chance (``press`` where None).
    ``node`` keeps two brokers on one store from working for the same institution, and of those
    only what it ``serves`` is its concern. ``can_send`` says whether the institution's card is at
    this node: else whichever node has it sends, and until then nobody claims anything."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        sealer: Sealer,
        submission: Submission,
        clock: Callable[[], datetime],
        *,
        wait: timedelta,
        press: timedelta,
        parts_ahead: timedelta | None = None,
        hours: Mapping[str, OpeningHours] | None = None,
        node: Node | None = None,
        serves: Collection[str] | None = None,
        can_send: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._sealer = sealer
        self._submission = submission
        self._clock = clock
        self._wait = wait
        self._press = press
        self._parts_ahead = press if parts_ahead is None else parts_ahead
        self._hours = {
            code: each for code, each in (hours or {}).items() if not each.is_always_open
        }
        self._node = node or Node()
        self._serves = None if serves is None else frozenset(serves)
        self._can_send = can_send
        self._elsewhere: dict[str, datetime] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._blocked_until: dict[str, datetime] = {}
        self._looked_at: datetime | None = None
        self._senders: dict[str, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """A record became ready or a package wants attention."""
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run` after the step that has begun: a send is never cut off by a stop."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until :meth:`stop`, then let the sends that have begun end."""
        while not self._stopping:
            self._wake.clear()
            try:
                await self._heed_clock()
                overview = await self._seal_due()
                self._start_senders()
            except StorageUnavailable as error:
                await self._pause(error)
                continue
            await self._sleep_until(self._next_at(overview))
        await asyncio.gather(*self._senders.values())

    async def work_once(self) -> None:
        """Seal all that is due for sealing, then move each package that wants it, to the end.

        Raises ``StorageUnavailable``; what had begun is taken up again by the next call.
        """
        await self._heed_clock()
        await self._seal_due()
        await asyncio.gather(*(self._work_off(*each) for each in self._due().items()))

    def _due(self) -> dict[str, list[AnyRow]]:
        """Packages that want something done, by institution, the earliest due records first."""
        with self._reader.connect() as connection:
            rows = due_packages(connection, self._clock())
        away = {*self._closed(), *self._held_elsewhere(), *self._cards_elsewhere()}
        by_institution: dict[str, list[AnyRow]] = {}
        for row in rows:
            if row.institution_code not in away and self._is_served(row.institution_code):
                by_institution.setdefault(row.institution_code, []).append(row)
        return by_institution

    def _is_served(self, institution: str) -> bool:
        return self._serves is None or institution in self._serves

    def _cards_elsewhere(self) -> set[str]:
        """Institutions whose card is at another node, or at none: this one is woken when it
        comes here."""
        return {code for code in self._serves or () if not self._can_send(code)}

    def _held_elsewhere(self) -> dict[str, datetime]:
        """Institutions for which another node works, and when to ask again."""
        now = self._clock()
        self._elsewhere = {
            code: at for code, at in self._elsewhere.items() if now < at <= now + _ELSEWHERE
        }
        return self._elsewhere

    async def _hold(self, institution: str) -> Hold | None:
        """None, and nothing more of it for a while, where another node works for it."""
        hold = await self._node.take(f"send:{institution}")
        if hold is None:
            self._elsewhere[institution] = self._clock() + _ELSEWHERE
        return hold

    def _closed(self) -> dict[str, datetime]:
        """Institutions that cannot send now, and when they can."""
        now = self._clock()
        return {
            code: hours.next_open(now) or FAR
            for code, hours in self._hours.items()
            if not hours.is_open(now)
        }

    def _start_senders(self) -> None:
        """One sender for a credential at a time; a gateway that hangs for one institution stops
        no other."""
        for institution, rows in self._due().items():
            if institution not in self._senders:
                self._senders[institution] = asyncio.create_task(self._send(institution, rows))

    async def _send(self, institution: str, rows: list[AnyRow]) -> None:
        try:
            await self._work_off(institution, rows)
        except StorageUnavailable as error:
            await self._pause(error)
        finally:
            del self._senders[institution]
            self._wake.set()

    async def _work_off(self, institution: str, rows: list[AnyRow]) -> None:
        hold = await self._hold(institution)
        if hold is None:
            return
        try:
            for row in rows:
                if self._stopping:
                    return
                if self._node.is_shared and not self._is_still_due(row):
                    continue
                await self._advance(row, hold)
        finally:
            await self._node.give_back(hold)

    def _is_still_due(self, row: AnyRow) -> bool:
        """Another node may have worked on it until a moment ago."""
        with self._reader.connect() as connection:
            return get_package(connection, row.id) == row

    async def _advance(self, row: AnyRow, hold: Hold) -> None:
        """One step of one package; a fault of the program there stops no other package."""
        try:
            await self._submission.advance(row, hold.require)
        except StorageUnavailable:
            raise
        except LeaseLost as error:
            # Whoever has taken over asks what became of it.
            log_event(_log, "lease.lost", level=logging.WARNING, reason=hold.kind, error=error)
        except Exception as error:  # noqa: BLE001 - what it left is taken over when it is due again
            log_event(_log, "service.fault", level=logging.ERROR, error=error)
            at = self._clock() + _FAULT_RETRY
            await self._writer.write(lambda c: look_again_at(c, row.id, at))

    async def _heed_clock(self) -> None:
        """Waits were reckoned on a clock that has been set back since: look at everything."""
        now = self._clock()
        if self._looked_at is not None and self._looked_at - now > _CLOCK_SET_BACK:
            self._blocked_until.clear()
            await self._writer.write(lambda c: look_at_all(c, now))
        self._looked_at = now

    async def _seal_due(self) -> list[ReadyGroup] | None:
        """What is ready, where nothing of it had to be sealed: it still is so."""
        now = self._clock()
        parts_before = self._parts_before(now)
        with self._reader.connect() as connection:
            overview = ready_overview(connection, parts_before)
        times = self._seal_times(overview, now, parts_before)
        if all(at > now for at in times):
            return overview
        for row, at in zip(overview, times, strict=True):
            if at > now:
                continue
            institution = row.uploader_code
            hold = await self._hold(institution)
            if hold is None:
                continue
            try:
                package_id = await self._sealer.seal(
                    institution, hold.require, parts_before(institution)
                )
            except (StorageUnavailable, LeaseLost) as error:
                if isinstance(error, StorageUnavailable):
                    raise
                continue
            except Exception as error:  # noqa: BLE001 - one institution's fault stops no other
                used_up = isinstance(error, SerialsUsedUp)
                self._blocked_until[institution] = now + (
                    _SERIALS_RETRY if used_up else _FAULT_RETRY
                )
                log_event(
                    _log,
                    "package.failed",
                    level=logging.ERROR,
                    error=error,
                    institution=institution,
                )
                continue
            finally:
                await self._node.give_back(hold)
            if package_id is None:
                self._blocked_until[institution] = now + _AGAIN
            else:
                log_event(_log, "package.sealed", package_id=package_id, institution=institution)
        return None

    def _parts_before(self, now: datetime) -> PartsBefore:
        """For an institution: parts of orders that are due before this leave now."""

        @cache
        def horizon(hours: OpeningHours) -> datetime:
            if not hours.is_open(now):
                return now
            return part_horizon(now, hours, ahead=self._parts_ahead, margin=self._press)

        always = horizon(ALWAYS)

        def parts_before(institution: str) -> datetime:
            hours = self._hours.get(institution)
            return always if hours is None else horizon(hours)

        return parts_before

    def _seal_times(
        self, overview: Sequence[ReadyGroup], now: datetime, parts_before: PartsBefore
    ) -> list[datetime]:
        """When each of ``overview`` is to be sealed."""
        elsewhere = self._held_elsewhere()
        times = []
        for row in overview:
            code = row.uploader_code
            at = self._time_by_clock(row, now, parts_before)
            if not self._is_served(code):
                at = FAR
            if code in elsewhere:
                at = max(at, elsewhere[code])
            if code in self._blocked_until:
                at = max(at, self._blocked_until[code])
            times.append(at)
        return times

    def _time_by_clock(self, row: ReadyGroup, now: datetime, parts_before: PartsBefore) -> datetime:
        hours = self._hours.get(row.uploader_code)
        if hours is not None and not hours.is_open(now):
            return hours.next_open(now) or FAR
        at = FAR
        if row.ready_at is not None:
            # Ready in the future: the clock was set back since.
            ready_at = min(row.ready_at, now)
            at = seal_at(ready_at, row.due_at or ready_at, self._wait, self._press)
            if hours is not None and at >= (hours.closes_at(now) or FAR):
                # The card leaves before the wait for company ends.
                at = ready_at
        if row.part_due_at is not None:
            presses = row.part_due_at < parts_before(row.uploader_code)
            at = min(at, now if presses else now + _LOOK_EVERY)
        return at

    def _next_at(self, overview: list[ReadyGroup] | None = None) -> datetime | None:
        """When there is something to do next. ``overview`` is what is ready, where it is known."""
        now = self._clock()
        parts_before = self._parts_before(now)
        closed = {**self._closed(), **self._held_elsewhere()}
        with self._reader.connect() as connection:
            if overview is None:
                overview = ready_overview(connection, parts_before)
            times = self._seal_times(overview, now, parts_before)
            busy = {*self._senders, *closed, *self._cards_elsewhere()}
            package_at = next_package_at(connection, busy, self._serves)
        if package_at is not None:
            times.append(package_at)
        times += closed.values()
        return min(times, default=None)

    async def _pause(self, error: StorageUnavailable) -> None:
        """A full disk passes; the doors refuse meanwhile, and nothing is forgotten."""
        log_event(_log, "store.unavailable", level=logging.ERROR, error=error)
        try:
            async with asyncio.timeout(_STORE_PAUSE_SECONDS):
                while not self._stopping:
                    await self._wake.wait()
                    self._wake.clear()
        except TimeoutError:
            return

    async def _sleep_until(self, at: datetime | None) -> None:
        seconds = _LOOK_EVERY.total_seconds()
        if at is not None:
            seconds = min(seconds, max(0.0, (at - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
