"""What is ready, group by group, on each engine as one would reckon it from all records by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert

from broker.store.engine import open_writer
from broker.store.ready_records import ReadyGroup, ready_overview
from broker.store.schema import receipt, record
from tests.stores import store_at

pytestmark = pytest.mark.usefixtures("both_stores")
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
# One that begins as another, one that is no number, and what the statement itself writes between.
CODES = ("", "3501234567", "35012345670", "35|7", 'a "quoted" one', "醫")


@pytest.fixture
def engine(both_stores: str, tmp_path: Path) -> Iterator[Engine]:
    opened = open_writer(store_at(tmp_path))
    with opened.begin() as connection:
        texts = ("source_id", "door", "media", "control_id", "name", "acknowledgement")
        connection.execute(
            insert(receipt).values(
                id=1,
                sha256=b"\0" * 32,
                identity=bytes(16),
                raw=b"",
                state="parsed",
                received_at=NOW,
                **dict.fromkeys(texts, ""),
            )
        )
    yield opened
    opened.dispose()


def rows_of(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Records of any state, whole or in parts, from before 1970 to far in the future."""
    codes = chance.sample(CODES, chance.randint(1, len(CODES)))
    return [
        {
            "receipt_id": 1,
            "slot": str(number),
            "place": "",
            "order_identity": "",
            "version": 1,
            "state": chance.choice(("ready", "ready", "ready", "held", "sealed", "accepted")),
            "uploader_code": chance.choice(codes),
            "due_at": NOW + timedelta(microseconds=chance.randrange(-(10**16), 10**16)),
            "ready_at": chance.choice((None, NOW - timedelta(microseconds=chance.randrange(99)))),
            "awaited": chance.choice(("", "", '["rest"]')),
        }
        for number in range(count)
    ]


def by_hand(rows: list[dict[str, Any]], presses: dict[str, datetime] | None) -> list[ReadyGroup]:
    groups = []
    for code in sorted({row["uploader_code"] for row in rows if row["state"] == "ready"}):
        own = [r for r in rows if r["state"] == "ready" and r["uploader_code"] == code]
        whole = [r["ready_at"] for r in own if not r["awaited"] and r["ready_at"] is not None]
        parts = [r["due_at"] for r in own if r["awaited"]]
        due_at = min(r["due_at"] for r in own)
        asked = presses is not None and due_at < presses[code]
        groups.append(
            ReadyGroup(
                code,
                min(whole, default=None),
                due_at,
                min(parts, default=None) if asked else None,
            )
        )
    return groups


def refill(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(record.delete())
    if rows:
        connection.execute(insert(record), rows)


def test_each_group_is_told_as_its_records_say(engine: Engine) -> None:
    chance = random.Random(7)
    pressing = 0
    for count in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144):
        rows = rows_of(chance, count)
        presses = {
            code: NOW + timedelta(microseconds=chance.randrange(-(10**16), 10**16))
            for code in CODES
        }
        with engine.begin() as connection:
            refill(connection, rows)
            plain = ready_overview(connection)
            asked = ready_overview(connection, presses.__getitem__)
        assert sorted(plain) == by_hand(rows, None)
        assert sorted(asked) == by_hand(rows, presses)
        pressing += sum(group.part_due_at is not None for group in asked)
    assert pressing


def test_a_group_whose_records_have_no_due_time_is_there_too(engine: Engine) -> None:
    (row,) = rows_of(random.Random(1), 1)
    row |= {"state": "ready", "due_at": None, "ready_at": NOW, "awaited": ""}
    with engine.begin() as connection:
        refill(connection, [row])
        found = ready_overview(connection, lambda _: NOW)
    assert found == [ReadyGroup(row["uploader_code"], NOW, None)]
