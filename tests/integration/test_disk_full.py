"""A full or sick disk: refused, never lied about, and no harm to what is there.

Full: SQLite says so from a real limit of pages, and a driver says so at each single statement and
commit. Sick: the same with an I/O error, and a real process whose files may not grow.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from adapters.hl7.client import NotAcknowledged, connect
from adapters.ports.intake import Accepted, Door, Media, Payload, StorageUnavailable
from broker.bootstrap.service import Broker
from broker.config import load_settings
from broker.demo.messages import Line, Times, bundle, oru
from broker.demo.people import PEOPLE
from broker.demo.senders import drop_file
from broker.intake import DurableIntake
from broker.store.engine import is_intact, open_reader, open_writer
from broker.store.overview import has_open_receipts
from broker.store.receipts import list_receipts
from broker.store.schema import package, receipt
from broker.store.writer import Writer
from tests.acceptance.running_service import TOKEN, Ground, Service, no_child_left
from tests.integration.broker_stage import NOW
from tests.integration.submission_play import Play

TIMES = Times.before(NOW)
LINE = Line("GLU", "Glucose AC", "NM", "92", "mg/dL", "70-99")


def message(number: int, padding: int = 2000) -> bytes:
    raw = oru(str(number), PEOPLE[0], "09005C^^NHI", f"H{number:07d}", (LINE,), TIMES)
    return raw + b"NTE|1||" + b"x" * padding + b"\r"


# The whole service on a full disk


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[tuple[Broker, Ground]]:
    ground = Ground(folder)
    ground.write_settings("http://127.0.0.1:1")
    broker = Broker(load_settings(ground.settings_file, {}), environ={})
    await broker.start()
    try:
        yield broker, ground
    finally:
        await broker.stop()


async def limit_pages(broker: Broker, more: int) -> None:
    def limit(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + more}")

    await broker._writer.write(limit)


async def post(broker: Broker, raw: bytes) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/fhir+json"}
    url = f"http://127.0.0.1:{broker.http_port}/fhir"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=raw, headers=headers) as answer,
    ):
        return answer.status, answer.headers.get("Retry-After", "")


def fhir(number: int) -> bytes:
    raw = bundle(
        f"B{number}", PEOPLE[1], "09005C", "Glucose", TIMES,
        value="92", unit="mg/dL", low="70", high="99",
    )  # fmt: skip
    return raw.replace(b'"resourceType": "Bundle"', b'"resourceType": "Bundle"' + b" " * 9000, 1)


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the state is in files
            await asyncio.sleep(0.05)


async def test_a_full_disk_is_refused_at_every_door_and_passes_by_itself(tmp_path: Path) -> None:
    async with service(tmp_path) as (broker, ground):
        accepted: list[int] = []
        refused: list[int] = []
        async with await connect("127.0.0.1", broker.mllp_port) as client:
            assert (await client.send(message(0))).code == "AA"
            await eventually(lambda: not _open_receipts(broker))
            await limit_pages(broker, 12)
            for number in range(1, 40):
                answer = await client.send(message(number))
                (accepted if answer.accepted else refused).append(number)
                if not answer.accepted:
                    assert answer.code == "AE"
            assert refused
            status, retry_after = await post(broker, fhir(1))
            assert (status, retry_after) == (503, "30")
            csv = b"national_id,order_code,value\n" + b"A123456789,09005C,5\n" * 900
            drop_file(ground.lab_inbox, "a.csv", csv)
            await asyncio.sleep(2)
            assert (ground.lab_inbox / "a.csv").exists()
            assert stored_controls(broker) >= {str(number) for number in accepted}
            assert not stored_controls(broker) & {str(number) for number in refused}
            assert broker.exit_code == 0
            await limit_pages(broker, 1_000_000)
            for number in refused:
                assert (await client.send(message(number))).code == "AA"
        assert (await post(broker, fhir(1)))[0] == 200
        await eventually(lambda: not (ground.lab_inbox / "a.csv").exists())
        await eventually(lambda: not _open_receipts(broker))
        assert broker.exit_code == 0
        assert stored_controls(broker) >= {str(number) for number in range(40)}


def _open_receipts(broker: Broker) -> bool:
    with broker.reader.connect() as connection:
        return has_open_receipts(connection)


def stored_controls(broker: Broker) -> set[str]:
    with broker.reader.connect() as connection:
        return set(connection.execute(select(receipt.c.control_id)).scalars())


async def test_a_package_folder_that_is_full_keeps_records_ready_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(tmp_path)
    await play.stage.start()
    await play.stage.tell(2)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("broker.packages.os.fsync", full)
        await play.stage.turn()
    assert play.stage.states() == ["ready"] * 2
    assert play.stage.packages() == []
    await play.stage.run()
    assert play.stage.states() == ["accepted"] * 2
    assert [row.stem[-3:] for row in play.stage.rows(package)] == ["001"]
    play.assert_each_uploaded_once()
    play.stage.end()


# A fault at each single statement


class Disk:
    """Fails at the ``at``-th write. ``after``: a commit fails although it was done."""

    def __init__(self, at: int, code: int, after: bool = False) -> None:
        self.at = at
        self.code = code
        self.after = after
        self.operations = 0
        self.armed = False

    def write(self) -> None:
        if self.armed:
            self.operations += 1
            if self.operations == self.at:
                raise self.fault()

    def fault(self) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError("disk fault by the test")
        error.sqlite_errorcode = self.code
        return error


def driver(disk: Disk) -> ModuleType:
    """``sqlite3`` whose connections write through ``disk``."""

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *arguments: Any) -> Any:
            if not statement.startswith(("SELECT", "PRAGMA")):
                disk.write()
            return super().execute(statement, *arguments)

        def executemany(self, statement: str, rows: Any, /) -> Any:
            disk.write()
            return super().executemany(statement, rows)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(Cursor)

        def commit(self) -> None:
            if not disk.after:
                disk.write()
            super().commit()
            if disk.after:
                disk.write()

    module = ModuleType("faulty_sqlite3")
    module.__dict__.update(sqlite3.__dict__)
    module.__dict__["connect"] = lambda path, **options: sqlite3.connect(
        path, factory=Connection, **options
    )
    return module


async def live(folder: Path, disk: Disk) -> tuple[dict[int, bytes], int, bool]:
    """Payloads in bursts with jobs between. Acknowledged ones, refusals, whether it failed."""
    writer = Writer(open_writer(folder, driver=driver(disk)), asyncio.get_running_loop())
    intake = DurableIntake(writer, lambda: None)
    disk.armed = True
    acknowledged: dict[int, bytes] = {}
    refused = 0
    for burst in range(5):
        payloads = [
            Payload("lab", Door.MLLP, Media.HL7V2, b"%d/%d" % (burst, number), str(burst))
            for number in range(burst % 3 + 1)
        ]
        outcomes = await asyncio.gather(
            *(intake.receive(payload) for payload in payloads), return_exceptions=True
        )
        for payload, outcome in zip(payloads, outcomes, strict=True):
            if isinstance(outcome, Accepted):
                acknowledged[outcome.receipt_id] = payload.raw
                intake.acknowledged(outcome.receipt_id, True)
            else:
                assert isinstance(outcome, StorageUnavailable)
                refused += 1
        for future in intake._flush():
            await asyncio.wait((future,))
    await intake.close()
    writer.close()
    return acknowledged, refused, writer.failed


@pytest.fixture(scope="module")
def quick_folder() -> Iterator[Path]:
    """In memory where the machine has that: what real syncs cost is not the question here."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done but told otherwise"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL], ids=["EIO", "full"])
