"""Scheduler, sealer and submission on a real store, a clock that tests move, and sudden deaths."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, func, select

from adapters.ports.intake import Door, Media, Payload
from broker.deadline_watch import DeadlineWatch
from broker.drafting import Draft
from broker.intake import DurableIntake
from broker.opening_hours import OpeningHours
from broker.packages import Sealer
from broker.scheduler import Scheduler
from broker.states import ReceiptState
from broker.store.engine import open_reader, open_writer
from broker.store.packages import next_package_at, recover_packages
from broker.store.ready_records import ready_overview
from broker.store.receipts import finish_receipt, open_receipts
from broker.store.records import store_drafts
from broker.store.schema import attempt, file_serial, package, record
from broker.store.writer import Writer
from broker.submission import Submission, Uploader
from mapping.record import UploadRecord, record_from_json, record_to_json
from mapping.rules import RuleContext, check_record
from tests.integration.scripted_gateway import Death, Hook, never
from tests.stores import store_at
from tests.unit.upload_samples import UPLOAD_DAY, valid_record

T = TypeVar("T")

CLINIC = "3501234567"
NOW = datetime(2025, 2, 4, 4, 0, tzinfo=UTC)
SETTLE = timedelta(minutes=30)
POLL = timedelta(minutes=5)


@dataclass(slots=True)
class Clock:
    """The wall clock, which may be set, and the time that really passes."""

    wall: datetime = NOW
    elapsed: float = 0.0

    def __call__(self) -> datetime:
        return self.wall

    def pass_time(self, span: timedelta) -> None:
        self.wall += span
        self.elapsed += span.total_seconds()

    def true_time(self) -> datetime:
        """What a clock that nobody sets shows, for the gateway."""
        return NOW + timedelta(seconds=self.elapsed)


class MortalWriter(Writer):
    """A writer whose process may die before a write is asked for, or after its commit."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(engine, loop)
        self.hook: Hook = never

    def write(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        self.hook("before a commit")
        return asyncio.ensure_future(self._survived(super().write(work)))

    async def _survived(self, future: asyncio.Future[T]) -> T:
        result = await future
        self.hook("after a commit")
        return result


@dataclass(slots=True)
class Told:
    """One order of one made-up person, as it was told last."""

    national_id: str
    institution: str
    value: str
    version: int = 1


@dataclass
class SubmissionStage:
    """What a running broker has between *ready* and *accepted*. :meth:`restart` after a death."""

    folder: Path
    uploaders: Mapping[str, Uploader]
    clock: Clock = field(default_factory=Clock)
    hook: Hook = never
    wait: timedelta = timedelta(0)
    settle: timedelta = SETTLE
    max_records: int = 1000
    hours: Mapping[str, OpeningHours] = field(default_factory=dict)
    make: Callable[[Told, dict[str, str]], UploadRecord] = lambda told, row: record_of_told(
        told, row
    )
    told: dict[str, Told] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def start(self) -> None:
        """As the service starts: recovery before any work."""
        self.writer = MortalWriter(open_writer(store_at(self.folder)), asyncio.get_running_loop())
        self.reader = open_reader(store_at(self.folder))
        await self.writer.write(lambda c: recover_packages(c, self.clock()))
        self.writer.hook = self.hook
        sealer = Sealer(
            self.writer, self.reader, self.folder / "packages", self.clock, self.max_records
        )
        self.package_path = sealer.path
        self.submission = Submission(
            self.writer,
            self.uploaders,
            sealer.path,
            self.clock,
            poll=POLL,
            settle=self.settle,
            send_timeout=5,
            elapsed=lambda: self.clock.elapsed,
        )
        self.scheduler = Scheduler(
            self.writer,
            self.reader,
            sealer,
            self.submission,
            self.clock,
            wait=self.wait,
            press=timedelta(hours=2),
            hours=self.hours,
        )
        self.watch = DeadlineWatch(self.writer, self.reader, self.clock, self.hours)

    def end(self) -> None:
        """What is left of a process that is gone: nothing but its files."""
        self.writer.hook = never
        self.writer.close()
        self.reader.dispose()

    async def restart(self) -> None:
        self.end()
        await self.start()

    async def tell(
        self,
        count: int = 1,
        institution: str = CLINIC,
        change: Callable[[int, dict[str, str]], dict[str, str]] = lambda _, row: row,
    ) -> list[str]:
        """Let ``count`` new results become ready; the national ids of their people."""
        drafts = []
        people = []
        for _ in range(count):
            number = next(self.numbers)
            told = Told(made_up_id(number), institution, f"{number % 90 + 10}.5")
            self.told[told.national_id] = told
            people.append(told.national_id)
            drafts.append(self._draft(told, change(number, {})))
        await self._store(drafts)
        return people

    async def correct(self, national_id: str) -> None:
        """Let another value of a known order come in."""
        told = self.told[national_id]
        told.version += 1
        told.value = f"{100 + told.version}.5"
        await self._store([self._draft(told, {})])

    async def turn(self) -> None:
        """One round of the scheduler, and what a woken pipeline would do."""
        await self.scheduler.work_once()
        await self.read_again()

    async def read_again(self) -> None:
        """Receipts whose corrections were released."""
        with self.reader.connect() as connection:
            rows = open_receipts(connection, 0, 1000)
        for row in rows:
            drafts = self._drafts_of(row.raw)
            await self.writer.write(lambda c, r=row, d=drafts: self._keep(c, r.id, d))  # type: ignore[misc]

    async def run(self, limit: timedelta = timedelta(days=3)) -> None:
        """Work, jumping to the next moment that wants something, until nothing does."""
        until = self.clock.elapsed + limit.total_seconds()
        while self.clock.elapsed < until:
            await self.turn()
            at = self._next_at()
            if at is None:
                return
            self.clock.pass_time(max(at - self.clock.wall, timedelta(seconds=1)))
        raise AssertionError(f"not at rest: {self.packages()} {self.states()}")

    async def run_until_dead(self) -> bool:
        """True when a :class:`Death` ended the run, False when it came to rest."""
        try:
            await self.run()
        except Death:
            return True
        return False

    def rows(self, table: Any) -> list[Any]:
        with self.reader.connect() as connection:
            return list(connection.execute(select(table).order_by(table.c.id)).all())

    def states(self) -> list[str]:
        return [
            f"held:{row.held_reason}" if row.state == "held" else row.state
            for row in self.rows(record)
        ]

    def packages(self) -> list[str]:
        return [row.state for row in self.rows(package)]

    def outcomes(self) -> list[tuple[str, str]]:
        return [(row.kind, row.outcome) for row in self.rows(attempt)]

    def last_serials(self) -> dict[tuple[str, str], int]:
        with self.reader.connect() as connection:
            return {
                (row.institution_code, row.upload_on.isoformat()): row.last_serial
                for row in connection.execute(select(file_serial))
            }

    def record_count(self) -> int:
        with self.reader.connect() as connection:
            return connection.execute(select(func.count()).select_from(record)).scalar_one()

    def _next_at(self) -> datetime | None:
        with self.reader.connect() as connection:
            if ready_overview(connection):
                return self.clock.wall
            return next_package_at(connection)

    def _draft(self, told: Told, row: dict[str, str]) -> Draft:
        item = self.make(told, row)
        return _draft_of(f"{told.national_id}/{told.version}", item, self.clock())

    async def _store(self, drafts: Sequence[Draft]) -> None:
        raw = json.dumps(
            [[draft.slot, record_to_json(draft.record)] for draft in drafts if draft.record]
        ).encode()
        intake = DurableIntake(self.writer, lambda: None, self.clock)
        payload = Payload("lab", Door.MLLP, Media.HL7V2, raw, raw.hex()[:40])
        accepted = await intake.receive(payload)
        # Read back: what a crash leaves is a stored receipt that is read again.
        await self.writer.write(lambda c: self._keep(c, accepted.receipt_id, drafts))

    def _drafts_of(self, raw: bytes) -> list[Draft]:
        return [
            _draft_of(slot, record_from_json(plain), self.clock())
            for slot, plain in json.loads(raw)
        ]

    def _keep(self, connection: Connection, receipt_id: int, drafts: Iterable[Draft]) -> None:
        store_drafts(connection, receipt_id, list(drafts), self.clock(), _check)
        finish_receipt(connection, receipt_id, ReceiptState.PARSED)


def record_of_told(told: Told, row: dict[str, str]) -> UploadRecord:
    """The valid sample record with this person and value; later versions are reported later."""
    return valid_record(
        {"h2": told.institution, "h9": told.national_id},
        {"r4": told.value, "r10": f"1140203{1510 + told.version:04d}00", **row},
    )


def made_up_id(number: int) -> str:
    """``number`` as a valid national id (A, male)."""
    digits = f"1{number:07d}"
    total = 1 + 0 * 9
    total += sum(int(digit) * weight for digit, weight in zip(digits, range(8, 0, -1), strict=True))
    return f"A{digits}{-total % 10}"


def standing(ledger: dict[str, Any]) -> dict[str, str]:
    """The value that NHI holds for each person."""
    return {item["key"][8]: item["rows"][0]["r4"] for item in ledger["accepted"]}


def _draft_of(slot: str, item: UploadRecord, now: datetime) -> Draft:
    started_at = now
    return Draft(
        slot=slot,
        place="test",
        order_identity=f"order of {item.value('h9')}",
        order_code=item.value("h15"),
        lab_code="JY99900001",
        clinic_code=item.value("h2"),
        national_id=item.value("h9"),
        uploader_code=item.value("h2"),
        record=item,
        clock_started_at=started_at,
        due_at=started_at + timedelta(hours=24),
    )


def _check(item: UploadRecord) -> Any:
    return check_record(item, RuleContext(today=UPLOAD_DAY))
