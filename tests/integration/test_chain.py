"""Versions of one order's result: corrections, repeats, two doors, late visits, replays."""

from __future__ import annotations

import json
from pathlib import Path

from adapters.ports.intake import Media
from broker.demo.messages import Line, Times, bundle, oru
from broker.demo.people import PEOPLE, STRANGER
from broker.store.receipts import replay_receipt
from mapping.profile import Agreement, Route
from mapping.record import CORRECTION_KEY, record_from_json
from tests.integration.broker_stage import AGREEMENT, NOW, PROFILE, Stage, open_stage

TIMES = Times.before(NOW)
ONE, TWO = PEOPLE[0], PEOPLE[1]


def creatinine(control_id: str, value: str, status: str = "F", number: str = "N100001") -> bytes:
    line = Line("CREA", "Creatinine", "NM", value, "mg/dL", "0.6-1.3")
    return oru(control_id, TWO, "CREA", number, (line,), TIMES, status=status)


def row_values(row: object, tag: str) -> list[str]:
    record = record_from_json(json.loads(row.body))  # type: ignore[attr-defined]
    return [item[tag].value for item in record.rows]


async def accept(stage: Stage, record_id: int) -> None:
    await stage.pretend(record_id, "accepted", confirmed_at=stage.now, was_accepted=True)


