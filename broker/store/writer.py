"""The one writer: a thread that commits whatever has gathered, in groups.

Receipts take the short way (one statement for a whole group); everything else is a *job*, a
function of the connection, in a savepoint of its own so that one that fails costs no other.
Nobody is told of success before the commit returned. After an I/O error the writer stops for
good: a later sync that succeeds proves nothing about the pages that were lost.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine

from adapters.ports.intake import Accepted, Payload, StorageUnavailable
from broker.store.dialect import is_shared
from broker.store.gathering import Gathering
from broker.store.postgresql import take_turn
from broker.store.receipts import ReceiptAppender, receipt_row
from broker.store.savepoints import attempt
from broker.store.storage_fault import StorageFault, storage_fault

T = TypeVar("T")

# A commit takes in no more work than this beside its receipts: their senders wait for it.
_WORK_SECONDS = 0.005

ReceiptDone = Callable[[Accepted | StorageUnavailable], None]
_Offered = tuple[Payload, datetime, ReceiptDone]


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[Connection], T]
    future: asyncio.Future[T]


class Writer:
    """Owns the write connection. All methods belong to the event loop's thread.

    ``on_failure`` is called once, on the loop, when an I/O error has ended the writer.
    """

    owns_engine = True
    """:meth:`close` disposes of it."""
    takes_turns = True
    """On a shared store: no other node changes anything while a group of jobs does."""

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._on_failure = on_failure
        self._wake = threading.Condition()
        self._receipts: list[_Offered] = []
        self._jobs: list[_Job[object]] = []
        self._notify_due = False
        self._gathering = Gathering()
        self._is_gathering = False
        self._closing = False
        self.failed = False
        # Kept for good: to take a connection out and give it back costs as much as a small commit.
        self._connection = engine.connect()
        self._shared = is_shared(engine)
        with self._connection.begin():
            self._appender = ReceiptAppender(self._connection)
        self._thread = threading.Thread(target=self._run, name="labbroker-writer", daemon=True)
        self._thread.start()

    def append(self, payload: Payload, received_at: datetime, done: ReceiptDone) -> None:
        """Store a receipt; ``done`` is called on the loop after its commit returned or failed.
        Its digest is made on the writer's thread: the loop has the sockets to serve."""
        if self.failed or self._closing:
            self._loop.call_soon(done, StorageUnavailable(reason="the store is stopped"))
            return
        with self._wake:
            self._receipts.append((payload, received_at, done))
        self._schedule()

    def write(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run ``work`` in the next group; the future is done after the commit returned."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self.failed or self._closing:
            future.set_exception(StorageUnavailable(reason="the store is stopped"))
            return future
        with self._wake:
            self._jobs.append(_Job(work, future))  # type: ignore[arg-type]
        self._schedule()
        return future

    def beside(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """:meth:`write` for what waits for no other node's turn: leases."""
        return self.write(work)

    def call_on_loop(self, function: Callable[[], None]) -> None:
        """For jobs, which run on the writer's thread: call ``function`` on the event loop."""
        self._call(function)

    @property
    def pending(self) -> int:
        """Receipts that wait for their commit."""
        return len(self._receipts)

    def close(self) -> None:
        """Commit what has gathered, stop the thread, close the connection."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._connection.close()
        if self.owns_engine:
            self._engine.dispose()

    def _schedule(self) -> None:
        # One wake-up a turn of the loop, so that all that arrived in it shares a commit.
        if not self._notify_due:
            self._notify_due = True
            self._loop.call_soon(self._notify)

    def _notify(self) -> None:
        self._notify_due = False
        with self._wake:
            if not self._is_gathering or self._has_gathered():
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._receipts or self._jobs or self._closing):
                    self._wake.wait()
                self._gather()
                receipts, self._receipts = self._receipts, []
                jobs, self._jobs = self._jobs, []
            if not receipts and not jobs:
                return
            began = time.monotonic()
            self._commit(receipts, jobs)
            if receipts and not jobs:
                took = time.monotonic() - began
                self._gathering.committed(took, len(receipts), len(self._receipts))

    def _gather(self) -> None:
        patience = self._gathering.patience()
        if patience and self._receipts and not self._has_gathered():
            self._is_gathering = True
            self._gathering.waited(self._wake.wait_for(self._has_gathered, patience))
            self._is_gathering = False

    def _has_gathered(self) -> bool:
        return self._closing or len(self._receipts) >= self._gathering.expected

    def _commit(self, receipts: list[_Offered], jobs: list[_Job[object]]) -> None:
        stored: list[Accepted] | None = None
        outcomes: list[tuple[object, BaseException | None]] = []
        try:
            if self.failed:
                raise StorageUnavailable(reason="the store is stopped")
            connection = self._connection
            if connection.closed:
                connection = self._connection = self._engine.connect()
            rows = [receipt_row(payload, at) for payload, at, _ in receipts]
            with connection.begin():
                stored = self._appender.append(connection, rows)
                if jobs and self._shared and self.takes_turns:
                    # One node at a time changes anything: each sees what the one before it did.
                    take_turn(connection)
                until = time.monotonic() + _WORK_SECONDS
                for job in jobs:
                    outcomes.append(attempt(connection, job.work))
                    if time.monotonic() > until:
                        break
                if self._shared:
                    self._announce(connection, bool(receipts), bool(jobs))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            if stored is None and len(receipts) > 1 and not storage_fault(error):
                # One receipt that cannot be written must not cost its neighbours.
                for receipt in receipts:
                    self._commit([receipt], [])
                self._commit([], jobs)
            elif stored is None and receipts and not storage_fault(error):
                self._refuse_receipt(receipts[0], error)
                self._commit([], jobs)
            else:
                self._refuse(receipts, jobs, error)
            return
        self._put_back(jobs[len(outcomes) :])
        self._call(_settle, receipts, stored, jobs[: len(outcomes)], outcomes)

    def _put_back(self, jobs: list[_Job[object]]) -> None:
        if jobs:
            with self._wake:
                self._jobs[:0] = jobs

    def _refuse_receipt(self, receipt: _Offered, error: Exception) -> None:
        self._appender.reset()
        refusal = StorageUnavailable(reason=f"it cannot be written, {type(error).__name__}")
        self._call(_settle, [receipt], [refusal], [], [])

    def _refuse(
        self,
        receipts: list[_Offered],
        jobs: list[_Job[object]],
        error: Exception,
    ) -> None:
        fault = storage_fault(error) or StorageFault.FATAL
        if fault is StorageFault.FATAL and self._shared:
            # Of what was written nothing is lost in a page cache of ours: PostgreSQL has the disk.
            fault = StorageFault.AWAY
        if fault is StorageFault.FATAL and not self.failed:
            self.failed = True
            if self._on_failure:
                self._call(self._on_failure)
        self._appender.reset()
        # SQLAlchemy sends no ROLLBACK after a COMMIT that failed: the transaction is open still.
        with suppress(Exception):
            self._connection.connection.rollback()
        if fault is StorageFault.AWAY:
            # Another connection for the next group; where none can be made, that one is refused.
            with suppress(Exception):
                self._connection.invalidate()
            with suppress(Exception):
                self._connection.close()
        refusal = StorageUnavailable(reason=fault.value)
        outcomes: list[tuple[object, BaseException | None]] = [(None, refusal) for _ in jobs]
        self._call(_settle, receipts, [refusal] * len(receipts), jobs, outcomes)

    def _announce(self, connection: Connection, receipts: bool, jobs: bool) -> None:
        """Tell the other nodes of what is about to be committed."""

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop is gone: nobody waits any more, and what was committed stays committed.
            return


def _settle(
    receipts: list[_Offered],
    stored: list[Accepted | StorageUnavailable],
    jobs: list[_Job[object]],
    outcomes: list[tuple[object, BaseException | None]],
) -> None:
    for (_, _, done), result in zip(receipts, stored, strict=True):
        done(result)
    for job, (value, error) in zip(jobs, outcomes, strict=True):
        if job.future.cancelled():
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)