async def test_a_fault_at_any_write_acknowledges_nothing_that_is_not_stored(
    quick_folder: Path, code: int, after: bool
) -> None:
    calm = Disk(-1, code, after)
    acknowledged, refused, failed = await live(quick_folder / f"{code}-{after}", calm)
    assert (len(acknowledged), refused, failed) == (9, 0, False)
    assert calm.operations > 20
    for at in range(1, calm.operations + 1):
        folder = quick_folder / f"{code}-{after}-{at}"
        acknowledged, refused, failed = await live(folder, Disk(at, code, after))
        engine = open_writer(folder)
        with engine.connect() as connection:
            stored = {row.id: row.raw for row in connection.execute(select(receipt))}
        assert is_intact(engine)
        engine.dispose()
        assert acknowledged.items() <= stored.items()
        # A sick disk ends the writer for good; a full one is tried again.
        assert failed == (code == sqlite3.SQLITE_IOERR)
        if not failed:
            assert len(acknowledged) + refused == 9
            assert refused <= 3


# A real process whose files may not grow


@pytest.mark.skipif(sys.platform == "win32", reason="there is no RLIMIT_FSIZE")
async def test_a_process_that_cannot_write_acknowledges_nothing_and_starts_again_cleanly(
    tmp_path: Path,
) -> None:
    ground = Ground(tmp_path)
    ground.write_settings("http://127.0.0.1:1")
    program = (sys.executable, "-m", "tests.acceptance.cramped_service", str(5_000_000))
    async with no_child_left():
        await _cramped(ground, program)


async def _cramped(ground: Ground, program: tuple[str, ...]) -> None:
    running = await Service.start(ground, program)
    acknowledged: list[int] = []
    refused = ""
    try:
        async with await connect("127.0.0.1", running.mllp_port) as client:
            for number in range(300):
                answer = await client.send(message(number))
                if not answer.accepted:
                    refused = answer.code
                    break
                acknowledged.append(number)
    except (NotAcknowledged, OSError):
        refused = "the connection ended"
    assert refused in ("AE", "the connection ended")
    assert len(acknowledged) > 5
    # It ends by itself, with a code that a supervisor sees.
    assert await running.child.wait() == 1
    again = await Service.start(ground)
    async with await connect("127.0.0.1", again.mllp_port) as client:
        for number in range(len(acknowledged), len(acknowledged) + 5):
            assert (await client.send(message(number))).code == "AA"
    assert await again.child.stop() == 0
    reader = open_reader(ground.store)
    assert is_intact(reader)
    with reader.connect() as connection:
        stored = [row.control_id for row in list_receipts(connection)]
    reader.dispose()
    assert set(map(str, acknowledged)) <= set(stored)
    assert len(stored) == len(set(stored))
