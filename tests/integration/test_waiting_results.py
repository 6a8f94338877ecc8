"""Results that wait for a visit or for a verdict: none waits for ever, the last word wins."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Door, Media, Payload
from broker.demo.messages import Line, Times, bundle, oru
from broker.demo.people import PEOPLE, visits
from broker.store.record_moves import release_waiting
from mapping.record import record_from_json
from tests.integration.broker_stage import NOW, Stage, open_stage

pytestmark = pytest.mark.usefixtures("both_stores")

TIMES = Times.before(NOW)
ONE, TWO = PEOPLE[0], PEOPLE[1]


def creatinine(control_id: str, value: str, status: str = "F", minutes: int = 0) -> bytes:
    line = Line("CREA", "Creatinine", "NM", value, "mg/dL", "0.6-1.3")
    times = Times(TIMES.collected, TIMES.received, TIMES.reported + timedelta(minutes=minutes))
    return oru(control_id, TWO, "CREA", "N100001", (line,), times, status=status)


def value_of(row: object) -> str:
    record = record_from_json(json.loads(row.body))  # type: ignore[attr-defined]
    return record.rows[0]["r4"].value


async def store(stage: Stage, raw: bytes, media: Media, source: str, control_id: str) -> None:
    await stage.intake.receive(Payload(source, Door.MLLP, media, raw, control_id))


async def test_a_visit_and_its_result_that_are_read_together_find_each_other(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        card = write_ic_card(visits(NOW))
        await store(stage, card, Media.IC_CARD_XML, "clinic", "")
        await store(stage, creatinine("1", "0.9"), Media.HL7V2, "lab", "1")
        await stage.work()
        assert stage.states() == ["ready"]


async def test_a_result_and_its_visit_that_are_read_together_find_each_other(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await store(stage, creatinine("1", "0.9"), Media.HL7V2, "lab", "1")
        card = write_ic_card(visits(NOW))
        await store(stage, card, Media.IC_CARD_XML, "clinic", "")
        await stage.work()
        assert stage.states() == ["ready"]


async def accept_and_release(stage: Stage, record_id: int) -> None:
    """What a verdict does: the record is accepted, those that wait for it are read again."""
    await stage.pretend(record_id, "accepted", confirmed_at=stage.now, was_accepted=True)
    await stage.writer.write(lambda c: release_waiting(c, [record_id]))
    await stage.work()


async def test_a_second_correction_waits_as_well_while_the_first_version_is_on_its_way(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        await stage.receive(creatinine("2", "1.9", "C"))
        await stage.receive(creatinine("3", "2.9", "C", minutes=5))
        assert stage.states() == ["checking", "held:waiting_verdict", "held:waiting_verdict"]
        await accept_and_release(stage, first.id)
        assert stage.states() == ["accepted", "superseded", "ready"]
        assert value_of(stage.records()[2]) == "2.9"


async def test_the_later_of_two_corrections_of_one_minute_wins(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        await stage.receive(creatinine("2", "1.9", "C"))
        await stage.receive(creatinine("3", "2.9", "C"))
        await accept_and_release(stage, first.id)
        ready = [row for row in stage.records() if row.state == "ready"]
        assert [value_of(row) for row in ready] == ["2.9"]


async def test_a_correction_back_to_the_first_value_is_not_lost_while_it_waits(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        await stage.receive(creatinine("2", "1.9", "C"))
        await stage.receive(creatinine("3", "0.9", "C", minutes=5))
        await accept_and_release(stage, first.id)
        ready = [row for row in stage.records() if row.state == "ready"]
        # Either the two corrections cancel out, or the second is the one that goes.
        assert [value_of(row) for row in ready] in ([], ["0.9"])


async def test_a_correction_that_came_by_another_door_is_released_too(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        line = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
        await stage.receive(oru("1", ONE, "GLUC", "N300001", (line,), TIMES))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        changed = bundle(
            "X9", ONE, "09005C", "Glucose AC", TIMES, value="95", unit="mg/dL",
            low="70", high="99",
        ).replace(b'"status": "final"', b'"status": "corrected"')  # fmt: skip
        await stage.receive(changed, Media.FHIR_JSON)
        assert stage.states() == ["checking", "held:waiting_verdict"]
        await accept_and_release(stage, first.id)
        assert stage.states() == ["accepted", "ready"]
        assert value_of(stage.records()[1]) == "95"


async def test_the_same_result_again_while_the_first_is_on_its_way_changes_nothing(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        await stage.receive(creatinine("2", "0.9"))
        await accept_and_release(stage, first.id)
        assert stage.states() == ["accepted", "superseded"]


WBC = Line("WBC", "White cells", "NM", "6.5", r"10\S\3/uL", "4-10")
HGB = Line("HGB", "Hemoglobin", "NM", "13.2", "g/dL", "12-16")
LOW_HGB = Line("HGB", "Hemoglobin", "NM", "10.2", "g/dL", "12-16", "L")
NO_RANGE_HGB = Line("HGB", "Hemoglobin", "NM", "10.2", "g/dL")


def blood(control_id: str, *lines: Line, status: str = "F", minutes: int = 0) -> bytes:
    times = Times(TIMES.collected, TIMES.received, TIMES.reported + timedelta(minutes=minutes))
    return oru(control_id, ONE, "08011C^CBC^NHI", "N200001", lines, times, status=status)


def values_of(row: object) -> dict[str, str]:
    record = record_from_json(json.loads(row.body))  # type: ignore[attr-defined]
    return {item["r1"].value: item["r4"].value for item in record.rows}


def ready(stage: Stage) -> list[dict[str, str]]:
    return [values_of(row) for row in stage.records() if row.state == "ready"]


async def test_a_correction_of_one_line_that_comes_before_the_visit_costs_no_other_line(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(blood("1", WBC, HGB))
        await stage.receive(blood("2", LOW_HGB, status="C"))
        await stage.load_visits()
        assert ready(stage) == [{"4": "6.5", "2": "10.2"}]


async def test_lines_that_come_late_and_out_of_order_are_added(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("2", LOW_HGB, minutes=5))
        await stage.receive(blood("1", WBC, HGB))
        assert ready(stage) == [{"4": "6.5", "2": "10.2"}]


async def test_a_correction_that_was_held_as_invalid_costs_no_line_of_the_next_one(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", WBC, HGB))
        first = stage.records()[0]
        await stage.pretend(first.id, "accepted", confirmed_at=stage.now, was_accepted=True)
        await stage.receive(blood("2", NO_RANGE_HGB, status="C"))
        assert stage.states() == ["accepted", "held:invalid"]
        await stage.receive(blood("3", LOW_HGB, status="C", minutes=9))
        assert ready(stage) == [{"4": "6.5", "2": "10.2"}]
        assert stage.records()[2].was_accepted


async def test_a_part_of_what_was_accepted_again_is_not_uploaded_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", WBC, HGB))
        first = stage.records()[0]
        await stage.pretend(first.id, "accepted", confirmed_at=stage.now, was_accepted=True)
        await stage.receive(blood("2", HGB, minutes=9))
        assert stage.states() == ["accepted", "superseded"]


async def test_a_cancellation_takes_the_waiting_correction_with_it_and_tells_a_person(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        await stage.receive(creatinine("2", "1.9", "C"))
        await stage.receive(creatinine("3", "1.9", "X", minutes=9))
        await accept_and_release(stage, first.id)
        assert stage.states() == ["accepted", "superseded", "held:invalid"]
