"""An order of which only some lines have come leaves in time with those, and is made whole by a
correction that repeats all of it under the same key (SPEC114 table 7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from broker.deadline_watch import DeadlineWatch
from broker.demo.messages import CBC, Line, Times, oru
from broker.demo.people import CLINIC, PEOPLE
from broker.lateness import AHEAD
from broker.opening_hours import ALWAYS, OpeningHours, read_hours
from broker.packages import Sealer
from broker.scheduler import Scheduler
from broker.store.schema import alarm, package
from broker.submission import Submission
from mapping.record import CORRECTION_KEY, record_from_json
from tests.integration.broker_stage import NOW, Stage, open_stage
from tests.integration.scripted_gateway import ScriptedGateway

TIMES = Times.before(NOW)
ALL_LINES = {
    "1": "4.71",
    "2": "13.2",
    "3": "245",
    "4": "6.50",
    "5": "39.9",
    "6": "84.7",
    "7": "28.0",
    "8": "33.1",
}
WAIT = timedelta(minutes=15)
PRESS = timedelta(hours=2)
PARTS_AHEAD = AHEAD + PRESS


class Broker:
    """A pipeline, what sends and what warns, on one clock."""

    def __init__(self, stage: Stage, hours: OpeningHours = ALWAYS) -> None:
        self.stage = stage
        self.gateway = ScriptedGateway(stage.folder / "gateway", lambda: stage.now)
        sealer = Sealer(
            stage.writer, stage.reader, stage.folder / "packages", lambda: stage.now, 1000
        )
        submission = Submission(
            stage.writer,
            {CLINIC: self.gateway.uploader(CLINIC)},
            sealer.path,
            lambda: stage.now,
            poll=timedelta(minutes=5),
            settle=timedelta(minutes=30),
            send_timeout=5,
        )
        self.scheduler = Scheduler(
            stage.writer,
            stage.reader,
            sealer,
            submission,
            lambda: stage.now,
            wait=WAIT,
            press=PRESS,
            parts_ahead=PARTS_AHEAD,
            hours={CLINIC: hours},
        )
        self.watch = DeadlineWatch(
            stage.writer, stage.reader, lambda: stage.now, {CLINIC: hours}, ahead=AHEAD
        )

    async def turn(self) -> None:
        await self.scheduler.work_once()
        await self.stage.work()
        await self.watch.look()

    async def run_until(self, at: datetime, step: timedelta = timedelta(minutes=5)) -> None:
        """Turn by turn, as the service would."""
        while self.stage.now < at:
            self.stage.now = min(at, self.stage.now + step)
            await self.turn()

    def alarms(self) -> list[str]:
        with self.stage.reader.connect() as connection:
            return [row.kind for row in connection.execute(alarm.select())]

    async def fetch_verdict(self) -> None:
        self.stage.later(minutes=10)
        await self.turn()

    def standing(self) -> list[dict[str, str]]:
        """What NHI holds: the rows of each order, by number."""
        return [
            {row["r1"]: row["r4"] for row in order["rows"]}
            for order in self.gateway.ledger.summary()["accepted"]
        ]


@asynccontextmanager
async def open_broker(folder: Path, hours: OpeningHours = ALWAYS) -> AsyncIterator[Broker]:
    async with open_stage(folder) as stage:
        await stage.load_visits()
        yield Broker(stage, hours)


def blood(
    control_id: str, *, final: int, hours: int = 0, rest: str = "P", lines: range = range(1, 9)
) -> bytes:
    """A blood count reported ``hours`` after the first time, of which ``final`` lines are final
    and the others have the status ``rest`` and no value. It tells of ``lines`` only."""
    times = Times(TIMES.collected, TIMES.received, TIMES.reported + timedelta(hours=hours))
    whole = oru(control_id, PEOPLE[0], "08011C^CBC^NHI", "N200001", CBC, times, specimen="Blood")
    segments = whole.decode().split("\r")
    for at, segment in enumerate(segments):
        fields = segment.split("|")
        if fields[0] == "OBR" and final < len(CBC):
            fields[25] = "P"
        if fields[0] == "OBX" and int(fields[1]) > final:
            fields[5], fields[11] = "", rest
        segments[at] = "|".join(fields)
        if fields[0] == "OBX" and int(fields[1]) not in lines:
            segments[at] = ""
    return "\r".join(each for each in segments if each).encode() + b"\r"


def glucose(control_id: str) -> bytes:
    line = Line("GLUC", "Glucose", "NM", "98", "mg/dL", "70-99")
    return oru(
        control_id, PEOPLE[0], "09005C^Glucose^NHI", "N200002", (line,), TIMES, specimen="Serum"
    )


def header_of(row: Any) -> dict[str, str]:
    item = record_from_json(json.loads(row.body))
    return {tag: item.value(tag) for tag in CORRECTION_KEY}


async def test_what_has_come_of_an_order_leaves_when_its_clock_presses_and_the_rest_corrects_it(
    tmp_path: Path,
) -> None:
    async with open_broker(tmp_path) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        (row,) = stage.records()
        await broker.run_until(row.due_at - PARTS_AHEAD - timedelta(minutes=1), WAIT)
        assert broker.gateway.sends == [], "nothing presses yet"
        stage.later(minutes=1)
        await broker.turn()
        await broker.fetch_verdict()
        assert stage.states() == ["accepted"]
        part = {number: ALL_LINES[number] for number in ("4", "1", "2")}
        assert broker.standing() == [part], "three lines and nothing for the five that are awaited"
        (first,) = stage.records()
        assert first.confirmed_at < first.due_at
        assert broker.alarms() == [], "nobody is warned of what only waited for its rest"

        stage.later(hours=30)
        await stage.receive(blood("2", final=8, hours=50))
        assert stage.states() == ["accepted", "ready"]
        whole = stage.records()[1]
        assert header_of(whole) == header_of(first), "or NHI would take it for a second order"
        assert whole.confirmed_at == first.confirmed_at, "the first upload fixes the time"
        stage.now += WAIT
        await broker.turn()
        await broker.fetch_verdict()
        assert stage.states() == ["superseded", "accepted"]
        assert broker.standing() == [ALL_LINES]
        ledger = broker.gateway.ledger.summary()
        assert (ledger["duplicates"], ledger["suspected"]) == (0, [])
        assert len(broker.gateway.sends) == 2


async def test_an_order_that_becomes_whole_leaves_once_and_waits_for_its_clock_no_more(
    tmp_path: Path,
) -> None:
    async with open_broker(tmp_path) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        due_at = stage.records()[0].due_at
        await broker.run_until(stage.now + timedelta(hours=5), WAIT)
        await stage.receive(blood("2", final=5, hours=4))
        await broker.run_until(stage.now + timedelta(hours=1), WAIT)
        assert broker.gateway.sends == [], "three lines are still awaited"
        await stage.receive(blood("3", final=8, hours=6, lines=range(6, 9)))
        assert stage.records()[-1].due_at == due_at, "the first lines' clock keeps running"
        await broker.run_until(stage.now + WAIT)
        await broker.fetch_verdict()
        assert broker.standing() == [ALL_LINES]
        assert len(broker.gateway.sends) == 1


async def test_an_order_whose_rest_the_laboratory_gives_up_is_whole(tmp_path: Path) -> None:
    async with open_broker(tmp_path) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        await stage.receive(blood("2", final=3, hours=1, rest="X"))
        await broker.run_until(stage.now + WAIT)
        await broker.fetch_verdict()
        assert broker.standing() == [{number: ALL_LINES[number] for number in ("4", "1", "2")}]


async def test_a_whole_order_does_not_wait_for_the_part_of_another(tmp_path: Path) -> None:
    async with open_broker(tmp_path) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        await stage.receive(glucose("2"))
        await broker.run_until(stage.now + WAIT)
        assert stage.states() == ["ready", "checking"], "and takes no part along"


async def test_a_part_leaves_before_its_card_does(tmp_path: Path) -> None:
    hours = read_hours(["daily 08:00-20:00"])
    async with open_broker(tmp_path, hours) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        closes_at = hours.closes_at(stage.now)
        assert closes_at is not None
        await broker.run_until(stage.records()[0].due_at, WAIT)
        (row,) = stage.records()
        assert row.confirmed_at == closes_at - PRESS, "its clock presses while the card is away"
        assert broker.alarms() == []


async def test_a_part_that_cannot_leave_is_alarmed_like_a_whole_order(tmp_path: Path) -> None:
    async with open_broker(tmp_path) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        due_at = stage.records()[0].due_at
        stage.now = due_at - AHEAD - timedelta(minutes=1)
        await broker.watch.look()
        assert broker.alarms() == []
        stage.now = due_at - AHEAD
        await broker.watch.look()
        assert broker.alarms() == ["at-risk"]
        stage.now = due_at + timedelta(minutes=1)
        await broker.watch.look()
        assert broker.alarms() == ["at-risk", "missed"]


async def test_the_rest_that_comes_while_the_part_is_on_its_way_waits_for_its_verdict(
    tmp_path: Path,
) -> None:
    async with open_broker(tmp_path) as broker:
        stage = broker.stage
        await stage.receive(blood("1", final=3))
        stage.now = stage.records()[0].due_at - PARTS_AHEAD
        await broker.turn()
        await stage.receive(blood("2", final=8, hours=22))
        assert stage.states() == ["checking", "held:waiting_verdict"]
        await broker.fetch_verdict()
        assert stage.states() == ["accepted", "ready"]
        stage.now += WAIT
        await broker.turn()
        await broker.fetch_verdict()
        assert broker.standing() == [ALL_LINES]
        assert broker.gateway.ledger.summary()["duplicates"] == 0


async def test_an_order_of_which_nothing_is_final_does_not_leave_however_its_clock_presses(
    tmp_path: Path,
) -> None:
    async with open_broker(tmp_path) as broker:
        await broker.stage.receive(blood("1", final=0))
        broker.stage.later(hours=23)
        await broker.turn()
        assert broker.stage.states() == ["held:waiting_final"]
        assert broker.gateway.sends == []
        with broker.stage.reader.connect() as connection:
            assert connection.execute(package.select()).all() == []
