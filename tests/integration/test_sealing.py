"""Sealing: one institution a package, serials without gap or reuse, h16 stamped at the moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from broker.packages import Sealer
from broker.store.packages import SerialsUsedUp
from broker.store.schema import file_serial, package, record
from mapping.package_file import read_package
from mapping.package_name import parse_stem
from tests.integration.scripted_gateway import Death, Hook
from tests.integration.submission_play import OTHER, Play, serials
from tests.integration.submission_stage import (
    CLINIC,
)


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    playing = Play(tmp_path)
    await playing.stage.start()
    yield playing
    playing.stage.end()


async def test_packages_hold_one_institution_each_and_serials_have_no_gap(play: Play) -> None:
    for _ in range(3):
        await play.stage.tell(2, CLINIC)
        await play.stage.tell(1, OTHER)
        await play.stage.turn()
    await play.stage.run()
    for row in play.stage.rows(package):
        name = parse_stem(row.stem)
        with play.stage.package_path(row.stem).open("rb") as file:
            stem, records = read_package(file)
            assert stem == row.stem
            found = list(records)
        assert {item.value("h2") for item in found} == {name.institution_code}
        assert {item.value("h16")[:7] for item in found} == {"1140204"}
    assert serials(play.stage) == {CLINIC: [1, 2, 3], OTHER: [1, 2, 3]}


async def test_what_is_due_first_leaves_first(play: Play) -> None:
    play.stage.max_records = 1
    play.stage.wait = timedelta(minutes=15)
    await play.stage.restart()
    for hours in (30, 10, 20):
        await play.stage.tell(1)
        due_at = play.clock() + timedelta(hours=hours)
        newest = max(row.id for row in play.stage.rows(record))
        await play.stage.writer.write(
            lambda c, id_=newest, at=due_at: c.execute(  # type: ignore[misc]
                update(record).where(record.c.id == id_).values(due_at=at)
            )
        )
    await play.stage.run()
    left = {row.package_id: row.id for row in play.stage.rows(record)}
    assert [left[package_id] for package_id in sorted(left)] == [2, 3, 1]


async def test_the_upload_time_is_stamped_at_sealing(play: Play) -> None:
    play.stage.wait = timedelta(minutes=15)
    await play.stage.restart()
    await play.stage.tell(1)
    await play.stage.turn()
    assert play.stage.packages() == []
    play.clock.pass_time(timedelta(minutes=15))
    await play.stage.turn()
    (row,) = play.stage.rows(package)
    with play.stage.package_path(row.stem).open("rb") as file:
        (item,) = read_package(file)[1]
    assert item.value("h16") == "1140204121500"


async def test_the_thousandth_file_of_a_day_is_refused_and_the_next_day_goes_on(
    play: Play,
) -> None:
    day = date(2025, 2, 4)
    row = {"institution_code": CLINIC, "upload_on": day, "last_serial": 998}
    await play.stage.writer.write(lambda c: c.execute(insert(file_serial).values(row)))
    await play.stage.tell(1)
    await play.stage.tell(1, OTHER)
    await play.stage.run(timedelta(hours=1))
    await play.stage.tell(1)
    await play.stage.turn()
    assert play.stage.states() == ["accepted", "accepted", "ready"]
    assert serials(play.stage) == {CLINIC: [999], OTHER: [1]}
    sealer = Sealer(
        play.stage.writer, play.stage.reader, play.stage.folder / "packages", play.clock, 10
    )
    with pytest.raises(SerialsUsedUp, match="999"):
        await sealer.seal(CLINIC)
    play.clock.pass_time(timedelta(days=1))
    await play.stage.run()
    assert play.stage.states() == ["accepted"] * 3


async def test_a_file_that_a_crash_left_behind_is_written_over_under_the_same_number(
    tmp_path: Path,
) -> None:
    play = Play(tmp_path)
    await play.stage.start()
    await play.stage.tell(1)
    play.stage.writer.hook = _die_at(lambda point: point == "before a commit")
    with pytest.raises(Death):
        await play.stage.turn()
    left = sorted(path.name for path in (play.stage.folder / "packages").iterdir())
    assert left == [f"{CLINIC}1140204001.zip"]
    # Torn while it was written, as well.
    (play.stage.folder / "packages" / f"{CLINIC}1140204001.part").write_bytes(b"PK torn")
    await play.stage.restart()
    await play.stage.tell(1)
    await play.stage.run()
    assert serials(play.stage) == {CLINIC: [1]}
    assert play.stage.states() == ["accepted"] * 2
    play.assert_each_uploaded_once()
    play.stage.end()


async def test_a_record_that_cannot_be_written_costs_no_other(play: Play) -> None:
    def poison(number: int, row: dict[str, str]) -> dict[str, str]:
        return {**row, "r3": "SLS\x07Hb"} if number == 2 else row

    await play.stage.tell(3, change=poison)
    await play.stage.run()
    assert sorted(play.stage.states()) == ["accepted", "accepted", "held:invalid"]


def _die_at(when: Callable[[str], bool]) -> Hook:
    def hook(point: str) -> None:
        if when(point):
            raise Death(point)

    return hook