async def test_a_result_with_its_visit_is_ready_and_its_clock_runs_from_our_receipt(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        (row,) = stage.records()
        assert (row.state, row.order_code) == ("ready", "09015C")
        assert (row.due_at - NOW).total_seconds() == 24 * 3600
        assert row_values(row, "r4") == ["0.9"]


async def test_a_correction_before_sealing_replaces_the_first_and_keeps_its_clock(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        stage.later(hours=3)
        await stage.receive(creatinine("2", "1.9", "C"))
        first, second = stage.records()
        assert stage.states() == ["superseded", "ready"]
        assert second.due_at == first.due_at
        assert row_values(second, "r4") == ["1.9"]


async def test_a_correction_of_an_accepted_result_repeats_its_key(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await accept(stage, first.id)
        await stage.receive(creatinine("2", "1.9", "C"))
        first, second = stage.records()
        assert stage.states() == ["accepted", "ready"]
        key = [record_from_json(json.loads(row.body)).value for row in (first, second)]
        assert [key[0](tag) for tag in CORRECTION_KEY] == [key[1](tag) for tag in CORRECTION_KEY]
        assert second.confirmed_at == first.confirmed_at
        assert second.was_accepted


async def test_a_correction_of_one_line_repeats_the_whole_order(tmp_path: Path) -> None:
    lines = (
        Line("WBC", "White cells", "NM", "6.5", r"10\S\3/uL", "4-10"),
        Line("HGB", "Hemoglobin", "NM", "13.2", "g/dL", "12-16"),
    )
    changed = (Line("HGB", "Hemoglobin", "NM", "10.2", "g/dL", "12-16", "L"),)
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(oru("1", ONE, "08011C^CBC^NHI", "N200001", lines, TIMES))
        await accept(stage, stage.records()[0].id)
        await stage.receive(oru("2", ONE, "08011C^CBC^NHI", "N200001", changed, TIMES, status="C"))
        row = stage.records()[1]
        assert row.state == "ready"
        pairs = zip(row_values(row, "r1"), row_values(row, "r4"), strict=True)
        assert dict(pairs) == {"4": "6.5", "2": "10.2"}


async def test_the_same_result_in_another_message_is_not_uploaded_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await accept(stage, stage.records()[0].id)
        stage.later(hours=1)
        await stage.receive(creatinine("2", "0.9"))
        assert stage.states() == ["accepted", "superseded"]


async def test_the_same_result_by_another_door_is_not_uploaded_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        line = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
        await stage.receive(oru("1", ONE, "GLUC", "N300001", (line,), TIMES))
        await stage.receive(
            bundle("X9", ONE, "09005C", "Glucose AC", TIMES, value="92", unit="mg/dL",
                   low="70", high="99"),
            Media.FHIR_JSON,
        )  # fmt: skip
        living = [state for state in stage.states() if state != "superseded"]
        assert living == ["ready"]


async def test_a_correction_waits_while_the_first_version_is_on_its_way(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        first = stage.records()[0]
        await stage.pretend(first.id, "checking", confirmed_at=stage.now)
        corrected = await stage.receive(creatinine("2", "1.9", "C"))
        assert stage.states() == ["checking", "held:waiting_verdict"]
        await accept(stage, first.id)
        await stage.writer.write(lambda c: replay_receipt(c, corrected.receipt_id))
        await stage.work()
        assert stage.states() == ["accepted", "ready"]


async def test_an_older_version_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("2", "1.9", "C"))
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["ready", "superseded"]
        assert row_values(stage.records()[0], "r4") == ["1.9"]


async def test_a_result_waits_for_its_visit_and_then_goes(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["held:unmatched"]
        stage.later(hours=2)
        await stage.load_visits()
        assert stage.states() == ["ready"]
        # The clock ran while it waited.
        assert (stage.records()[0].due_at - NOW).total_seconds() == 24 * 3600


async def test_a_stranger_is_never_given_somebody_elses_visit(tmp_path: Path) -> None:
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(oru("1", STRANGER, "CREA", "N100001", (line,), TIMES))
        assert stage.states() == ["held:unmatched"]


async def test_a_replay_after_the_code_was_mapped_frees_the_result(tmp_path: Path) -> None:
    line = Line("XCREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    raw = oru("1", TWO, "XCREA", "N100001", (line,), TIMES)
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        receipt = await stage.receive(raw)
        assert stage.states() == ["held:unmapped"]
    from dataclasses import replace

    from mapping.profile import CodeLink

    mapped = replace(PROFILE, codes={**PROFILE.codes, "XCREA": CodeLink("09015C", 1)})
    async with open_stage(tmp_path, mapped) as stage:
        assert await stage.writer.write(lambda c: replay_receipt(c, receipt.receipt_id))
        await stage.work()
        assert stage.states() == ["superseded", "ready"]


async def test_a_replay_changes_nothing_of_what_has_left(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        receipt = await stage.receive(creatinine("1", "0.9"))
        await stage.pretend(stage.records()[0].id, "checking", confirmed_at=stage.now)
        before = stage.records()
        await stage.writer.write(lambda c: replay_receipt(c, receipt.receipt_id))
        await stage.work()
        assert stage.records() == before


async def test_a_cancellation_before_upload_drops_the_result(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(creatinine("2", "0.9", "X"))
        assert "ready" not in stage.states()


async def test_without_an_agreement_nobody_uploads_and_a_person_is_told(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agreements=()) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["held:invalid"]
        assert "no-agreement" in stage.records()[0].findings


async def test_what_the_laboratory_uploads_is_not_uploaded_here(tmp_path: Path) -> None:
    other = Agreement(AGREEMENT.lab_code, AGREEMENT.clinic_code, Route.LAB)
    async with open_stage(tmp_path, agreements=(other,)) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["held:other_party_uploads"]


async def test_a_poisoned_payload_is_quarantined_and_the_next_goes_on(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(b"MSH|^~\\&|\xff\xfe broken \x80\r", control_id="bad")
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["ready"]


async def test_a_reader_that_crashes_quarantines_its_receipt_only(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        real = stage.pipeline._readers[Media.HL7V2]

        def fragile(raw: bytes, profile: object) -> object:
            if b"N666" in raw:
                raise KeyError("a fault of the program")
            return real(raw, profile)  # type: ignore[arg-type]

        stage.pipeline._readers = {**stage.pipeline._readers, Media.HL7V2: fragile}  # type: ignore[dict-item]
        await stage.receive(creatinine("1", "0.9", number="N666"))
        await stage.receive(creatinine("2", "0.8", number="N777"))
        assert stage.states() == ["ready"]


async def test_lines_that_fit_no_row_of_their_panel_are_held_not_lost(tmp_path: Path) -> None:
    line = Line("RDW", "Red cell width", "NM", "13.1", "%", "11-15")
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(oru("1", ONE, "08011C^CBC^NHI", "N400001", (line,), TIMES))
        assert stage.states() == ["held:unmapped"]


async def test_a_withdrawn_line_takes_the_ready_result_back(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(creatinine("2", "0.9", "W"))
        assert "ready" not in stage.states()


async def test_a_foreign_line_beside_an_orders_own_is_held_not_lost(tmp_path: Path) -> None:
    lines = (
        Line("09005C", "Glucose AC", "NM", "92", "mg/dL", "70-99"),
        Line("XYZ", "Mystery", "NM", "1", "U/L", "1-5"),
    )
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(oru("1", ONE, "09005C^Glucose^NHI", "N500001", lines, TIMES))
        assert sorted(stage.states()) == ["held:unmapped", "ready"]


async def test_a_training_message_is_never_uploaded(tmp_path: Path) -> None:
    line = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        raw = oru("1", TWO, "CREA", "N100001", (line,), TIMES, processing="T")
        await stage.receive(raw)
        assert stage.states() == ["held:invalid"]
        assert "hl7-not-production" in stage.records()[0].findings


async def test_a_training_message_never_corrects_a_real_result(tmp_path: Path) -> None:
    line = Line("CREA", "Creatinine", "NM", "9.9", "mg/dL", "0.6-1.3")
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await accept(stage, stage.records()[0].id)
        raw = oru("2", TWO, "CREA", "N100001", (line,), TIMES, status="C", processing="T")
        await stage.receive(raw)
        assert stage.states() == ["accepted", "held:invalid"]
