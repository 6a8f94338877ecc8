"""Orders that a clinic tells by HL7 bring the placer number; the card data brings the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, PEOPLE, visits
from broker.store.visit_orders import orders_without_result
from broker.store.visits import find_visits
from mapping.match import Reason
from mapping.match_candidates import chosen
from mapping.visit import Visit
from tests.integration.broker_stage import NOW, Stage, open_stage

PERSON = PEOPLE[1]
TIMES = Times.before(NOW)
DAY = TIMES.collected
GLUCOSE = "09005C"


def order(
    number: str = "P-1", code: str = "09015C", control: str = "NW", *, hours: float = 0
) -> bytes:
    at = f"{DAY + timedelta(hours=hours):%Y%m%d%H%M%S}"
    segments = (
        f"MSH|^~\\&|HIS|{CLINIC}|BROKER||{at}||OML^O21^OML_O21|{number}{control}|P|2.5.1",
        f"PID|1||{PERSON.national_id}^^^^NNTWN||Test^Two||{PERSON.birth_on:%Y%m%d}|F",
        f"ORC|{control}|{number}|||||||{at}",
        f"OBR|1|{number}||{code}^order^NHI",
    )
    return "\r".join((*segments, "")).encode("ascii")


def creatinine(number: str = "") -> bytes:
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    raw = oru(f"R{number}", PERSON, "CREA", "N100001", (line,), TIMES)
    return raw.replace(b"OBR|1||", f"OBR|1|{number}|".encode(), 1)


def card(*, minutes: float = 0, serial: str = "0021") -> Visit:
    known = visits(NOW)[1]
    at = known.card_at + timedelta(minutes=minutes)
    return replace(known, card_at=at, visit_serial=serial)


async def tell(stage: Stage, *raws: bytes) -> None:
    for raw in raws:
        await stage.receive(raw, source="clinic")


async def bring(stage: Stage, *cards: Visit) -> None:
    await stage.receive(write_ic_card(cards), Media.IC_CARD_XML, source="clinic")


def reasons(stage: Stage) -> set[str]:
    return {each["code"] for row in stage.records() for each in json.loads(row.findings)}


def known(stage: Stage) -> list[Visit]:
    with stage.reader.connect() as connection:
        return [each for _, each in find_visits(connection, CLINIC, PERSON.national_id)]


async def test_a_result_for_an_order_without_card_data_is_held_and_goes_on_when_it_comes(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await tell(stage, order())
        await stage.receive(creatinine("P-1"))
        assert stage.states() == ["held:unmatched"]
        assert "match-no-card-data" in reasons(stage)
        await bring(stage, card())
        assert stage.states() == ["ready"]


@pytest.mark.parametrize("first", ["order", "card"])
async def test_the_card_event_gets_the_number_whichever_comes_first(
    tmp_path: Path, first: str
) -> None:
    async with open_stage(tmp_path) as stage:
        if first == "card":
            await bring(stage, card())
            await tell(stage, order())
        else:
            await tell(stage, order())
            await bring(stage, card())
        (event,) = (each for each in known(stage) if not each.provisional)
        numbers = {each.order_code: each.placer_order_number for each in event.orders}
        assert numbers["09015C"] == "P-1"
        assert [each.order_code for each in event.orders].count("09015C") == 1
        await stage.receive(creatinine("P-2"))
        assert "match-placer-number-differs" in reasons(stage)
        await stage.receive(creatinine("P-1"))
        assert stage.states()[-1] == "ready"


async def test_card_data_that_comes_again_does_not_double_the_order(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await tell(stage, order())
        await bring(stage, card())
        before = known(stage)
        await bring(stage, replace(card(), makeup_code="2"))
        await tell(stage, order(hours=1))
        after = [replace(each, makeup_code="1", place="") for each in known(stage)]
        strip = [replace(each, place="") for each in before]
        assert [replace(each, orders=()) for each in after] == [
            replace(each, orders=()) for each in strip
        ]
        card_orders = [each.orders for each in after if not each.provisional]
        assert card_orders == [each.orders for each in strip if not each.provisional]


@pytest.mark.parametrize("cards_first", [True, False])
async def test_a_number_stays_with_neither_of_two_visits_of_one_day(
    tmp_path: Path, cards_first: bool
) -> None:
    async with open_stage(tmp_path) as stage:
        events = (card(), card(minutes=90, serial="0022"))
        if cards_first:
            await bring(stage, *events)
            await tell(stage, order())
        else:
            await tell(stage, order())
            for event in events:
                await bring(stage, event)
        numbers = [
            each.placer_order_number
            for event in known(stage)
            if not event.provisional
            for each in event.orders
        ]
        assert set(numbers) == {""}
        await stage.receive(creatinine("P-1"))
        assert stage.states() == ["held:unmatched"]
        assert "match-several-visits" in reasons(stage)


@pytest.mark.parametrize("hours", [1, 30])
async def test_a_cancelled_order_holds_its_result(tmp_path: Path, hours: float) -> None:
    async with open_stage(tmp_path) as stage:
        await tell(stage, order())
        await bring(stage, card())
        await stage.receive(creatinine("P-1"))
        assert stage.states() == ["ready"]
        await tell(stage, order(control="CA", hours=hours))
        assert stage.states() == ["held:unmatched"]
        assert "match-order-cancelled" in reasons(stage)


async def test_a_cancelled_order_does_not_come_back_under_its_number(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await tell(stage, order(), order(control="CA"), order(hours=0.5))
        await bring(stage, card())
        await bring(stage, card())
        await stage.receive(creatinine("P-1"))
        assert stage.states() == ["held:unmatched"]
        await tell(stage, order("P-3", hours=1))
        assert stage.states() == ["held:unmatched"]


async def test_a_cancelled_order_of_another_number_changes_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await tell(stage, order())
        await bring(stage, card())
        await stage.receive(creatinine("P-1"))
        await tell(stage, order("P-9", "09001C", control="CA"))
        assert stage.states() == ["ready"]


async def test_nobody_is_offered_a_visit_without_card_data_nor_can_choose_it(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await tell(stage, order())
        await stage.receive(creatinine("P-1"))
        assert not stage.records()[0].candidates
        (visit,) = known(stage)
        assert chosen(visit, "09015C").reasons == (Reason.NO_CARD_DATA,)


async def test_an_order_waits_for_a_result_once_whether_or_not_a_message_told_it_too(
    tmp_path: Path,
) -> None:
    def waiting(stage: Stage) -> list[str]:
        with stage.reader.connect() as connection:
            return [row.order_code for row in orders_without_result(connection, stage.now)]

    async with open_stage(tmp_path) as stage:
        await tell(stage, order())
        assert waiting(stage) == []
        await bring(stage, card())
        assert waiting(stage).count("09015C") == 1


async def test_an_order_of_another_clinic_changes_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, card())
        await tell(stage, order(control="CA").replace(CLINIC.encode(), b"3500000009"))
        await stage.receive(creatinine())
        assert stage.states() == ["ready"]
