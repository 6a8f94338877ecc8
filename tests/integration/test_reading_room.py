"""A payload that hangs, eats memory or ends its reader is one refused payload and nothing more."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import select

from adapters.hl7.oru import read_hl7
from adapters.ports.intake import Door, Media, Payload
from broker.demo.messages import Line, Times, oru
from broker.demo.people import PEOPLE
from broker.pipeline import Pipeline
from broker.reading_room import ReadingRoom, Refusal
from broker.store.schema import receipt
from broker.suspects import MOST_DEATHS, Suspects
from mapping.parsed import ParsedPayload
from mapping.profile import CodeLink
from tests.integration.broker_stage import NOW, PROFILE, Stage, open_stage

UNRULY = (sys.executable, "-m", "tests.integration.unruly_reader")
LINE = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")


def message(control_id: str) -> bytes:
    return oru(control_id, PEOPLE[1], "CREA", "N100001", (LINE,), Times.before(NOW))


@pytest.fixture
async def room() -> AsyncIterator[ReadingRoom]:
    opened = ReadingRoom(limit_seconds=20, command=UNRULY)
    yield opened
    await opened.close()


async def test_it_reads_as_the_reader_does(room: ReadingRoom) -> None:
    profile = replace(PROFILE, codes=MappingProxyType({"CREA": CodeLink("09015C")}))
    read = await room.read(Media.HL7V2, message("1"), profile)
    assert read == read_hl7(message("1"), profile)
    assert isinstance(await room.read(Media.HL7V2, message("PRINT"), PROFILE), ParsedPayload)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("DIE", "reader-ended"),
        ("EAT", "too-complex"),
        ("REFUSE", "unreadable"),
        ("FAULT", "internal"),
    ],
)
async def test_what_it_does_is_told_and_the_next_is_read(
    room: ReadingRoom, what: str, code: str
) -> None:
    refused = await room.read(Media.HL7V2, message(what), PROFILE)
    assert isinstance(refused, Refusal)
    assert refused.code == code
    assert "A123456789" not in refused.text
    assert isinstance(await room.read(Media.HL7V2, message("1"), PROFILE), ParsedPayload)


async def test_what_hangs_is_ended_and_the_next_is_read() -> None:
    room = ReadingRoom(limit_seconds=3, command=UNRULY)
    refused = await room.read(Media.HL7V2, message("HANG"), PROFILE)
    assert isinstance(refused, Refusal)
    assert refused.code == "reader-too-slow"
    room = ReadingRoom(limit_seconds=60, command=UNRULY)
    assert isinstance(await room.read(Media.HL7V2, message("1"), PROFILE), ParsedPayload)
    await room.close()


# What was being read at a death


def payload(raw: bytes) -> Payload:
    return Payload("lab", Door.MLLP, Media.HL7V2, raw)


def receipts(stage: Stage) -> list[Any]:
    with stage.reader.connect() as connection:
        return list(connection.execute(select(receipt).order_by(receipt.c.id)).all())


def pipeline_of(stage: Stage, folder: Path, room: ReadingRoom) -> Pipeline:
    pipeline = stage.pipeline
    pipeline._suspects = Suspects(folder)
    pipeline._room = room
    return pipeline


async def test_what_ended_the_service_is_read_apart_and_stops_nothing(
    tmp_path: Path, room: ReadingRoom
) -> None:
    async with open_stage(tmp_path / "store") as stage:
        await stage.intake.receive(payload(message("DIE")))
        await stage.intake.receive(payload(message("2")))
        Suspects(tmp_path).begin([1, 2])
        pipeline = pipeline_of(stage, tmp_path, room)
        while await pipeline.work_once():
            pass
        rows = receipts(stage)
        assert [(row.state, row.error_code) for row in rows] == [
            ("quarantined", "reader-ended"),
            ("parsed", ""),
        ]
    assert Suspects(tmp_path).deaths(1) == 0


async def test_after_some_deaths_it_is_not_tried_again_by_itself(
    tmp_path: Path, room: ReadingRoom
) -> None:
    Suspects(tmp_path).begin([1])
    for _ in range(20):
        # Deaths while it is read apart are not its doing.
        Suspects(tmp_path).begin([1])
    for _ in range(MOST_DEATHS - 1):
        Suspects(tmp_path).resume(1)
    assert Suspects(tmp_path).deaths(1) == MOST_DEATHS
    async with open_stage(tmp_path / "store") as stage:
        await stage.intake.receive(payload(message("1")))
        pipeline = pipeline_of(stage, tmp_path, room)
        assert await pipeline.work_once() == 1
        assert [row.error_code for row in receipts(stage)] == ["ended-the-service"]


def test_a_torn_file_of_suspects_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "being-read").write_bytes(b"1 2\n3\nx y\n\xff")
    assert Suspects(tmp_path).deaths(1) == 0
    (tmp_path / "being-read").write_text("1 2\n3\nx y\n")
    suspects = Suspects(tmp_path)
    assert (suspects.deaths(1), suspects.deaths(3)) == (2, 0)
    suspects.end([1])
    assert Suspects(tmp_path).deaths(1) == 0


def test_without_a_folder_nothing_is_remembered() -> None:
    suspects = Suspects(None)
    suspects.begin([1])
    suspects.end([1])
    assert suspects.deaths(1) == 0
