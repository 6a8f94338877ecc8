"""Someone who belongs to a source alone sees what came from it, and nothing of its neighbours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from broker.access.roles import Role
from broker.store.record_list import RecordQuery, list_records
from broker.store.schema import receipt, record
from tests.console.running_console import RunningConsole
from tests.console.test_reach import ask


def records_of(console: RunningConsole) -> dict[str, set[int]]:
    def look(connection: Any) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for row in connection.execute(
            select(record.c.id, receipt.c.source_id).join(
                receipt, receipt.c.id == record.c.receipt_id
            )
        ):
            found.setdefault(row.source_id, set()).add(row.id)
        return found

    return console.write(look)


def test_a_source_shows_its_own_records_and_no_other(console: RunningConsole) -> None:
    now, warn = datetime.now(UTC), timedelta(hours=6)
    mine = records_of(console)
    assert len(mine) >= 3
    for source_id, expected in mine.items():
        reach = frozenset({source_id})

        def look(connection: Any, reach: frozenset[str] = reach) -> set[int]:
            rows = list_records(connection, reach, RecordQuery(), now, warn, 100)
            return {row.id for row in rows}

        assert console.write(look) == expected


def test_a_person_of_one_source_opens_its_records_and_finds_no_others(
    console: RunningConsole,
) -> None:
    mine = records_of(console)
    who = console.sign_in(Role.LAB, ["demo-lab"], language="en")
    others = set().union(*(ids for source, ids in mine.items() if source != "demo-lab"))
    assert mine["demo-lab"]
    assert others
    for number in mine["demo-lab"]:
        assert ask(console, f"/records/{number}", who)[0] == 200
    for number in others:
        assert ask(console, f"/records/{number}", who)[0] == 404
    _, page = ask(console, "/records", who)
    assert all(f'href="/records/{number}"' in page for number in mine["demo-lab"])
    assert not any(f'href="/records/{number}"' in page for number in others)
    _, due = ask(console, "/records?due=open", who)
    assert "data-row" in due
    _, worklist = ask(console, "/worklist", who)
    assert "/worklist/" in worklist
