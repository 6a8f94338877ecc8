"""Seven virtual days: a card that goes home at night, a gateway that is down for up to 20 hours,
results at all times. Nothing leaves while the card is away, and a person knows in time.

``LABBROKER_WEEKS`` is how many such weeks are tried.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broker.deadline import due_at
from broker.lateness import AHEAD, last_chance
from broker.opening_hours import ALWAYS, OpeningHours, read_hours
from broker.store.alarms import open_alarms
from broker.store.schema import alarm, attempt, package, record
from tests.integration.scripted_gateway import Fate
from tests.integration.submission_play import OTHER, Play
from tests.integration.submission_stage import CLINIC, NOW

HOURS = {CLINIC: read_hours(["mon-fri 08:00-17:30", "sat 08:00-12:00"])}
STEP = timedelta(minutes=20)
WEEK = timedelta(days=7)
WEEKS = int(os.environ.get("LABBROKER_WEEKS", "1"))


def outages(chance: random.Random) -> list[tuple[datetime, datetime]]:
    """Up to 20 hours each, some hours apart."""
    found = []
    at = NOW + timedelta(hours=chance.uniform(1, 30))
    while at < NOW + WEEK:
        end = at + timedelta(hours=chance.uniform(0, 20))
        found.append((at, end))
        at = end + timedelta(hours=chance.uniform(6, 40))
    return found


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    playing = Play(tmp_path, hours=HOURS, wait=timedelta(minutes=15))
    await playing.stage.start()
    yield playing
    playing.stage.end()


def alarms(play: Play) -> list[Any]:
    with play.stage.reader.connect() as connection:
        return open_alarms(connection)


def unconfirmed(play: Play) -> list[Any]:
    return [
        row
        for row in play.stage.rows(record)
        if row.confirmed_at is None and row.state != "superseded"
    ]


def assert_warned(play: Play, hours: dict[str, OpeningHours]) -> int:
    """For each record whose last chance is six hours away, an alarm is open. Returns how many."""
    now = play.clock()
    warned = alarms(play)
    seen = 0
    for row in unconfirmed(play):
        chance = last_chance(row.due_at, hours.get(row.uploader_code, ALWAYS))
        if chance is None or chance - now > AHEAD:
            continue
        seen += 1
        kind = "missed" if row.due_at < now else "at-risk"
        assert any(
            each.institution_code == row.uploader_code
            and each.kind == kind
            and each.reason == (row.held_reason or row.state)
            and each.due_at <= row.due_at
            for each in warned
        ), (now, row.due_at, row.state, [(each.kind, each.reason) for each in warned])
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(WEEKS))
async def test_a_week_of_nights_and_outages(play: Play, seed: int) -> None:
    chance = random.Random(seed)
    down = outages(chance)

    def is_down() -> bool:
        return any(start <= play.clock() < end for start, end in down)

    play.gateway.fate = lambda: Fate.NOT_DELIVERED if is_down() else Fate.CONFIRMED
    play.gateway.down = is_down
    warnings = 0
    while play.clock() < NOW + WEEK:
        if chance.random() < 0.2:
            await play.stage.tell(1, chance.choice((CLINIC, OTHER)))
        await play.stage.turn()
        await play.stage.watch.look()
        warnings += assert_warned(play, HOURS)
        play.clock.pass_time(STEP)
    play.gateway.fate = lambda: Fate.CONFIRMED
    play.gateway.down = lambda: False
    await play.stage.run()
    await play.stage.watch.look()
    play.assert_each_uploaded_once()
    assert set(play.stage.states()) == {"accepted"}
    assert warnings > 0
    assert not alarms(play)
    assert all(row.closed_at is not None for row in play.stage.rows(alarm))
    assert_card_was_there(play)


def assert_card_was_there(play: Play) -> None:
    with play.stage.reader.connect() as connection:
        sent = connection.execute(
            select(package.c.institution_code, attempt.c.started_at).join(package)
        ).all()
    assert sent
    for row in sent:
        assert HOURS.get(row.institution_code, ALWAYS).is_open(row.started_at), row.started_at


async def test_what_is_ready_leaves_before_the_card_does(play: Play) -> None:
    # 17:25 of a Tuesday: waiting 15 minutes for company would be too long.
    play.clock.pass_time(timedelta(hours=5, minutes=25))
    await play.stage.tell(1)
    await play.stage.turn()
    assert play.stage.states() == ["checking"]


async def test_an_alarm_opens_once_and_closes(play: Play) -> None:
    play.gateway.fate = lambda: Fate.NOT_DELIVERED
    await play.stage.tell(2, OTHER)
    due = due_at(play.clock())
    while play.clock() < due + 2 * STEP:
        await play.stage.turn()
        await play.stage.watch.look()
        play.clock.pass_time(STEP)
    rows = play.stage.rows(alarm)
    assert [(row.kind, row.reason, row.records) for row in rows if row.closed_at is None] == [
        ("missed", "sealed", 2)
    ]
    (risk,) = (row for row in rows if row.kind == "at-risk")
    assert due - risk.opened_at >= AHEAD
    play.gateway.fate = lambda: Fate.CONFIRMED
    await play.stage.run()
    await play.stage.watch.look()
    assert not alarms(play)
    assert len(play.stage.rows(alarm)) == len(rows)


async def test_those_that_can_be_in_time_leave_before_those_that_are_late(play: Play) -> None:
    play.stage.max_records = 1
    play.gateway.fate = lambda: Fate.NOT_DELIVERED
    await play.stage.restart()
    play.stage.wait = timedelta(hours=200)
    await play.stage.restart()
    await play.stage.tell(1, OTHER)
    play.clock.pass_time(timedelta(hours=80))
    await play.stage.tell(1, OTHER)
    play.clock.pass_time(timedelta(hours=30))
    await play.stage.tell(1, OTHER)
    play.gateway.fate = lambda: Fate.CONFIRMED
    play.stage.wait = timedelta(0)
    await play.stage.restart()
    await play.stage.run()
    packages = {row.package_id: row.id for row in play.stage.rows(record)}
    assert [packages[package_id] for package_id in sorted(packages)] == [3, 2, 1]
