"""A person chooses the visit of a held result or puts it aside; each choice is kept."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.bootstrap.hand_work import HandWork
from broker.choices import (
    NoSuchRecord,
    NotACandidate,
    NotADecision,
    OtherOrder,
    read_decision,
)
from broker.demo.messages import Line, Times, oru
from broker.demo.people import PEOPLE, Person, national_id, visits
from broker.store.schema import receipt, visit
from mapping.record import record_from_json
from mapping.visit import Order, Visit
from tests.integration.broker_stage import NOW, PROFILE, Stage, open_stage
from tests.integration.test_opt_outs import COMMAND, SETTINGS

TIMES = Times.before(NOW)
PERSON = PEOPLE[1]
VISIT = replace(visits(NOW)[1], orders=(Order("09015C", card_mark="03"),))


def earlier(days: int = 1, **change: Any) -> Visit:
    """A visit of the same person with the same order some days before."""
    span = timedelta(days=days)
    values = {"card_at": VISIT.card_at - span, "visit_on": VISIT.visit_on - span}
    return replace(VISIT, visit_serial=f"{days:04d}", **{**values, **change})


def creatinine(
    control_id: str,
    value: str = "0.9",
    status: str = "F",
    number: str = "N100001",
    person: Person = PERSON,
    hours: float = 0,
) -> bytes:
    line = Line("CREA", "Creatinine", "NM", value, "mg/dL", "0.6-1.3")
    span = timedelta(hours=hours)
    times = Times(TIMES.collected + span, TIMES.received + span, TIMES.reported + span)
    return oru(control_id, person, "CREA", number, (line,), times, status=status)


async def bring(stage: Stage, *cards: Visit) -> None:
    await stage.receive(write_ic_card(cards), Media.IC_CARD_XML, source="clinic")


async def decide(stage: Stage, **plain: Any) -> dict[str, Any]:
    """What the control door does with it."""

    async def replay(_: int) -> bool:
        return False

    hands = HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        {"lab": PROFILE},
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
    )
    told = await hands.orders()["decide"](json.dumps({"by": "Lin", **plain}).encode(), {})
    await stage.work()
    return told


def candidates(stage: Stage, index: int = 0) -> list[dict[str, Any]]:
    text = stage.records()[index].candidates
    found: list[dict[str, Any]] = json.loads(text)["visits"] if text else []
    return found


def serial(stage: Stage, index: int) -> str:
    return record_from_json(json.loads(stage.records()[index].body)).value("h7")


def kept(stage: Stage) -> dict[str, Any]:
    with stage.reader.connect() as connection:
        row = connection.execute(receipt.select().order_by(receipt.c.id.desc())).first()
    assert row is not None
    assert row.content == "correction"
    found: dict[str, Any] = json.loads(row.raw)
    return found


async def test_a_held_result_keeps_its_candidates_in_order_and_a_person_chooses_one(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT, earlier(10))
        await stage.receive(creatinine("1"))
        assert stage.states() == ["held:unmatched"]
        first, second = candidates(stage)
        assert first["score"] > second["score"]
        assert (first["visit_on"], second["visit_on"]) == (
            VISIT.visit_on.isoformat(),
            earlier(10).visit_on.isoformat(),
        )
        assert PERSON.national_id not in stage.records()[0].candidates
        told = await decide(stage, record_id=stage.records()[0].id, visit_id=second["visit"])
        assert told["requeued"] == 1
        assert stage.states() == ["ready"]
        assert serial(stage, 0) == "0010"
        assert kept(stage)["match"]["by"] == "Lin"


async def test_a_later_word_on_the_result_follows_the_choice(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT, earlier(10))
        await stage.receive(creatinine("1"))
        second = candidates(stage)[1]["visit"]
        await decide(stage, record_id=stage.records()[0].id, visit_id=second)
        await stage.receive(creatinine("2", "1.1", "C"))
        assert stage.states() == ["superseded", "ready"]
        assert serial(stage, 1) == "0010"


async def test_another_persons_result_under_the_same_number_follows_no_choice(
    tmp_path: Path,
) -> None:
    other = replace(PEOPLE[0], birth_on=PEOPLE[0].birth_on)
    theirs = replace(VISIT, national_id=other.national_id, birth_on=other.birth_on)
    again = replace(earlier(10), national_id=other.national_id, birth_on=other.birth_on)
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT, earlier(10), theirs, again)
        await stage.receive(creatinine("1"))
        await decide(stage, record_id=stage.records()[0].id, visit_id=candidates(stage)[1]["visit"])
        await stage.receive(creatinine("2", person=other))
        assert stage.states() == ["ready", "held:unmatched"]


@pytest.mark.parametrize("blank", [True, False])
async def test_a_mistyped_or_missing_id_shows_the_visit_that_was_meant(
    tmp_path: Path, blank: bool
) -> None:
    text = PERSON.national_id
    wrong = "" if blank else text[:4] + str((int(text[4]) + 1) % 10) + text[5:]
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1", person=replace(PERSON, national_id=wrong)))
        assert stage.states() == ["held:unmatched"]
        (candidate,) = candidates(stage)
        await decide(stage, record_id=stage.records()[0].id, visit_id=candidate["visit"])
        assert stage.states() == ["ready"]
        made = record_from_json(json.loads(stage.records()[0].body))
        assert made.value("h9") == PERSON.national_id, "as on the card"


async def test_only_a_candidate_with_that_very_order_can_be_chosen(tmp_path: Path) -> None:
    stranger = replace(VISIT, national_id=national_id("Q", 19912345), birth_on=PEOPLE[3].birth_on)
    async with open_stage(tmp_path) as stage:
        await bring(stage, replace(VISIT, orders=(Order("09015B"),)), stranger)
        await stage.receive(creatinine("1"))
        record_id = stage.records()[0].id
        (family,) = candidates(stage)
        assert family["order_code"] == "09015B"
        with pytest.raises(OtherOrder):
            await decide(stage, record_id=record_id, visit_id=family["visit"])
        with stage.reader.connect() as connection:
            ids = [row.id for row in connection.execute(visit.select())]
        (other,) = set(ids) - {family["visit"]}
        with pytest.raises(NotACandidate) as refused:
            await decide(stage, record_id=record_id, visit_id=other)
        assert stranger.national_id not in str(refused.value)
        with pytest.raises(NoSuchRecord):
            await decide(stage, record_id=999, visit_id=other)
        assert stage.states() == ["held:unmatched"]


async def test_a_chosen_visit_that_is_cancelled_meanwhile_is_not_uploaded(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT, earlier(10))
        await stage.receive(creatinine("1"))
        second = candidates(stage)[1]["visit"]
        await decide(stage, record_id=stage.records()[0].id, visit_id=second)
        gone = replace(earlier(10), orders=(replace(VISIT.orders[0], cancelled=True),))
        await bring(stage, gone)
        assert stage.states() == ["held:unmatched"]


async def test_when_one_of_two_orders_gets_its_result_the_other_result_goes_on(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT, earlier(3))
        await stage.receive(creatinine("1"))
        assert stage.states() == ["held:unmatched"]
        await stage.receive(creatinine("2", "1.3", number="N100002", hours=-48))
        assert stage.states() == ["ready", "ready"]
        assert [serial(stage, 0), serial(stage, 1)] == [VISIT.visit_serial, "0003"]


# Put aside


async def test_a_result_that_no_order_has_room_for_can_be_put_aside(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1"))
        await stage.receive(creatinine("2", "1.9", number="N100002", hours=3))
        assert stage.states() == ["ready", "held:unmatched"]
        row = stage.records()[1]
        assert "order-answered" in row.findings
        await decide(stage, record_id=row.id, reason="drawn twice by mistake")
        assert stage.states() == ["ready", "superseded"]
        assert kept(stage)["dismiss"]["reason"] == "drawn twice by mistake"
        assert "drawn twice" not in stage.records()[1].findings
        with pytest.raises(NoSuchRecord):
            await decide(stage, record_id=row.id, reason="again")
        # It stays so when the card data comes again.
        await bring(stage, replace(VISIT, provider_id=national_id("C", 19900078)))
        assert stage.states() == ["ready", "superseded"]


async def test_of_two_results_that_disagree_the_one_that_is_left_goes_on(tmp_path: Path) -> None:
    one, two = creatinine("1"), creatinine("1", "2.9")
    both = one + two[two.index(b"ORC|") :].replace(b"OBR|1|", b"OBR|2|")
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(both)
        assert stage.states() == ["held:invalid", "held:invalid"]
        await decide(stage, record_id=stage.records()[0].id, reason="the lab says the second")
        assert stage.states() == ["superseded", "ready"]
        made = record_from_json(json.loads(stage.records()[1].body))
        assert made.rows[0]["r4"].value == "2.9"


async def test_what_is_held_for_a_field_cannot_be_put_aside(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1"))
        with pytest.raises(NoSuchRecord):
            await decide(stage, record_id=stage.records()[0].id, reason="no")
        assert stage.states() == ["ready"]


@pytest.mark.parametrize(
    "plain",
    [
        {"record_id": 1, "by": " ", "visit_id": 1},
        {"record_id": 1, "by": "Lin"},
        {"record_id": 1, "by": "Lin", "reason": " "},
    ],
)
def test_a_decision_needs_a_name_and_a_dismissal_a_reason(plain: dict[str, Any]) -> None:
    with pytest.raises(NotADecision):
        read_decision(plain)


# The commands


async def _prepare(folder: Path) -> None:
    (folder / "labbroker.toml").write_text(SETTINGS, "utf-8")
    async with open_stage(folder / "store") as stage:
        await bring(stage, VISIT, earlier(10))
        await stage.receive(creatinine("1"))


async def _states(folder: Path) -> list[str]:
    async with open_stage(folder / "store") as stage:
        await stage.work()
        return stage.states()


def run(folder: Path, *command: str, language: str = "en") -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMAND, *command, "--config", str(folder / "labbroker.toml")],
        capture_output=True,
        text=True,
        check=False,
        env={"LABBROKER_LANG": language, "PATH": "", "PYTHONUTF8": "1"},
    )
    return done.returncode, done.stdout, done.stderr


def test_the_commands_list_choose_and_put_aside(tmp_path: Path) -> None:
    asyncio.run(_prepare(tmp_path))
    code, out, err = run(tmp_path, "match", "1")
    assert (code, err) == (0, "")
    assert out.count("points") == 2
    assert "same national id" in out
    assert PERSON.national_id not in out
    assert "身分證號相同" in run(tmp_path, "match", "1", language="zh-TW")[1]
    found = json.loads(run(tmp_path, "match", "1", "--json")[1])["candidates"]
    assert run(tmp_path, "match", "1", str(found[0]["visit"]))[0] == 2, "nobody decided"
    choose = ("match", "1", str(found[0]["visit"]), "--by", "Lin")
    assert run(tmp_path, *choose)[0] == 0
    assert asyncio.run(_states(tmp_path)) == ["ready"]
    assert run(tmp_path, *choose)[0] == 2
    assert run(tmp_path, "dismiss", "1", "--by", "Lin", "--reason", "no")[0] == 2


def test_the_command_asks_a_running_service(tmp_path: Path) -> None:
    asyncio.run(_prepare(tmp_path))
    process = subprocess.Popen(
        [*COMMAND, "serve", "--config", str(tmp_path / "labbroker.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        next(line for line in process.stdout if "ready" in line)
        code, out, err = run(
            tmp_path, "dismiss", "1", "--by", "Lin", "--reason", "paid by herself", "--json"
        )
        assert (code, err) == (0, "")
        assert json.loads(out)["record"] == 1
        assert run(tmp_path, "dismiss", "1", "--by", "Lin", "--reason", "x")[0] == 2
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert asyncio.run(_states(tmp_path)) == ["superseded"]
    log = (tmp_path / "labbroker.log").read_text("utf-8")
    assert "record.dismissed" in log
    assert "paid by herself" not in log
