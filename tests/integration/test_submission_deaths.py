"""A process that dies at each point where it can: nothing is uploaded twice, nothing is forgotten.

The points are every write to the store and every step of the exchange with the gateway.
``LABBROKER_SUBMISSIONS`` is the number of packages of the long random run.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.store.schema import package, record
from tests.integration.scripted_gateway import Death, Fate
from tests.integration.submission_play import Play, serials
from tests.integration.submission_stage import (
    CLINIC,
    standing,
)

SUBMISSIONS = int(os.environ.get("LABBROKER_SUBMISSIONS", "150"))


class Countdown:
    """Dies once, at the ``at``-th point; counts the points."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.points: list[str] = []

    def __call__(self, point: str) -> None:
        if point == "after a commit":
            return  # what is on disk is the same as before the next point
        self.points.append(point)
        if len(self.points) == self.at:
            raise Death(point)


SCRIPTS: dict[str, tuple[list[Fate], list[timedelta]]] = {
    "calm": ([], []),
    "not delivered": ([Fate.NOT_DELIVERED], []),
    "time-out after accepting": ([Fate.TIME_OUT_AFTER_ACCEPTING], []),
    "torn receipt, the query lags": ([Fate.TORN_RECEIPT], [timedelta(minutes=20)]),
    "lost on the way": ([Fate.LOST_ON_THE_WAY], []),
    "lost, then taken without a receipt": (
        [Fate.LOST_ON_THE_WAY, Fate.ERROR_AFTER_ACCEPTING],
        [timedelta(minutes=20)],
    ),
}


@pytest.fixture(scope="module")
def quick_folder() -> Iterator[Path]:
    """In memory where the machine has that: what syncs cost is not what these tests are about."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def two_ready(quick_folder: Path) -> Path:
    """The folder of a broker with two results that are ready."""
    folder = quick_folder / "two-ready"

    async def prepare() -> None:
        play = Play(folder)
        await play.stage.start()
        await play.stage.tell(2)
        play.stage.end()
        play.gateway.ledger.close()

    asyncio.run(prepare())
    return folder


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_death_at_any_point_neither_doubles_nor_loses(
    quick_folder: Path, two_ready: Path, script: str
) -> None:
    async def live(at: int) -> Countdown:
        folder = quick_folder / "life"
        shutil.copytree(two_ready, folder)
        countdown = Countdown(at)
        play = Play(folder, countdown)
        fates, lags = SCRIPTS[script]
        play.fates, play.lags = list(fates), list(lags)
        await play.stage.start()
        if await play.stage.run_until_dead():
            await play.stage.restart()
            await play.stage.run()
        assert play.stage.states() == ["accepted"] * 2, (at, countdown.points)
        ledger = play.ledger()
        assert (ledger["duplicates"], ledger["suspected"]) == (0, [])
        assert [order["uploads"] for order in ledger["orders"]] == [1, 1], (at, countdown.points)
        assert len(standing(ledger)) == 2
        found = serials(play.stage)[CLINIC]
        assert found == list(range(1, len(found) + 1))
        play.stage.end()
        play.gateway.ledger.close()
        shutil.rmtree(folder)
        return countdown

    calm = await live(-1)
    assert len(calm.points) >= 10
    for point in ("before the first byte", "before a commit", "before the verdict"):
        assert point in calm.points
    for at in range(1, len(calm.points) + 1):
        assert (await live(at)).points[at - 1] == calm.points[at - 1]


# The long run


async def test_thousands_of_packages_with_faults_deaths_and_corrections(
    quick_folder: Path,
) -> None:
    """Virtual days with one send in five going wrong, a query that lags or fails, a clock that
    jumps, a process that dies: each order is at NHI once, with the value that was told last."""
    seed = int(os.environ.get("LABBROKER_SEED", "0")) or random.randrange(10**6)
    print(f"LABBROKER_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    clinics = [f"35012345{number}" for number in range(10, 16)]
    faults = [fate for fate in Fate if fate not in (Fate.CONFIRMED, Fate.REFUSED)]
    calm = dying = False

    def hook(point: str) -> None:
        nonlocal dying
        if dying or (not calm and chance.random() < 0.004):
            dying = True
            raise Death(point)

    play = Play(quick_folder / f"long-{seed}", hook)
    play.gateway.fate = lambda: (
        chance.choice(faults) if not calm and chance.random() < 0.2 else Fate.CONFIRMED
    )
    play.gateway.lag = lambda: timedelta(minutes=chance.choice((0, 0, 0, 5, 20)))
    play.gateway.down = lambda: not calm and chance.random() < 0.05
    play.stage.uploaders = {code: play.gateway.uploader(code) for code in clinics}
    await play.stage.start()
    deaths = 0

    async def revive() -> None:
        nonlocal dying, deaths
        deaths += 1
        dying = False
        await play.stage.restart()
        await play.stage.read_again()

    while len(play.gateway.sends) < SUBMISSIONS:
        try:
            for clinic in chance.sample(clinics, 3):
                await play.stage.tell(chance.randint(1, 3), clinic)
            if chance.random() < 0.5:
                await play.stage.correct(chance.choice(list(play.stage.told)[-60:]))
            await play.stage.turn()
        except Death:
            await revive()
        play.clock.pass_time(timedelta(seconds=chance.choice((20, 60, 300, 900, 3000))))
        if chance.random() < 0.02:
            play.clock.wall += timedelta(minutes=chance.choice((-30, -3, 3, 45)))
    calm = True
    if dying:
        await revive()
    play.clock.wall = max(play.clock.wall, play.clock.true_time())
    await play.stage.read_again()
    await play.stage.run()
    ledger = play.ledger()
    assert ledger["duplicates"] == 0
    assert ledger["suspected"] == []
    # Sealed on a clock that stood beyond midnight: refused for its date, for a person to see.
    rejected = [row for row in play.stage.rows(record) if row.state == "rejected"]
    assert {row.verdict_code for row in rejected} <= {"upload-date"}
    assert set(play.stage.states()) <= {"accepted", "superseded", "rejected"}
    people = {row.national_id for row in rejected}
    told = {each.national_id: each.value for each in play.stage.told.values()}
    expected = {person: value for person, value in told.items() if person not in people}
    found = standing(ledger)
    assert {person: found.get(person) for person in expected} == expected
    assert deaths > 0
    days: dict[str, list[int]] = {}
    for row in play.stage.rows(package):
        days.setdefault(row.stem[:17], []).append(int(row.stem[17:]))
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in days.values())
    play.stage.end()
