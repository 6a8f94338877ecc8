"""A unit that a laboratory changes holds its results until a person confirms it; a range does
not."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from broker.bootstrap.hand_work import HandWork
from broker.bootstrap.readers import READERS
from broker.cli.main import main
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, PEOPLE
from broker.pipeline import Pipeline
from broker.store.line_habits import (
    Confirmation,
    NothingChanged,
    changed_counts,
    changed_habits,
    load_habits,
)
from broker.store.receipts import replay_receipt
from broker.unmapped_codes import gather_evidence, unmapped_codes
from mapping.line_habits import LineHabits
from tests.integration.broker_stage import NOW, PROFILE, Stage, open_stage

GLUCOSE = Line("GLUC", "Glucose", "NM", "90", "mg/dL", "70-99")


def result(control_id: str, line: Line, person: int, days: int = 0) -> bytes:
    return oru(control_id, PEOPLE[person], "CHEM", f"N{control_id:0>6}", (line,), Times.before(NOW))


def watched(stage: Stage) -> LineHabits:
    """The stage's pipeline with the watch, as the service builds it after a start."""
    with stage.reader.connect() as connection:
        habits = LineHabits(load_habits(connection))
    stage.pipeline._drafting = replace(stage.pipeline._drafting, habits=habits)
    return habits


def hands(stage: Stage, habits: LineHabits) -> HandWork:
    async def replay(_: int) -> bool:
        return False

    return HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        {"lab": PROFILE},
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
        habits=habits,
    )


async def confirm(stage: Stage, habits: LineHabits, unit: str, *, keep: bool = False) -> Any:
    body = json.dumps(asdict(Confirmation("lab", "GLUC", unit, keep, "Wang"))).encode()
    told = await hands(stage, habits).orders()["codes-confirm"](body, {})
    await stage.work()
    return told


def findings(stage: Stage) -> list[list[str]]:
    return [[each["code"] for each in json.loads(row.findings)] for row in stage.records()]


async def first_and_changed(stage: Stage) -> LineHabits:
    """One result as ever, and the same patient's next in another unit."""
    habits = watched(stage)
    await stage.load_visits()
    await stage.receive(result("1", GLUCOSE, 0))
    await stage.pretend(1, "accepted", was_accepted=True)
    correction = replace(GLUCOSE, value="5.0", unit="mmol/L")
    await stage.receive(result("1", correction, 0))
    return habits


