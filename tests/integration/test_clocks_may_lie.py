"""Clocks jump, stand still and run backwards, machines have any time zone, and people were born in
summers that Taiwan had a summer time: no deadline is missed and no date is wrong."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.deadline import LIMIT
from broker.demo.messages import Line, Times, oru
from broker.demo.people import PEOPLE, visits
from broker.states import PackageState
from broker.store.schema import package, record
from mapping.moment import TAIPEI
from mapping.record import record_from_json
from tests.integration.broker_stage import NOW, open_stage
from tests.integration.submission_play import OTHER, Play
from tests.integration.submission_stage import CLINIC

SEEDS = int(os.environ.get("LABBROKER_LYING_CLOCKS", "1"))
STEP = timedelta(minutes=20)
ROUNDS = 60
FARTHEST = timedelta(hours=6)
CREATININE = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")


def confirmations(play: Play) -> dict[str, datetime]:
    """When the gateway, whose clock is right, took the order of each person."""
    ledger = play.ledger()
    at = {
        each["receipt_number"]: datetime.fromisoformat(each["confirmed_at"])
        for each in ledger["packages"]
    }
    return {each["header"]["h9"]: at[each["receipt_number"]] for each in ledger["accepted"]}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_the_clock_does_nothing_is_lost_doubled_or_late(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    play = Play(tmp_path, wait=timedelta(minutes=15))
    await play.stage.start()
    arrived: dict[str, datetime] = {}
    frozen = 0
    for number in range(ROUNDS):
        if number < ROUNDS - 10 and chance.random() < 0.25:
            for each in await play.stage.tell(1, chance.choice((CLINIC, OTHER))):
                arrived[each] = play.clock.true_time()
        lie = chance.random()
        if lie < 0.1:
            wrong = timedelta(hours=chance.uniform(-1, 1) * FARTHEST / timedelta(hours=1))
            play.clock.wall = play.clock.true_time() + wrong
        elif lie < 0.15:
            frozen = chance.randrange(1, 6)
        elif lie < 0.3:
            play.clock.wall = play.clock.true_time()
        await play.stage.turn()
        before = play.clock.wall
        play.clock.pass_time(STEP)
        if frozen:
            play.clock.wall, frozen = before, frozen - 1
    play.clock.wall = play.clock.true_time()
    await play.stage.run()
    ledger = play.ledger()
    assert (ledger["duplicates"], ledger["suspected"]) == (0, [])
    found = {row.national_id: row for row in play.stage.rows(record)}
    assert found.keys() == arrived.keys()
    assert len(arrived) > 3
    confirmed = confirmations(play)
    for person, row in found.items():
        if row.state == "rejected":
            # The gateway took no date that was to come: a person sends it again, and is warned.
            (failed,) = (each for each in play.stage.rows(package) if each.id == row.package_id)
            assert failed.state == PackageState.FAILED.value
            assert person not in confirmed
        else:
            assert row.state == "accepted"
            assert confirmed[person] - arrived[person] < LIMIT
    assert all(each.state != "sealed" for each in play.stage.rows(package))
    play.stage.end()


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not hasattr(time, "tzset"):
        pytest.skip("this system takes no time zone from the environment")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


# Summer time began in Taiwan on the one of these days and ended for good on the other.
BORN = (date(1975, 4, 1), date(1979, 10, 1))


async def test_no_zone_of_the_machine_and_no_summer_time_moves_a_date(
    tmp_path: Path, zone: str
) -> None:
    # Half past midnight in Taipei is the day before in UTC.
    collected = datetime(2026, 11, 20, 0, 30, tzinfo=TAIPEI)
    reported = datetime(2026, 11, 20, 0, 59, 59, tzinfo=TAIPEI)
    for number, born in enumerate(BORN):
        person = replace(PEOPLE[1], birth_on=born)
        async with open_stage(tmp_path / str(number)) as stage:
            known = [
                replace(each, birth_on=born)
                for each in visits(NOW)
                if each.national_id == person.national_id
            ]
            await stage.receive(write_ic_card(known), Media.IC_CARD_XML, source="clinic")
            times = Times(collected, collected, reported)
            await stage.receive(oru("1", person, "CREA", "N100001", (CREATININE,), times))
            assert stage.states() == ["ready"], zone
            (row,) = stage.records()
            told = record_from_json(json.loads(row.body))
            assert told.value("h10") == f"{born.year - 1911:03d}{born:%m%d}"
            assert told.rows[0]["r10"].value == "1151120005959"
            assert row.clock_started_at == NOW, "r14: when we received it"
            assert row.due_at - row.clock_started_at == LIMIT


async def test_a_leap_second_is_the_first_of_the_next_minute(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        raw = oru("1", PEOPLE[1], "CREA", "N100001", (CREATININE,), Times.before(NOW))
        reported = Times.before(NOW).reported.strftime("%Y%m%d%H%M%S")
        leap = Times.before(NOW).reported.strftime("%Y%m%d%H%M60")
        assert reported.encode() in raw
        await stage.receive(raw.replace(reported.encode(), leap.encode()))
        (row,) = stage.records()
        assert row.state == "ready"
        told = record_from_json(json.loads(row.body))
        after = Times.before(NOW).reported.replace(second=0) + timedelta(minutes=1)
        assert told.rows[0]["r10"].value == f"{after.year - 1911:03d}{after:%m%d%H%M%S}"
