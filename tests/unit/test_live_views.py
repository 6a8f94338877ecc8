"""Live views: one look for all who watch, to each what is theirs, and an end when it must end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, select, update

from bench.full_store import clinic_code, fill, lab_code, source_id
from broker.access.roles import Role
from broker.store.access_tables import person
from broker.store.critical import critical_count
from broker.store.due_work import due_counts
from broker.store.engine import open_reader, open_writer
from broker.store.live_counts import LiveCounts, count_live
from broker.store.outbox import unread_count
from broker.store.reach import record_in_reach
from broker.store.schema import record
from broker.store.sessions import close_sessions_of, find_session
from broker.web.api import live_views
from broker.web.api.live_views import LiveViews, View
from broker.web.console.desk import Desk
from broker.web.entrance import Access
from tests.access.web_people import sign_in_as

NOW = datetime.now(UTC)
WARN = timedelta(hours=6)
PATIENCE = 10.0


async def write(_: Callable[[Connection], Any]) -> Any:
    raise AssertionError("who watches writes nothing")


class Stage:
    """A small store, its writer, and those who watch it."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_writer(folder)
        self.reader = open_reader(folder)
        desk = SimpleNamespace(reader=self.reader, clock=lambda: NOW, warn=WARN)
        self.live = LiveViews(cast(Desk, desk), Access(self.reader, write, lambda: NOW))

    def view(self, role: Role, *institutions: str, login: str = "") -> View:
        """Of somebody who has just signed in."""
        with self.engine.begin() as connection:
            signed = sign_in_as(connection, role, institutions, login=login, now=NOW)
        token = signed.cookies["labbroker"]
        with self.reader.connect() as connection:
            session = find_session(connection, token, NOW)
        assert session is not None
        return View(session.person, token, None, lambda: False)

    def change(self, work: Callable[[Connection], Any]) -> None:
        with self.engine.begin() as connection:
            work(connection)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    fill(folder, 3000)
    return folder


@pytest.fixture
async def stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(live_views, "EVERY", 0.02)
    monkeypatch.setattr(live_views, "_SHARE", 1000.0)
    monkeypatch.setattr(live_views, "_LOOKED_AFTER", 0.1)
    stage = Stage(folder)
    yield stage
    stage.live.end_all()
    while stage.live._task is not None:  # noqa: ASYNC110 - a few hundredths of a second
        await asyncio.sleep(0.01)
    stage.engine.dispose()
    stage.reader.dispose()


async def told(view: View) -> Any:
    text = await view.next_text(PATIENCE)
    assert text
    return json.loads(text)


def hold(number: int) -> Callable[[Connection], Any]:
    return lambda c: c.execute(
        update(record).where(record.c.id == number).values(state="held", held_reason="invalid")
    )


@pytest.mark.parametrize(
    "institutions",
    [
        None,
        frozenset({clinic_code(7)}),
        frozenset({lab_code(7), source_id(9)}),
        frozenset({source_id(9)}),
        frozenset({clinic_code(number) for number in range(40)}),
        frozenset({"3599999998", ""}),
    ],
    ids=["everywhere", "clinic", "lab", "source", "coach", "nobody"],
)
def test_what_is_told_to_each_is_what_the_pages_count(
    folder: Path, institutions: frozenset[str] | None
) -> None:
    reader = open_reader(folder)
    with reader.connect() as connection:
        found = count_live(connection, NOW, WARN, by_source=True).told(institutions)
        counts = due_counts(connection, institutions, NOW, WARN)
        due = {name: getattr(counts, name) for name in ("missed", "at_risk", "calm", "waiting")}
        assert found["due"] == due
        assert found["unread"] == unread_count(connection, institutions)
        assert found["critical"] == critical_count(connection, institutions)
        states = connection.execute(select(record.c.state).where(record_in_reach(institutions)))
        told = [row.state for row in states]
        for state in ("held", "rejected", "ready", "unknown"):
            assert found["records"].get(state, 0) == told.count(state)
    reader.dispose()


