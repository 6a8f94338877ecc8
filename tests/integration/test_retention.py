"""The night's erasing: one node, some rows at a time, audited; the command tells it before."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from adapters.ports.intake import Door, Media, Payload
from broker.cli.main import main
from broker.nodes import Hold, Node, SharedNode
from broker.operation.retention import Retention, erase_all
from broker.store.access_tables import audit_event
from broker.store.engine import open_reader, open_writer
from broker.store.receipts import ReceiptAppender, receipt_row
from broker.store.report_tables import lab_report
from broker.store.retention import Kept
from broker.store.schema import receipt
from broker.store.writer import Writer

NIGHT = datetime(2026, 1, 10, 19, 0, tzinfo=UTC)
OLD = NIGHT - timedelta(days=400)
MANY = 650
DAYS = {Kept.RAW_PAYLOADS: 365}


def fill(folder: Path, count: int) -> None:
    engine = open_writer(folder)
    with engine.begin() as connection:
        payloads = [
            Payload("lab", Door.MLLP, Media.HL7V2, b"%d" % number, "") for number in range(count)
        ]
        rows = [receipt_row(each, OLD) for each in payloads]
        ReceiptAppender(connection).append(connection, rows)
        connection.execute(
            update(receipt).values(state="parsed", acknowledgement="delivered", content="reports")
        )
        connection.execute(update(receipt).where(receipt.c.id == 1).values(state="quarantined"))
    engine.dispose()


def left(folder: Path) -> list[int]:
    reader = open_reader(folder)
    with reader.connect() as connection:
        rows = connection.execute(select(receipt.c.id).where(receipt.c.raw != b""))
        found = list(rows.scalars())
    reader.dispose()
    return found


def test_what_a_person_brought_waits_for_no_answer_and_is_erased_in_its_time(
    tmp_path: Path,
) -> None:
    engine = open_writer(tmp_path)
    by_hand = Payload("lab", Door.COMMAND, Media.CSV, b"entered", "")
    of_a_sender = Payload("lab", Door.MLLP, Media.HL7V2, b"sent", "")
    with engine.begin() as connection:
        rows = [receipt_row(each, OLD) for each in (by_hand, of_a_sender)]
        ReceiptAppender(connection).append(connection, rows)
        told = connection.execute(select(receipt.c.acknowledgement).order_by(receipt.c.id))
        assert list(told.scalars()) == ["not_owed", "owed"]
        connection.execute(update(receipt).values(state="parsed", content="reports"))
    with engine.begin() as connection:
        erase_all(connection, DAYS, NIGHT)
    engine.dispose()
    assert left(tmp_path) == [2]


class Away(Node):
    """Another node holds it."""

    async def take(self, *names: str) -> Hold | None:
        assert names == ("retention",)
        return None


async def test_a_night_erases_all_that_is_due_and_tells_the_audit_trail(
    tmp_path: Path,
) -> None:
    fill(tmp_path, MANY)
    engine = open_writer(tmp_path)
    writer, reader = Writer(engine, asyncio.get_running_loop()), open_reader(tmp_path)
    try:
        away = Retention(writer, reader, DAYS, lambda: NIGHT, Away())
        assert await away.sweep() == {}
        assert len(left(tmp_path)) == MANY
        work = Retention(writer, reader, DAYS, lambda: NIGHT)
        counted = await work.count()
        assert counted[Kept.RAW_PAYLOADS].rows == MANY - 1
        assert await work.sweep() == counted
        assert left(tmp_path) == [1]
        assert await work.sweep() == {}
        with reader.connect() as connection:
            events = connection.execute(select(audit_event)).all()
        assert [(row.action, row.kind, json.loads(row.detail)["rows"]) for row in events] == [
            ("retention", "raw_payloads", "500"),
            ("retention", "raw_payloads", str(MANY - 501)),
        ]
    finally:
        writer.close()
        reader.dispose()


async def test_it_works_at_night_alone(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    engine = open_writer(tmp_path)
    writer, reader = Writer(engine, asyncio.get_running_loop()), open_reader(tmp_path)
    try:
        for now, after in ((NIGHT - timedelta(hours=5), [1, 2, 3]), (NIGHT, [1])):
            task = asyncio.create_task(Retention(writer, reader, DAYS, lambda: now).run())  # noqa: B023
            async with asyncio.timeout(20):
                while left(tmp_path) != after:  # noqa: ASYNC110 - the state is in the store
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.2)
            task.cancel()
            assert left(tmp_path) == after
    finally:
        writer.close()
        reader.dispose()


async def test_a_node_that_lost_its_lease_erases_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    engine = open_writer(tmp_path)
    writer, reader = Writer(engine, asyncio.get_running_loop()), open_reader(tmp_path)
    try:
        late = SharedNode(writer, span=timedelta(seconds=-1))
        assert await Retention(writer, reader, DAYS, lambda: NIGHT, late).sweep() == {}
        assert left(tmp_path) == [1, 2, 3]
    finally:
        writer.close()
        reader.dispose()


def test_the_command_counts_before_it_erases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    data = tmp_path / "data"
    fill(data, 3)
    config = tmp_path / "labbroker.toml"
    config.write_text('data_dir = "data"\n[retention]\nraw_payload_days = 60\n', "utf-8")
    asked = ["retention", "--config", str(config), "--json"]
    assert main([*asked, "--dry-run"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"raw_payloads": {"rows": 2, "bytes": 2}}
    assert left(data) == [1, 2, 3]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert left(data) == [1]
    assert main(asked[:-1]) == 0
    out = capsys.readouterr().out
    assert "bytes of payloads: kept for 60 days, 0 erased" in out
    assert "tries: kept for good" in out


def test_nothing_is_erased_where_the_settings_name_no_days(tmp_path: Path) -> None:
    fill(tmp_path / "data", 2)
    config = tmp_path / "labbroker.toml"
    config.write_text('data_dir = "data"\n', "utf-8")
    assert main(["retention", "--config", str(config)]) == 0
    assert left(tmp_path / "data") == [1, 2]


async def test_the_words_of_one_result_go_together(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    engine = open_writer(tmp_path)
    told = {"number": 1, "source_id": "lab", "lab_code": "", "clinic_code": "", "chart_number": ""}
    with engine.begin() as connection:
        for number, identity, at in ((2, b"a", OLD), (3, b"b", OLD), (4, b"a", NIGHT)):
            connection.execute(
                insert(lab_report).values(
                    receipt_id=number, identity=identity, national_id="", stored_at=at, **told
                )
            )
        connection.execute(update(receipt).where(receipt.c.id == 4).values(received_at=NIGHT))
        erased = erase_all(connection, DAYS, NIGHT)
    engine.dispose()
    assert erased[Kept.RAW_PAYLOADS].rows == 1
    assert left(tmp_path) == [1, 2, 4]
