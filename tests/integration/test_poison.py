"""Results that crash their reader stop no other, and cost the others next to nothing.

``LABBROKER_POISON`` is how many results, one in a hundred of them poison (2,000 for the promise);
from there on the throughput is asserted too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from adapters.ports.intake import Door, Media, Payload
from broker import pipeline
from broker.bootstrap.readers import READERS
from broker.demo.messages import Line, Times, oru
from broker.demo.people import PEOPLE
from broker.store.records import StoredDrafts
from broker.store.schema import receipt
from tests.conftest import Tell
from tests.integration.broker_stage import NOW, Stage, open_stage
from tests.integration.submission_stage import made_up_id

RESULTS = int(os.environ.get("LABBROKER_POISON", "200"))
PROMISED = 2000
SHARE = 0.95
EVERY = 100
LINE = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")


def _deep(depth: int = 0) -> int:
    return _deep(depth + 1)


def _too_large() -> None:
    raise MemoryError


def _faulty() -> None:
    raise ValueError("A123456789")


POISONS: tuple[Callable[[], Any], ...] = (_deep, _too_large, _faulty)


def crashing(raw: bytes, profile: Any) -> Any:
    """The reader of HL7 v2, which dies of a mark in three ways in turn."""
    _, mark, rest = raw.partition(b"|POISON")
    if mark:
        POISONS[int(rest[:1]) % len(POISONS)]()
    return READERS[Media.HL7V2](raw, profile)


async def work_off(folder: Path, *, poisoned: bool) -> tuple[float, dict[str, int], int]:
    """Seconds of it, receipts by state, and how many of the good ones became records."""
    async with open_stage(folder) as stage:
        stage.pipeline._readers = {**READERS, Media.HL7V2: crashing}
        payloads = []
        for number in range(RESULTS):
            person = replace(PEOPLE[1], national_id=made_up_id(number))
            raw = oru(str(number), person, "CREA", f"N{number}", (LINE,), Times.before(NOW))
            if poisoned and number % EVERY == 7:
                raw = raw.replace(b"|P|2.5", b"|POISON%d|2.5" % (number // EVERY % 3), 1)
            payloads.append(Payload("lab", Door.MLLP, Media.HL7V2, raw, str(number)))
        await asyncio.gather(*(stage.intake.receive(each) for each in payloads))
        began = time.process_time()
        await stage.work()
        return time.process_time() - began, states(stage), len(stage.records())


def states(stage: Stage) -> dict[str, int]:
    with stage.reader.connect() as connection:
        rows = connection.execute(select(receipt.c.state, func.count()).group_by(receipt.c.state))
        return {row[0]: row[1] for row in rows}


async def test_one_in_a_hundred_that_crashes_its_reader_stops_no_other(
    tmp_path: Path, tell: Tell
) -> None:
    poison = RESULTS // EVERY
    took, found, records = await work_off(tmp_path / "poisoned", poisoned=True)
    assert found == {"parsed": RESULTS - poison, "quarantined": poison}
    assert records == RESULTS - poison
    clean, all_of_them, _ = await work_off(tmp_path / "clean", poisoned=False)
    assert all_of_them == {"parsed": RESULTS}
    share = clean / RESULTS / (took / (RESULTS - poison))
    tell(f"{poison} of {RESULTS} crash their reader: {share:.2f} of the clean throughput")
    if RESULTS >= PROMISED:
        assert share > SHARE


async def test_a_result_that_cannot_be_stored_costs_none_of_those_that_share_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_stage(tmp_path) as stage:
        jobs: list[int] = []
        room: Any = pipeline
        store, write = room.store_drafts, stage.writer.write
        poison = 3

        def poisoned(connection: Connection, receipt_id: int, *rest: Any) -> StoredDrafts:
            stored: StoredDrafts = store(connection, receipt_id, *rest)
            if receipt_id == poison:
                raise ValueError("A123456789")
            return stored

        def counted(work: Callable[[Connection], Any]) -> Any:
            jobs.append(1)
            return write(work)

        for number in range(1, 6):
            person = replace(PEOPLE[1], national_id=made_up_id(number))
            raw = oru(str(number), person, "CREA", f"N{number}", (LINE,), Times.before(NOW))
            await stage.intake.receive(Payload("lab", Door.MLLP, Media.HL7V2, raw, str(number)))
        monkeypatch.setattr(room, "store_drafts", poisoned)
        monkeypatch.setattr(stage.writer, "write", counted)
        await stage.work()
        assert len(jobs) == 2, "one for the five, one to give up the one"
        with stage.reader.connect() as connection:
            found = connection.execute(select(receipt.c.id, receipt.c.state)).all()
        assert dict(map(tuple, found)) == {
            number: "quarantined" if number == poison else "parsed" for number in range(1, 6)
        }
        assert [row.receipt_id for row in stage.records()] == [1, 2, 4, 5]
