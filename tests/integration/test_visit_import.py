"""A clinic's many visits come in part by part: nothing waits behind them, nothing is lost or
doubled where the service dies in between."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Door, Media, Payload
from broker.demo.messages import Line, Times, oru
from broker.demo.people import PEOPLE, national_id, visits
from broker.store.engine import open_reader
from broker.store.schema import receipt, visit
from broker.visit_import import VISITS_AT_ONCE, ImportProgress
from mapping.visit import Order, Visit
from tests.integration.broker_stage import NOW, Stage, open_stage

BASE = replace(visits(NOW)[1], orders=(Order("09015C", card_mark="03"),))


def many(count: int) -> tuple[Visit, ...]:
    """Visits of as many people; the last is that of the second of ``PEOPLE``."""
    others = (
        replace(
            BASE,
            national_id=national_id("D", 10000000 + number),
            card_at=BASE.card_at + timedelta(seconds=number),
        )
        for number in range(1, count)
    )
    return (*others, BASE)


def creatinine() -> bytes:
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    return oru("1", PEOPLE[1], "CREA", "N100001", (line,), Times.before(NOW))


def stored(folder: Path) -> int:
    reader = open_reader(folder)
    try:
        with reader.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(visit)).scalar_one())
    finally:
        reader.dispose()


async def bring(stage: Stage, raw: bytes) -> None:
    await stage.receive(raw, Media.IC_CARD_XML, source="clinic")


async def test_all_parts_arrive_and_results_that_waited_go_on(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine())
        await bring(stage, write_ic_card(many(2 * VISITS_AT_ONCE + 3)))
        assert stored(tmp_path) == 2 * VISITS_AT_ONCE + 3
        assert stage.states() == ["ready"]


async def test_the_same_visits_once_more_change_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        raw = write_ic_card(many(VISITS_AT_ONCE + 3))
        await bring(stage, raw)
        before = stored(tmp_path)
        await bring(stage, raw + b"\n")
        assert stored(tmp_path) == before
        with stage.reader.connect() as connection:
            states = connection.execute(select(receipt.c.state)).scalars().all()
        assert states == ["parsed", "parsed"]


async def test_a_result_is_acknowledged_while_visits_are_stored(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        raw = write_ic_card(many(4 * VISITS_AT_ONCE))
        accepted = await stage.intake.receive(
            Payload("clinic", Door.FOLDER, Media.IC_CARD_XML, raw)
        )
        work = asyncio.create_task(stage.work())
        seen: list[ImportProgress] = []
        while not work.done():
            progress = stage.pipeline.visit_import.progress(accepted.receipt_id)
            if progress is not None and progress not in seen:
                seen.append(progress)
                number = f"{len(seen)}"
                await stage.intake.receive(
                    Payload("lab", Door.MLLP, Media.HL7V2, creatinine(), number)
                )
            await asyncio.sleep(0)
        await work
        assert seen[-1].total == 4 * VISITS_AT_ONCE
        assert len(seen) > 1, "each was answered between two parts"
        assert [each.done for each in seen] == sorted(each.done for each in seen)


_CHILD = """
import asyncio, sys
from pathlib import Path
from adapters.ports.intake import Door, Media, Payload
from tests.integration.broker_stage import open_stage
async def main():
    async with open_stage(Path(sys.argv[1])) as stage:
        raw = Path(sys.argv[2]).read_bytes()
        await stage.intake.receive(Payload("clinic", Door.FOLDER, Media.IC_CARD_XML, raw))
        writer = stage.pipeline.visit_import._writer
        write = writer.write
        parts = 0
        async def write_two(work):
            nonlocal parts
            parts += 1
            if parts > 2:
                await asyncio.Event().wait()  # Until it is killed.
            return await write(work)
        writer.write = write_two
        await stage.work()
asyncio.run(main())
"""


def importer(store: Path, file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _CHILD, str(store), str(file)])


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
async def test_an_import_that_was_killed_goes_on_and_results_find_their_visits(
    tmp_path: Path,
) -> None:
    store, file = tmp_path / "store", tmp_path / "visits.xml"
    count = 6 * VISITS_AT_ONCE
    file.write_bytes(write_ic_card(many(count)))
    async with open_stage(store) as stage:
        await stage.receive(creatinine())
    child = importer(store, file)
    try:
        until = time.monotonic() + 60
        while stored(store) < VISITS_AT_ONCE:
            assert child.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert 0 < stored(store) < count
    async with open_stage(store) as stage:
        assert stage.states() == ["held:unmatched"]
        await stage.work()
        assert stored(store) == count
        assert stage.states() == ["ready"]


async def test_a_part_that_was_stored_before_the_death_tries_its_results_in_the_end(
    tmp_path: Path,
) -> None:
    """The visit of the waiting result is in the first part, which is stored when the rest is
    not."""
    everything = tuple(reversed(many(2 * VISITS_AT_ONCE)))
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine())
        accepted = await stage.intake.receive(
            Payload("clinic", Door.FOLDER, Media.IC_CARD_XML, write_ic_card(everything))
        )
        importing = stage.pipeline.visit_import
        original = stage.writer.write
        calls = 0

        def dying(work: object) -> object:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise asyncio.CancelledError
            return original(work)  # type: ignore[arg-type]

        importing._writer.write = dying  # type: ignore[method-assign,assignment]
        with pytest.raises(asyncio.CancelledError):
            await stage.pipeline.work_once()
        importing._writer.write = original  # type: ignore[method-assign]
        assert stored(tmp_path) == VISITS_AT_ONCE
        assert importing.progress(accepted.receipt_id) is None
        await stage.work()
        assert stage.states() == ["ready"]
