"""Results whose national id is wrong or missing are tried again when a visit comes later that a
person could mean: nobody must read them again by hand to see it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.choices import Decision, apply_decision
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, PEOPLE, Person, visits
from broker.store.visits import store_visits
from mapping.visit import Order, Visit
from tests.integration.broker_stage import NOW, Stage, open_stage

PERSON = PEOPLE[1]
VISIT = replace(visits(NOW)[1], orders=(Order("09015C", card_mark="03"),))
MISTYPED = replace(PERSON, national_id=PERSON.national_id[:5] + "7" + PERSON.national_id[6:])
NAMELESS = replace(PERSON, national_id="")


def creatinine(person: Person, control_id: str = "1", number: str = "N100001") -> bytes:
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    return oru(control_id, person, "CREA", number, (line,), Times.before(NOW))


async def bring(stage: Stage, *cards: Visit) -> None:
    await stage.receive(write_ic_card(cards), Media.IC_CARD_XML, source="clinic")


async def store(stage: Stage, *told: Visit) -> int:
    """What an order message of the clinic says, which has numbers and perhaps no card event."""
    accepted = await stage.receive(b"MSH|^~\\&|", Media.UNKNOWN, source="clinic")
    requeued = await stage.writer.write(lambda c: store_visits(c, accepted.receipt_id, told))
    await stage.work()
    return requeued


def candidates(stage: Stage, index: int = 0) -> list[dict[str, Any]]:
    text = stage.records()[index].candidates
    found: list[dict[str, Any]] = json.loads(text)["visits"] if text else []
    return found


@pytest.mark.parametrize("person", [MISTYPED, NAMELESS], ids=["mistyped", "missing"])
async def test_a_visit_that_comes_later_becomes_a_candidate_and_can_be_chosen(
    tmp_path: Path, person: Person
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine(person))
        assert candidates(stage) == []
        await bring(stage, VISIT)
        assert stage.states() == ["held:unmatched"]
        (candidate,) = candidates(stage)
        record_id = stage.records()[0].id
        decision = Decision(record_id, "Lin", candidate["visit"])
        await stage.writer.write(lambda c: apply_decision(c, 1, decision))
        await stage.work()
        assert stage.states() == ["ready"]


async def test_a_visit_with_the_same_order_number_is_found_whatever_the_birth_date_says(
    tmp_path: Path,
) -> None:
    other = replace(MISTYPED, birth_on=date(1975, 1, 4))
    async with open_stage(tmp_path) as stage:
        # The placer's own number stands in ORC-2.
        told = creatinine(other, number="P77").replace(b"ORC|RE||P77", b"ORC|RE|P77|P77")
        await stage.receive(told)
        numbered = Order("09015C", card_mark="03", placer_order_number="P77")
        assert await store(stage, replace(VISIT, orders=(numbered,))) == 1
        assert "placer-number" in str(candidates(stage)[0]["signs"])


async def test_card_data_that_replaces_what_an_order_message_told_is_tried_as_well(
    tmp_path: Path,
) -> None:
    provisional = replace(
        VISIT,
        national_id=MISTYPED.national_id,
        visit_type="",
        visit_serial="",
        provisional=True,
        card_at=VISIT.card_at.replace(hour=16, minute=0, second=0) - timedelta(days=1),
    )
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine(MISTYPED))
        await store(stage, provisional)
        assert candidates(stage) == []
        await bring(stage, VISIT)
        assert [each["visit_on"] for each in candidates(stage)] == [VISIT.visit_on.isoformat()]


async def test_a_result_that_found_its_visit_is_left_alone(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine(PERSON))
        assert stage.states() == ["ready"]
        twin = replace(VISIT, national_id=PEOPLE[3].national_id)
        assert await store(stage, twin) == 0


async def test_a_visit_of_somebody_else_tries_nothing_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine(MISTYPED))
        assert await store(stage, visits(NOW)[0]) == 0
        assert await store(stage, replace(VISIT, institution_code="3599900002")) == 0


async def test_the_look_for_waiting_results_goes_by_an_index(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        told: list[str] = []

        def explain(connection: Any) -> None:
            for condition, values in (
                ("birth_on IS NOT NULL AND record.birth_on = :value", "1975-04-01"),
                ("placer_order_number != '' AND record.placer_order_number IN (:value)", "P77"),
            ):
                rows = connection.execute(
                    text(
                        "EXPLAIN QUERY PLAN SELECT receipt_id FROM record WHERE "  # noqa: S608
                        "record.state = 'held' AND record.clinic_code = :clinic "
                        f"AND record.{condition}"
                    ),
                    {"clinic": CLINIC, "value": values},
                )
                told.append(" ".join(row.detail for row in rows))

        await stage.writer.write(explain)
        assert "record_held_birth" in told[0]
        assert "record_held_number" in told[1]
