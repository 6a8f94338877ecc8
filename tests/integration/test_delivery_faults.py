"""A fault of ours on the way to a clinic stops no sender, loses nothing and doubles nothing."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

import broker.delivery.outbox as outbox_module
from adapters.folder.delivering import FolderDelivery
from adapters.ports.outbox import Outgoing
from broker.delivery.agreement import DeliveryKind
from broker.logs import EventFormatter
from broker.store import outbox as outbox_store
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.delivery_stage import (
    Receiver,
    agreement,
    delivering,
    oru,
    states,
    until,
)

MLLP, FOLDER = DeliveryKind.MLLP, DeliveryKind.FOLDER


def broken() -> ProgrammingError:
    """No fault of the storage, and none of the report."""
    return ProgrammingError("SELECT 1", {}, Exception("no such column"))


@contextmanager
def told() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The events of the log."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EventFormatter())
    logger = logging.getLogger("broker.delivery")
    logger.addHandler(handler)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        logger.removeHandler(handler)


async def two_results(stage: Stage) -> None:
    await stage.receive(oru("F1", "1"))
    await stage.receive(oru("F2", "2"))


@pytest.mark.parametrize("part", ["look", "begin", "end"])
async def test_a_database_error_that_passes_ends_no_sender_and_sends_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    name = {"look": "first_open", "begin": "begin_attempt", "end": "end_attempt"}[part]
    real, faults = getattr(outbox_store, name), [broken(), broken()]

    def failing(*given: Any, **more: Any) -> Any:
        if faults:
            raise faults.pop()
        return real(*given, **more)

    monkeypatch.setattr(outbox_module, name, failing)
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await two_results(stage)
            with told() as events:
                async with delivering(stage, to):
                    await until(lambda: states(stage) == ["acknowledged"] * 2)
                faulty = [each for each in events() if each["event"] == "delivery.fault"]
    assert sorted(clinic.values) == ["1", "2"]
    assert [(each["destination"], each["error_class"]) for each in faulty] == [
        ("a", "ProgrammingError")
    ] * 2


async def test_a_row_that_breaks_its_sender_each_time_is_set_aside_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outbox_store.begin_attempt

    def failing(connection: Any, outgoing_id: int, *more: Any) -> Any:
        if outgoing_id == 1:
            raise broken()
        return real(connection, outgoing_id, *more)

    monkeypatch.setattr(outbox_module, "begin_attempt", failing)
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await two_results(stage)
            async with delivering(stage, to):
                await until(lambda: states(stage) == ["refused", "acknowledged"])
    assert clinic.values == ["2"]


async def test_a_row_that_cannot_even_be_set_aside_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_begin, real_end = outbox_store.begin_attempt, outbox_store.end_attempt

    def no_begin(connection: Any, outgoing_id: int, *more: Any) -> Any:
        if outgoing_id == 1:
            raise broken()
        return real_begin(connection, outgoing_id, *more)

    def no_end(connection: Any, outgoing_id: int, *given: Any, **more: Any) -> Any:
        if outgoing_id == 1:
            raise broken()
        return real_end(connection, outgoing_id, *given, **more)

    monkeypatch.setattr(outbox_module, "begin_attempt", no_begin)
    monkeypatch.setattr(outbox_module, "end_attempt", no_end)
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await two_results(stage)
            async with delivering(stage, to):
                await until(lambda: states(stage) == ["queued", "acknowledged"])
    assert clinic.values == ["2"]


async def test_what_was_acknowledged_while_the_store_was_away_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away = outbox_store.end_attempt, [1, 2, 3]
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def failing(*given: Any, **more: Any) -> None:
        if away:
            away.pop()
            raise OperationalError("UPDATE", {}, full)
        real(*given, **more)

    monkeypatch.setattr(outbox_module, "end_attempt", failing)
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await two_results(stage)
            async with delivering(stage, to):
                await until(lambda: states(stage) == ["acknowledged"] * 2)
    assert clinic.values == ["1", "2"]
    assert away == []


async def test_a_door_that_breaks_on_one_result_is_started_again_and_brings_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = tmp_path / "clinic", FolderDelivery.deliver
    folder.mkdir()

    async def failing(door: FolderDelivery, outgoing: Outgoing) -> Any:
        if outgoing.outgoing_id == 1:
            raise RuntimeError
        return await real(door, outgoing)

    monkeypatch.setattr(FolderDelivery, "deliver", failing)
    to = agreement("a", FOLDER, folder=folder)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        await two_results(stage)
        with told() as events:
            async with delivering(stage, to):
                await until(lambda: states(stage) == ["refused", "acknowledged"])
            faults = [each for each in events() if each["event"] == "delivery.fault"]
    known = [(each["delivery_id"], each["error_class"]) for each in faults]
    assert known == [(1, "RuntimeError")] * 3
    assert len(list(folder.iterdir())) == 1
