"""What comes by the control door is noted, and the trail is anchored while the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broker.bootstrap.audit_keeping import AuditAnchors, audited
from broker.store.access_tables import audit_event
from broker.store.audit_check import read_anchors, verify_trail
from broker.store.engine import open_reader, open_writer
from broker.store.writer import Writer
from mapping.errors import LabbrokerError

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def clock() -> datetime:
    return NOW


async def test_an_order_is_noted_when_it_is_done_and_not_when_it_failed(tmp_path: Path) -> None:
    async def works(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        return {"done": 1}

    async def fails(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        raise LabbrokerError

    writer = Writer(open_writer(tmp_path), asyncio.get_running_loop())
    reader = open_reader(tmp_path)
    orders = {"fix": works, "opt-out": fails, "people-add": works, "check-report": works}
    kept = audited(orders, writer, clock)
    assert await kept["fix"](b'{"by": "wang"}', {}) == {"done": 1}
    with pytest.raises(LabbrokerError):
        await kept["opt-out"](b'{"by": "wang"}', {})
    await kept["people-add"](b'{"by": "wang"}', {})
    await kept["check-report"](b"\xff\xfe no JSON", {"by": "lin"})
    with reader.connect() as connection:
        rows = connection.execute(select(audit_event).order_by(audit_event.c.number)).all()
        assert verify_trail(connection).faults == ()
    assert [(row.person, row.action) for row in rows] == [
        ("cli:wang", "fix"),
        ("cli:lin", "check-report"),
    ]

    anchors = AuditAnchors(reader, tmp_path, clock)
    anchors.start()
    await anchors.stop()
    assert [each.events for each in read_anchors(tmp_path)] == [2]
    reader.dispose()
    await asyncio.to_thread(writer.close)


async def test_an_anchor_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    (tmp_path / "audit-anchors.txt").mkdir()
    anchors = AuditAnchors(engine, tmp_path, clock)
    anchors.start()
    await anchors.stop()
    engine.dispose()