async def test_all_who_watch_share_one_look(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Connection] = []

    def count(connection: Connection, *args: Any, **more: Any) -> LiveCounts:
        looks.append(connection)
        return count_live(connection, *args, **more)

    monkeypatch.setattr(live_views, "count_live", count)
    clinics = [stage.view(Role.CLINIC, clinic_code(number % 3)) for number in range(30)]
    operators = [stage.view(Role.OPERATOR) for _ in range(30)]
    views = [*clinics, *operators]
    joined = [stage.live.joined(view) for view in views]
    for each in joined:
        await each.__aenter__()
    before = [await told(view) for view in views]
    while len(looks) < 2:  # noqa: ASYNC110 - for the first, and as the watch begins
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    seen = len(looks)
    assert seen <= 3
    stage.change(hold(1))
    after = [await told(view) for view in operators]
    assert {each["records"]["held"] for each in after} == {before[-1]["records"]["held"] + 1}
    assert len(looks) == seen + 1
    # Record 1 is of clinic 1: those of others are told nothing.
    for number, view in enumerate(clinics):
        assert (await view.next_text(0.05) != "") == (number % 3 == 1)
    # Nobody commits, nobody looks.
    await asyncio.sleep(0.2)
    assert len(looks) == seen + 1
    for each in joined:
        await each.__aexit__(None, None, None)


async def test_who_does_not_read_makes_nobody_wait_and_is_told_the_newest(stage: Stage) -> None:
    slow, quick = stage.view(Role.OPERATOR, login="slow"), stage.view(Role.OPERATOR)
    async with stage.live.joined(slow), stage.live.joined(quick):
        first = (await told(quick))["records"]["held"]
        for number in (11, 12, 13):
            stage.change(hold(number))
            assert (await told(quick))["records"]["held"] == first + number - 10
        assert (await told(slow))["records"]["held"] == first + 3


@pytest.mark.parametrize("what", ["signed-out", "disabled", "role", "institutions"])
async def test_a_view_ends_when_its_person_may_not_see_the_same(stage: Stage, what: str) -> None:
    other = stage.view(Role.OPERATOR)
    view = stage.view(Role.CLINIC, clinic_code(7), login=what)
    number = view.person.person_id
    values: dict[str, dict[str, Any]] = {
        "disabled": {"disabled_at": NOW},
        "role": {"role": "coach"},
        "institutions": {"institutions": json.dumps([clinic_code(8)])},
    }
    async with stage.live.joined(view), stage.live.joined(other):
        await told(view)
        if what == "signed-out":
            stage.change(lambda c: close_sessions_of(c, number))
        else:
            stage.change(
                lambda c: c.execute(
                    update(person).where(person.c.id == number).values(values[what])
                )
            )
        assert await view.next_text(PATIENCE) == ""
        assert view.is_over
        assert not other.is_over


async def test_a_view_whose_browser_has_left_ends(stage: Stage) -> None:
    view = stage.view(Role.OPERATOR)
    async with stage.live.joined(view):
        await told(view)
        view.is_gone = lambda: True
        assert await view.next_text(PATIENCE) == ""
        assert view.is_over


async def test_after_a_fault_all_views_end_and_the_next_one_begins_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = stage.view(Role.OPERATOR)
    async with stage.live.joined(view):
        await told(view)
        task = stage.live._task
        assert task is not None
        with monkeypatch.context() as broken:

            def fail(*_: Any, **__: Any) -> Any:
                raise OSError("away")

            broken.setattr(live_views, "find_sessions", fail)
            assert await view.next_text(PATIENCE) == ""
            assert view.is_over
            with pytest.raises(OSError, match="away"):
                await task
    again = stage.view(Role.OPERATOR)
    async with stage.live.joined(again):
        assert (await told(again))["records"]["held"] > 0
