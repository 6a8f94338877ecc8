"""Orders of clinics under codes of their own wait for a person, and go on when one has decided."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.bootstrap.hand_work import HandWork
from broker.bootstrap.readers import READERS
from broker.code_maps import MappedProfiles, decision_to_json
from broker.reading_room import ReadingRoom
from broker.store.code_maps import CodeDecision, code_counts
from broker.unmapped_codes import UnmappedCode, gather_evidence, unmapped_codes
from mapping.code_map import LocalCode, build_code_map
from mapping.code_suggestions import suggest_codes
from mapping.finding import Finding
from mapping.profile import CodeLink, SourceProfile
from tests.integration.broker_stage import PROFILE, Stage, open_stage
from tests.integration.test_clinic_orders import card, creatinine, known, order

CLINIC_SOURCE = SourceProfile("clinic")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Stage, MappedProfiles]]:
    async with open_stage(folder) as stage:
        profiles = MappedProfiles({"lab": PROFILE, "clinic": CLINIC_SOURCE})
        stage.pipeline._profiles = profiles
        yield stage, profiles


async def decide(
    stage: Stage, profiles: MappedProfiles, code: str, order_code: str
) -> dict[str, Any]:
    async def replay(_: int) -> bool:
        return False

    hands = HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        profiles,
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
    )
    decision = CodeDecision("clinic", LocalCode(code), order_code, decided_by="Lin")
    told = await hands.orders()["codes"](json.dumps([decision_to_json(decision)]).encode(), {})
    await stage.work()
    return told


def waiting(stage: Stage) -> list[UnmappedCode]:
    with stage.reader.connect() as connection:
        return unmapped_codes(connection)


def orders(stage: Stage) -> set[tuple[str, str]]:
    return {
        (each.order_code, each.placer_order_number)
        for visit in known(stage)
        for each in visit.orders
    }


async def test_an_unknown_order_code_is_listed_once_however_many_orders_have_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (stage, _):
        for number in ("P-1", "P-2"):
            await stage.receive(order(number, "CR01"), source="clinic", control_id=number)
        (code,) = waiting(stage)
        assert (code.source_id, code.code, code.name, code.count) == ("clinic", "CR01", "order", 2)
        with stage.reader.connect() as connection:
            assert code_counts(connection)["unmapped"] == 1


async def test_the_orders_go_on_by_themselves_when_the_code_is_decided(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, profiles):
        await stage.receive(order("P-1", "CR01"), source="clinic")
        await stage.receive(write_ic_card([card()]), Media.IC_CARD_XML, source="clinic")
        assert ("09015C", "P-1") not in orders(stage)
        told = await decide(stage, profiles, "CR01", "09015C")
        assert told["requeued"] == 1
        assert ("09015C", "P-1") in orders(stage)
        assert waiting(stage) == []


async def test_a_result_that_came_first_finds_its_order_then(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, profiles):
        await stage.receive(order("P-1", "CR01"), source="clinic")
        event = replace(card(), orders=())
        await stage.receive(write_ic_card([event]), Media.IC_CARD_XML, source="clinic")
        await stage.receive(creatinine("P-1"))
        assert stage.states() == ["held:unmatched"]
        await decide(stage, profiles, "CR01", "09015C")
        findings: Sequence[dict[str, Any]] = json.loads(stage.records()[0].findings)
        # The order is known now; what is still missing is its card event.
        assert {"match-no-card-data", "match-no-such-order"} >= {each["code"] for each in findings}


async def test_a_code_that_is_never_uploaded_waits_no_longer(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, profiles):
        await stage.receive(order("P-1", "CHAIR"), source="clinic")
        await decide(stage, profiles, "CHAIR", "")
        assert waiting(stage) == []


async def test_suggestions_for_an_order_go_by_its_name(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, profiles):
        raw = order("P-1", "CR01").replace(b"^order^", b"^Creatinine^")
        await stage.receive(raw, source="clinic")
        with stage.reader.connect() as connection:
            (code,) = unmapped_codes(connection)
            evidence = gather_evidence(connection, code, profiles, READERS)
        assert suggest_codes(evidence)[0].order_code == "09015C"


async def test_an_order_without_any_code_is_told_and_waits_for_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as (stage, _):
        await stage.receive(order("P-1", "CR01").replace(b"CR01^order^NHI", b""), source="clinic")
        assert waiting(stage) == []


@pytest.mark.parametrize("apart", [False, True], ids=["here", "in-the-reading-room"])
async def test_decided_codes_hold_wherever_an_order_message_is_read(apart: bool) -> None:
    entries = [(LocalCode("CR01"), CodeLink("09015C"))]
    profile = replace(CLINIC_SOURCE, code_map=build_code_map(entries))
    raw = order("P-1", "CR01")
    room = ReadingRoom()
    try:
        parsed = (
            await room.read(Media.HL7V2, raw, profile)
            if apart
            else READERS[Media.HL7V2](raw, profile)
        )
    finally:
        await room.close()
    (visit,) = parsed.visits  # type: ignore[union-attr]
    assert [each.order_code for each in visit.orders] == ["09015C"]


def test_the_finding_names_code_and_name() -> None:
    parsed = READERS[Media.HL7V2](order("P-1", "CR01"), CLINIC_SOURCE)
    (finding,) = (each for each in parsed.findings if each.code == "hl7-order-code")
    assert isinstance(finding, Finding)
    assert dict(finding.parameters) == {"code": "CR01", "name": "order"}
