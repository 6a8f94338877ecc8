"""Codes that a laboratory made up: asked for once, decided once, and what waited goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from broker.bootstrap.readers import READERS
from broker.code_maps import (
    MappedProfiles,
    NoSuchItem,
    UnknownOrderCode,
    UnknownSource,
    requeue_known,
)
from broker.demo.messages import Line
from broker.pipeline import Pipeline
from broker.store.code_maps import CodeDecision, add_decisions
from broker.store.receipts import replay_receipt
from broker.unmapped_codes import gather_evidence, unmapped_codes
from mapping.code_suggestions import suggest_codes
from mapping.errors import LabbrokerError
from mapping.profile import CodeLink
from mapping.record import record_from_json
from tests.integration.broker_stage import NOW, PROFILE, open_stage
from tests.integration.code_map_stage import CREATININE, UNLINKED, decide, decision, mapped, result


async def test_a_decision_sets_all_waiting_results_of_the_code_going_and_no_other(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        profiles = mapped(stage)
        await stage.load_visits()
        for number in (1, 2):
            await stage.receive(result(str(number), CREATININE, person=number))
        await stage.receive(result("9", replace(CREATININE, code="Q1")))
        assert stage.states() == ["held:unmapped"] * 3
        told = await decide(stage, profiles, [decision("K7", "09015C", 1)])
        assert told == {"version": 1, "decisions": 1, "requeued": 2}
        held = [row for row in stage.records() if row.state == "held"]
        assert [row.held_reason for row in held if row.order_code == ""] == ["unmapped"]
        assert {row.order_code for row in stage.records() if row.state != "superseded"} == {
            "",
            "09015C",
        }
        await stage.receive(result("3", replace(CREATININE, value="1.1"), person=3))
        assert stage.records()[-1].order_code == "09015C"


async def test_lines_that_name_no_row_of_their_order_are_held_beside_an_order_that_goes_on(
    tmp_path: Path,
) -> None:
    """Nothing else tells of them: their order has no line that could be a record."""
    profile = replace(PROFILE, codes={"GLUC": CodeLink("09005C"), "K7": CodeLink("09015C")})
    glucose = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
    strange = replace(CREATININE, name="Jaffe")
    async with open_stage(tmp_path, profile) as stage:
        await stage.load_visits()
        await stage.receive(result("1", glucose, strange, person=0))
        assert sorted(stage.states()) == ["held:unmapped", "ready"]
        with stage.reader.connect() as connection:
            (code,) = unmapped_codes(connection)
        assert (code.code, code.name, code.order_code) == ("K7", "Jaffe", "09015C")


async def test_each_code_is_asked_for_once_with_its_count_and_earliest_time(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        await stage.load_visits()
        for number in (1, 2, 3):
            await stage.receive(result(str(number), CREATININE, person=number))
            stage.later(hours=1)
        await stage.receive(result("4", replace(CREATININE, code="Q1", name="Urea")))
        with stage.reader.connect() as connection:
            codes = unmapped_codes(connection)
        assert [(each.code, each.name, each.count) for each in codes] == [
            ("K7", "Creatinine", 3),
            ("Q1", "Urea", 1),
        ]
        assert codes[0].due_at == min(row.due_at for row in stage.records())


async def test_the_evidence_is_what_the_results_and_the_visit_say(tmp_path: Path) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        await stage.load_visits()
        await stage.receive(result("1", CREATININE))
        with stage.reader.connect() as connection:
            (code,) = unmapped_codes(connection)
            evidence = gather_evidence(connection, code, {"lab": UNLINKED}, READERS)
        assert (evidence.names, evidence.units) == (("Creatinine",), ("mg/dL",))
        assert (evidence.values, evidence.ranges) == (("0.9",), ("0.6-1.3",))
        assert evidence.specimens == ("Serum",)
        assert evidence.ordered.get("09015C") == 1
        best = suggest_codes(evidence)[0]
        assert (best.order_code, best.item_number) == ("09015C", 1)
        assert {"name", "unit", "ordered"} <= {reason.kind for reason in best.reasons}


async def test_a_line_that_was_unmapped_when_its_order_left_becomes_a_version_of_it(
    tmp_path: Path,
) -> None:
    sent = replace(UNLINKED, codes={"CRE": CodeLink("09015C", 1)})
    known, unknown = replace(CREATININE, code="CRE"), Line("X2", "eGFR", "NM", "88", "", ">60")
    async with open_stage(tmp_path, sent) as stage:
        profiles = MappedProfiles({"lab": sent})
        stage.pipeline._profiles = profiles
        await stage.load_visits()
        accepted = await stage.receive(result("1", known, replace(unknown, name="??")))
        assert stage.states() == ["ready", "held:unmapped"]
        await stage.pretend(1, "accepted", was_accepted=True)
        await decide(stage, profiles, [decision("X2", "09015C", 2)])
        assert stage.states() == ["accepted", "superseded", "ready"]
        body = record_from_json(json.loads(stage.records()[-1].body))
        assert [row["r1"].value for row in body.rows] == ["1", "2"]
        # And once more changes nothing.
        await stage.writer.write(lambda c: replay_receipt(c, accepted.receipt_id))
        await stage.work()
        assert stage.states() == ["accepted", "superseded", "ready"]


async def test_an_order_that_was_taken_back_does_not_come_back_with_a_code(
    tmp_path: Path,
) -> None:
    sent = replace(UNLINKED, codes={"CRE": CodeLink("09015C", 1)})
    async with open_stage(tmp_path, sent) as stage:
        profiles = MappedProfiles({"lab": sent})
        stage.pipeline._profiles = profiles
        await stage.load_visits()
        lines = (replace(CREATININE, code="CRE"), Line("X2", "??", "NM", "88"))
        await stage.receive(result("1", *lines))
        await stage.pretend(1, "superseded")
        await decide(stage, profiles, [decision("X2", "09015C", 2)])
        assert stage.states() == ["superseded", "superseded"]


async def test_a_draft_made_under_an_older_code_map_is_not_stored(tmp_path: Path) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        profiles = mapped(stage)
        await stage.load_visits()
        original = Pipeline._store

        def meanwhile(pipeline: Pipeline, work: Any, *turn: Any) -> Any:
            if work.drafts and work.profile is UNLINKED:
                made = replace(UNLINKED, codes={"K7": CodeLink("09015C", 1)})
                profiles._mapped = {"lab": made}
            return original(pipeline, work, *turn)

        with mock.patch.object(Pipeline, "_store", meanwhile):
            await stage.receive(result("1", CREATININE))
        assert stage.states() == ["ready"]


async def test_a_code_that_the_settings_know_by_now_is_read_again_at_start(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        await stage.load_visits()
        await stage.receive(result("1", CREATININE))
        later = replace(UNLINKED, codes={"CHEM/K7": CodeLink("09015C", 1)})
        assert await stage.writer.write(lambda c: requeue_known(c, {"lab": UNLINKED})) == 0
        assert await stage.writer.write(lambda c: requeue_known(c, {"lab": later})) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (decision("K7", "99999Z"), UnknownOrderCode),
        (decision("K7", "09015C", 9), NoSuchItem),
        (decision("K7", "09015C", 0), NoSuchItem),
        (replace(decision("K7", "09015C"), source_id="lap"), UnknownSource),
        (replace(decision("K7", "09015C"), decided_by=""), LabbrokerError),
        (decision("", "09015C"), LabbrokerError),
    ],
)
async def test_a_decision_that_cannot_hold_is_refused_and_nothing_is_stored(
    tmp_path: Path, wrong: CodeDecision, error: type[LabbrokerError]
) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        profiles = mapped(stage)
        with pytest.raises(error):
            await decide(stage, profiles, [decision("A", "09013C"), wrong])
        with stage.reader.connect() as connection:
            profiles.load(connection)
        assert not profiles["lab"].code_map


async def test_the_history_keeps_every_version(tmp_path: Path) -> None:
    async with open_stage(tmp_path, UNLINKED) as stage:
        for order in ("09015C", "09013C", "09015C"):
            await stage.writer.write(
                lambda c, order=order: add_decisions(c, [decision("K7", order)], NOW)  # type: ignore[misc]
            )
        profiles = mapped(stage)
        with stage.reader.connect() as connection:
            profiles.load(connection)
        link = profiles["lab"].code_map.find("K7", "", "", "")
        assert link == CodeLink("09015C", None)