async def test_a_changed_unit_holds_the_first_result_and_one_confirmation_lets_it_go(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        habits = await first_and_changed(stage)
        assert stage.states()[0] == "accepted"
        assert stage.states()[-1] == "held:invalid"
        assert "unit-changed" in findings(stage)[-1]
        with stage.reader.connect() as connection:
            (changed,) = changed_habits(connection)
            assert changed_counts(connection) == {"unit-changed": 1}
        assert (changed.habit.value, changed.before) == ("mmol/L", ("mg/dL",))
        assert await confirm(stage, habits, "mmol/l") == {"confirmed": 1, "requeued": 1}
        assert "unit-changed" not in findings(stage)[-1]
        with stage.reader.connect() as connection:
            assert changed_counts(connection) == {}
            assert [each.value for each in load_habits(connection) if each.kind == "unit"] == [
                "mmol/L"
            ]
        with pytest.raises(NothingChanged):
            await confirm(stage, habits, "mmol/L")


@pytest.mark.parametrize(("keep", "again"), [(False, True), (True, False)])
async def test_the_earlier_unit_is_a_change_again_unless_both_were_confirmed(
    tmp_path: Path, keep: bool, again: bool
) -> None:
    async with open_stage(tmp_path) as stage:
        habits = await first_and_changed(stage)
        await confirm(stage, habits, "mmol/L", keep=keep)
        await stage.receive(result("3", replace(GLUCOSE, value="91"), 0))
        assert ("unit-changed" in findings(stage)[-1]) is again


async def test_a_changed_range_is_told_once_and_holds_nothing(tmp_path: Path) -> None:
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    async with open_stage(tmp_path) as stage:
        habits = watched(stage)
        await stage.load_visits()
        await stage.receive(result("1", line, 1))
        await stage.pretend(1, "accepted", was_accepted=True)
        await stage.receive(result("1", replace(line, value="1.0", reference="0.5-1.1"), 1))
        assert stage.states()[-1] == "ready"
        assert "range-changed" in findings(stage)[-1]
        with stage.reader.connect() as connection:
            assert changed_counts(connection) == {"range-changed": 1}
        told = await hands(stage, habits).orders()["codes-confirm"](
            json.dumps(asdict(Confirmation("lab", "CREA", "", False, "Wang"))).encode(), {}
        )
        assert told == {"confirmed": 1, "requeued": 0}


async def test_a_unit_that_is_held_stays_held_after_a_restart_and_a_replay(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await first_and_changed(stage)
        receipt_id = stage.records()[-1].receipt_id
    async with open_stage(tmp_path) as stage:
        watched(stage)
        await stage.writer.write(lambda c: replay_receipt(c, receipt_id))
        await stage.work()
        assert stage.states()[-1] == "held:invalid"
        assert "unit-changed" in findings(stage)[-1]


async def test_a_draft_made_before_the_confirmation_is_not_stored_after_it(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        habits = await first_and_changed(stage)
        original = Pipeline._store
        late: list[bool] = []

        def meanwhile(pipeline: Pipeline, work: Any, turn: Any) -> Any:
            store = original(pipeline, work, turn)
            if not late:
                late.append(True)
                habits.load([each._replace(known=True) for each in _kept(stage)])
            return store

        with mock.patch.object(Pipeline, "_store", meanwhile):
            await stage.writer.write(lambda c: replay_receipt(c, stage.records()[-1].receipt_id))
            await stage.work()
        assert "unit-changed" not in findings(stage)[-1]


def _kept(stage: Stage) -> list[Any]:
    with stage.reader.connect() as connection:
        return load_habits(connection)


async def test_what_a_code_was_sent_with_is_evidence_for_an_unknown_one(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        watched(stage)
        await stage.load_visits()
        await stage.receive(result("1", GLUCOSE, 0))
        await stage.receive(result("2", replace(GLUCOSE, code="G9"), 2))
        with stage.reader.connect() as connection:
            (unknown,) = unmapped_codes(connection)
            evidence = gather_evidence(connection, unknown, {"lab": PROFILE}, READERS)
        (link,) = [each for each in evidence.known if each.code == "GLUC"]
        assert (link.ranges, link.sent_unit) == (("70-99",), "mg/dL")


def test_the_commands_list_what_changed_and_confirm_it(tmp_path: Path) -> None:
    settings = f"""
data_dir = "store"
[[source]]
id = "lab"
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
"""
    (tmp_path / "labbroker.toml").write_text(settings, "utf-8")

    async def fill() -> None:
        async with open_stage(tmp_path / "store") as stage:
            await first_and_changed(stage)

    asyncio.run(fill())

    def codes(*arguments: str, language: str = "en") -> tuple[int, str]:
        out = io.StringIO()
        with (
            mock.patch.dict(os.environ, {"LABBROKER_LANG": language}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            code = main(["codes", *arguments, "--config", str(tmp_path / "labbroker.toml")])
        return code, out.getvalue()

    code, text = codes("drift")
    assert code == 1
    assert "mg/dL → mmol/L" in text
    assert codes("drift", language="zh-TW")[1] != text
    assert json.loads(codes("drift", "--json")[1])["changes"][0]["before"] == ["mg/dL"]
    assert codes("confirm", "lab", "GLUC", "--unit", "mmol/L", "--by", "W") == (
        0,
        "1 confirmed; 1 receipts are read again\n",
    )
    assert codes("drift") == (0, "No unit and no range has changed.\n")
    assert codes("confirm", "lab", "GLUC")[0] == 2
