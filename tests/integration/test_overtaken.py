"""A word that takes a result back may come in before the result: the end is the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from broker.demo.messages import CBC, Line, Times, oru
from broker.demo.people import PEOPLE
from tests.integration.broker_stage import NOW, Stage, open_stage

TIMES = Times.before(NOW)
PERSON = PEOPLE[1]


def creatinine(control_id: str, status: str = "F", minutes: int = 0, value: str = "0.9") -> bytes:
    line = Line("CREA", "Creatinine", "NM", value, "mg/dL", "0.6-1.3")
    times = Times(TIMES.collected, TIMES.received, TIMES.reported + timedelta(minutes=minutes))
    return oru(control_id, PERSON, "CREA", "N100001", (line,), times, status=status)


def undated(raw: bytes) -> bytes:
    """The same without the time of the report (OBR-22)."""
    segments = raw.decode().split("\r")
    parts = [
        "|".join([*each.split("|")[:22], "", *each.split("|")[23:]]) if each[:4] == "OBR|" else each
        for each in segments
    ]
    return "\r".join(parts).encode()


def codes(stage: Stage, index: int) -> str:
    found: str = stage.records()[index].findings
    return found


async def test_a_result_that_was_taken_back_before_it_came_is_not_uploaded(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("2", "X", minutes=10))
        assert stage.states() == ["held:invalid"]
        await stage.receive(creatinine("1"))
        assert stage.states() == ["superseded", "superseded"]
        assert "withdrawn-before" in codes(stage, 1)


async def test_the_same_result_sent_again_after_it_was_taken_back_is_not_uploaded(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1"))
        await stage.receive(creatinine("2", "X", minutes=10))
        await stage.receive(creatinine("3"))
        assert stage.states() == ["superseded"] * 3


async def test_a_result_that_was_said_after_the_withdrawal_goes_on(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1"))
        await stage.receive(creatinine("2", "X", minutes=10))
        await stage.receive(creatinine("3", minutes=20, value="1.0"))
        assert stage.states() == ["superseded", "superseded", "ready"]


@pytest.mark.parametrize("strip", [True, False])
async def test_whether_it_came_before_or_after_is_a_persons_question_where_no_time_tells(
    tmp_path: Path, strip: bool
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("2", "X"))
        raw = creatinine("1")
        await stage.receive(undated(raw) if strip else raw)
        assert stage.states() == ["held:invalid", "held:invalid"]
        assert "perhaps-withdrawn" in codes(stage, 1)
        # A correction is later by its own word.
        correction = creatinine("3", "C", minutes=-5, value="1.1")
        await stage.receive(correction)
        assert stage.states()[2] == "ready"


async def test_a_panel_of_which_a_line_was_taken_back_before_it_came_waits_for_a_person(
    tmp_path: Path,
) -> None:
    def blood(control_id: str, status: str, *lines: Line) -> bytes:
        raw = oru(control_id, PEOPLE[0], "08011C^CBC^NHI", "N200001", lines, TIMES)
        return raw.replace(b"|||F|||", b"|||" + status.encode() + b"|||")

    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        platelets = next(line for line in CBC if line.code == "PLT")
        await stage.receive(blood("2", "X", platelets))
        await stage.receive(blood("1", "F", *CBC))
        assert stage.states() == ["held:invalid", "held:invalid"]
        assert "perhaps-withdrawn" in codes(stage, 1)


async def test_another_result_of_the_person_is_not_touched(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("2", "X", minutes=10))
        line = Line("GLUC", "Glucose", "NM", "92", "mg/dL", "70-99")
        await stage.receive(oru("9", PEOPLE[0], "GLUC", "N100002", (line,), TIMES))
        assert stage.states() == ["held:invalid", "ready"]
