"""Groups of held and rejected records, put right at once: new versions, nothing talked away."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.bootstrap.hand_work import HandWork
from broker.corrections import (
    FieldNotSettable,
    FixPlan,
    FixRequest,
    NoSuchGroup,
    NothingProposed,
    ProposalNeedsPerson,
)
from broker.demo.messages import Line, oru
from broker.demo.people import PEOPLE, Person, national_id, visits
from broker.store.corrections import Correction, CorrectionCounts, store_corrections
from broker.store.receipts import replay_receipt
from broker.store.schema import record
from broker.worklist import open_causes
from mapping.causes import Cause
from mapping.finding import Finding
from mapping.profile import SourceProfile
from mapping.proposals import Change
from mapping.record import UploadRecord, record_from_json, record_to_json
from mapping.visit import Order
from tests.integration.broker_stage import NOW, PROFILE, Stage, open_stage
from tests.integration.verdict_stage import (
    TIMES,
    Report,
    bring,
    desk,
    receipt_row,
    receive_orders,
    sent_records,
    submit,
)

TODAY = date(2026, 11, 20)


def hand_work(stage: Stage, profile: SourceProfile = PROFILE) -> HandWork:
    async def replay(receipt_id: int) -> bool:
        return await stage.writer.write(lambda c: replay_receipt(c, receipt_id))

    return HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        {"lab": profile},
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
    )


def causes(stage: Stage, profile: SourceProfile = PROFILE) -> tuple[Cause, ...]:
    with stage.reader.connect() as connection:
        return open_causes(connection, {"lab": profile}, TODAY)


def only_cause(stage: Stage, profile: SourceProfile = PROFILE) -> Cause:
    (cause,) = causes(stage, profile)
    return cause


def body(row: Any) -> UploadRecord:
    return record_from_json(json.loads(row.body))


async def rewrite(stage: Stage, record_id: int, **header: str) -> None:
    """What the record says of the visit was wrong from the start."""
    (row,) = [each for each in stage.records() if each.id == record_id]
    plain = record_to_json(body(row))
    for tag, value in header.items():
        plain["h"][tag] = [value, "visit"]
    text = json.dumps(plain)
    await stage.writer.write(
        lambda c: c.execute(update(record).where(record.c.id == record_id).values(body=text))
    )


async def rejected_stage(stage: Stage, code: str, tag: str, **header: str) -> Any:
    """One of four results is rejected for ``code`` at ``tag``; the others are accepted."""
    await receive_orders(stage)
    await rewrite(stage, 2, **header)
    package_id = await submit(stage)
    report = Report(sent_records(stage, package_id), {"09015C": (code, (tag,))})
    await bring(stage, report.zipped())
    assert stage.states() == ["accepted", "rejected", "accepted", "accepted"]
    return stage.records()[1]


async def test_a_rejected_record_is_put_right_by_the_visits_own_data(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        old = await rejected_stage(stage, "23", "h7", h7="9999")
        cause = only_cause(stage)
        assert (cause.first.finding.code, cause.first.finding.field) == ("23", "h7")
        assert cause.first.finding.message("zh").startswith("就醫序號錯誤")
        told = await hand_work(stage).fix(FixRequest(cause.group_id, "Wang", accept=True))
        assert told == {
            "group": cause.group_id, "ready": 1, "held": 0, "left": 0, "passed_over": {},
        }  # fmt: skip
        assert stage.states() == ["accepted", "superseded", "accepted", "accepted", "ready"]
        new = stage.records()[-1]
        field = body(new).header["h7"]
        assert (field.value, field.origin) == ("0021", "person:Wang")
        assert (new.version, new.corrects_id) == (old.version + 1, old.id)
        assert (new.due_at, new.order_identity) == (old.due_at, old.order_identity)
        assert body(stage.records()[1]) == body(old)
        await stage.work()
        kept = receipt_row(stage, new.receipt_id)
        assert (kept.media, kept.state) == ("correction", "parsed")
        assert json.loads(kept.raw)["by"] == "Wang"
        assert causes(stage) == ()


async def test_a_corrected_record_goes_out_with_the_next_package_and_is_accepted(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await rejected_stage(stage, "23", "h7", h7="9999")
        group = only_cause(stage).group_id
        await hand_work(stage).fix(FixRequest(group, "Wang", accept=True))
        stage.later(minutes=5)
        again = await submit(stage, number="1151120000018")
        report = Report(sent_records(stage, again), number="1151120000018")
        await bring(stage, report.zipped(), "again.zip")
        assert stage.states() == ["accepted", "superseded", "accepted", "accepted", "accepted"]


async def test_the_old_report_after_the_correction_changes_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        await rewrite(stage, 2, h7="9999")
        package_id = await submit(stage)
        report = Report(sent_records(stage, package_id), {"09015C": ("23", ("h7",))})
        await bring(stage, report.zipped())
        group = only_cause(stage).group_id
        await hand_work(stage).fix(FixRequest(group, "Wang", accept=True))
        before = stage.states()
        await bring(stage, report.errors(), "again.txt")
        assert stage.states() == before


def _replay(receipt_id: int, connection: Connection) -> bool:
    return replay_receipt(connection, receipt_id)


def many_people(count: int) -> list[Person]:
    return [
        replace(PEOPLE[0], national_id=national_id("A", 10000000 + number))
        for number in range(count)
    ]


async def held_without_range(stage: Stage, count: int) -> None:
    """``count`` results of as many people, each held for its missing range."""
    people = many_people(count)
    (first, *_) = visits(stage.now)
    seen = tuple(
        replace(
            first,
            national_id=person.national_id,
            birth_on=person.birth_on,
            visit_serial=f"{number:04d}",
            orders=(Order("09005C", card_mark="03"),),
        )
        for number, person in enumerate(people, start=1)
    )
    await stage.receive(write_ic_card(seen), Media.IC_CARD_XML, source="clinic")
    line = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "")
    for number, person in enumerate(people):
        message = oru(str(number), person, "GLUC", f"N8{number:05d}", (line,), TIMES)
        await stage.receive(message, control_id=str(number))
    assert stage.states() == ["held:invalid"] * count


async def test_five_hundred_records_of_one_cause_are_put_right_at_once(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await held_without_range(stage, 500)
        profile = replace(PROFILE, default_reference="70-100")
        cause = only_cause(stage, profile)
        assert len(cause.record_ids) == 500
        request = FixRequest(cause.group_id, "Wang", accept=True)
        told = await hand_work(stage, profile).fix(request)
        assert (told["ready"], told["held"], told["left"]) == (500, 0, 0)
        assert stage.states() == ["superseded"] * 500 + ["ready"] * 500
        fields = [body(row).rows[0] for row in stage.records()[500:]]
        assert {(row["r6-1"].value, row["r6-2"].value) for row in fields} == {("70", "100")}
        assert {row["r6-1"].origin for row in fields} == {"person:Wang"}
        assert causes(stage, profile) == ()
        with pytest.raises(NoSuchGroup):
            await hand_work(stage, profile).fix(request)


async def test_two_people_who_fix_the_same_group_at_once_fix_it_once(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await held_without_range(stage, 3)
        profile = replace(PROFILE, default_reference="70-100")
        work = hand_work(stage, profile).orders()["fix"]
        plain = {"group_id": only_cause(stage, profile).group_id, "by": "Wang", "accept": True}
        raw = json.dumps(plain).encode()
        one, other = await asyncio.gather(work(raw, {}), work(raw, {}), return_exceptions=True)
        assert isinstance(one, dict)
        assert one["ready"] == 3
        assert isinstance(other, NoSuchGroup)
        assert stage.states() == ["superseded"] * 3 + ["ready"] * 3


async def test_an_earlier_range_is_shown_but_only_a_person_sets_it(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        earlier = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
        await stage.receive(oru("1", PEOPLE[0], "GLUC", "N700001", (earlier,), TIMES))
        await stage.pretend(1, "accepted", confirmed_at=stage.now, was_accepted=True)
        card = replace(visits(NOW)[1], orders=(Order("09005C", card_mark="03"),))
        await stage.receive(write_ic_card((card,)), Media.IC_CARD_XML, source="clinic")
        bare = Line("GLUC", "Glucose AC", "NM", "95", "mg/dL", "")
        await stage.receive(oru("2", PEOPLE[1], "GLUC", "N700002", (bare,), TIMES))
        cause = only_cause(stage)
        proposal = cause.first.proposal
        assert proposal is not None
        assert [each.value for each in proposal.changes] == ["70", "99"]
        assert proposal.source == "record 1"
        work = hand_work(stage)
        with pytest.raises(ProposalNeedsPerson):
            await work.fix(FixRequest(cause.group_id, "Wang", accept=True))
        ranges = {"r6-1": "70", "r6-2": "99"}
        with pytest.raises(FieldNotSettable):
            await work.fix(FixRequest(cause.group_id, "", settings=ranges))
        assert stage.states() == ["accepted", "held:invalid"]
        told = await work.fix(FixRequest(cause.group_id, "Wang", settings=ranges))
        assert told["ready"] == 1
        row = body(stage.records()[-1]).rows[0]
        assert (row["r6-2"].value, row["r6-2"].origin) == ("99", "person:Wang")


async def test_a_result_is_never_set_for_several_records(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await held_without_range(stage, 2)
        group = only_cause(stage).group_id
        for tag in ("r4", "r4-1", "r7", "r8-1"):
            with pytest.raises(FieldNotSettable):
                await hand_work(stage).fix(FixRequest(group, "Wang", settings={tag: "92"}))
        for tag in ("h16", "r1", "r6", "h99", "body"):
            with pytest.raises(FieldNotSettable):
                await hand_work(stage).fix(FixRequest(group, "Wang", settings={tag: "1"}))
        assert stage.states() == ["held:invalid"] * 2


async def test_a_setting_that_does_not_mend_the_cause_is_refused(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agreements=()) as stage:
        await stage.load_visits()
        line = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
        await stage.receive(oru("1", PEOPLE[0], "GLUC", "N700001", (line,), TIMES))
        cause = only_cause(stage)
        assert cause.first.finding.code == "no-agreement"
        with pytest.raises(FieldNotSettable):
            await hand_work(stage).fix(FixRequest(cause.group_id, "W", settings={"h7": "0002"}))
        with pytest.raises(NothingProposed):
            await hand_work(stage).fix(FixRequest(cause.group_id, "W", accept=True))
        told = await hand_work(stage).fix(FixRequest(cause.group_id, "W", again=True))
        assert told["ready"] == 0
        assert stage.states() == ["held:invalid"]


async def test_a_training_message_is_never_let_out_by_a_fix(tmp_path: Path) -> None:
    line = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "")
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        message = oru("1", PEOPLE[0], "GLUC", "N700001", (line,), TIMES, processing="T")
        await stage.receive(message)
        for cause in causes(stage):
            for request in (
                FixRequest(cause.group_id, "W", again=True),
                FixRequest(cause.group_id, "W", settings={"r6-1": "70"}),
                FixRequest(cause.group_id, "W", settings={"h7": "0001"}),
            ):
                try:
                    await hand_work(stage).fix(request)
                except (FieldNotSettable, NoSuchGroup):
                    continue
        assert "ready" not in stage.states()
        assert "hl7-not-production" in {each.first.finding.code for each in causes(stage)}


async def test_a_result_that_waits_with_a_later_word_is_shown_and_never_let_out_by_a_fix(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        await stage.pretend(1, "held", held_reason="invalid")
        cause = only_cause(stage)
        assert cause.first.finding.code == "held-for-another"
        for request in (
            FixRequest(cause.group_id, "W", again=True),
            FixRequest(cause.group_id, "W", settings={"h22": "Serum"}),
        ):
            try:
                await hand_work(stage).fix(request)
            except FieldNotSettable:
                continue
        assert stage.states()[0] == "held:invalid"


async def test_a_fix_that_leaves_another_fault_holds_the_record_with_it(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        await rewrite(stage, 2, h7="9999")
        package_id = await submit(stage)
        records = sent_records(stage, package_id)
        one = Report(records, {"09015C": ("23", ("h7",))}).errors()
        other = Report(records, {"09015C": ("28", ("h27",))}).errors()
        text = one.decode("cp950").replace("\r\n   23\r\n", "\r\n   23 28\r\n")
        assert other
        await bring(stage, text.encode("cp950"))
        found = {each.first.finding.code: each for each in causes(stage)}
        assert set(found) == {"23", "28"}
        told = await hand_work(stage).fix(FixRequest(found["23"].group_id, "W", accept=True))
        assert (told["ready"], told["held"]) == (0, 1)
        assert stage.states()[-1] == "held:invalid"
        left = only_cause(stage)
        assert left.first.finding.code == "28"
        told = await hand_work(stage).fix(
            FixRequest(left.group_id, "W", settings={"h27": "3599900001"})
        )
        assert told["ready"] == 1


async def test_the_same_word_of_the_lab_keeps_the_correction_and_a_new_one_wins(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await held_without_range(stage, 1)
        profile = replace(PROFILE, default_reference="70-100")
        group = only_cause(stage, profile).group_id
        await hand_work(stage, profile).fix(FixRequest(group, "W", accept=True))
        person = many_people(1)[0]
        bare = Line("GLUC", "Glucose AC", "NM", "95", "mg/dL", "")
        await stage.receive(oru("x", person, "GLUC", "N800000", (bare,), TIMES, status="C"))
        assert stage.states() == ["superseded", "superseded", "ready"]
        row = body(stage.records()[-1]).rows[0]
        assert (row["r4"].value, row["r6-1"].value) == ("95", "70")
        later = replace(TIMES, reported=TIMES.reported + timedelta(minutes=9))
        told = Line("GLUC", "Glucose AC", "NM", "95", "mg/dL", "65-105")
        await stage.receive(oru("y", person, "GLUC", "N800000", (told,), later, status="C"))
        assert stage.states() == ["superseded"] * 3 + ["ready"]
        assert body(stage.records()[-1]).rows[0]["r6-1"].value == "65"


async def test_a_replay_of_the_first_message_leaves_the_correction_alone(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await held_without_range(stage, 1)
        profile = replace(PROFILE, default_reference="70-100")
        group = only_cause(stage, profile).group_id
        await hand_work(stage, profile).fix(FixRequest(group, "W", accept=True))
        for row in list(stage.records()):
            await stage.writer.write(partial(_replay, row.receipt_id))
        await stage.work()
        assert stage.states() == ["superseded", "ready"]


async def test_the_key_of_an_order_that_nhi_accepted_is_never_changed(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await rejected_stage(stage, "23", "h7", h7="9999")
        await stage.pretend(2, "rejected", was_accepted=True)
        group = only_cause(stage).group_id
        told = await hand_work(stage).fix(FixRequest(group, "W", accept=True))
        assert told["passed_over"] == {"key-frozen": 1}
        assert stage.states()[1] == "rejected"


async def test_a_correction_that_would_double_another_record_is_passed_over(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await rejected_stage(stage, "23", "h7", h7="9999")
        # The key that the record had before it was made wrong is the one it will get back.
        await stage.pretend(1, "accepted", correction_key=stage.records()[1].correction_key)
        group = only_cause(stage).group_id
        told = await hand_work(stage).fix(FixRequest(group, "W", accept=True))
        assert told["passed_over"] == {"double": 1}


async def test_a_file_that_was_refused_whole_is_sent_again_as_it_is(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        for row in stage.records():
            await stage.pretend(row.id, "rejected", verdict_code="5003")
        cause = only_cause(stage)
        assert (cause.first.finding.code, len(cause.record_ids)) == ("package-refused", 4)
        told = await hand_work(stage).fix(FixRequest(cause.group_id, "W", again=True))
        assert told["ready"] == 4
        assert stage.states() == ["superseded"] * 4 + ["ready"] * 4


async def test_unmapped_and_unmatched_results_are_groups_by_local_code_and_order(
    tmp_path: Path,
) -> None:
    unknown = Line("XQ7", "Wonder marker", "NM", "3.1", "U/L", "1-5")
    async with open_stage(tmp_path) as stage:
        for number, person in enumerate(PEOPLE[:3]):
            message = oru(str(number), person, "XQ7", f"N70000{number}", (unknown,), TIMES)
            await stage.receive(message, control_id=str(number))
        line = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
        await stage.receive(oru("9", PEOPLE[0], "GLUC", "N700009", (line,), TIMES))
        found = {each.first.finding.code: each for each in causes(stage)}
        assert set(found) == {"unmapped-code", "match-no-visit"}
        assert found["unmapped-code"].first.subject == "XQ7"
        assert len(found["unmapped-code"].record_ids) == 3
        assert found["match-no-visit"].first.subject == "09005C"


async def test_what_nobody_can_do_anything_about_is_not_in_the_worklist(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        for record_id, reason in enumerate(
            ("opted_out", "other_party_uploads", "waiting_final", "waiting_verdict"), start=1
        ):
            await stage.pretend(record_id, "held", held_reason=reason)
        assert causes(stage) == ()


async def correct_directly(stage: Stage, record_id: int) -> CorrectionCounts:
    """As a plan that was made before something else happened would."""
    correction = Correction(record_id, (Change(0, "h22", "Serum"),))
    receipt_id = stage.records()[0].receipt_id
    return await stage.writer.write(
        lambda c: store_corrections(
            c, receipt_id, (correction,), "W", lambda _: True, stage.now, lambda _: ()
        )
    )


@pytest.mark.parametrize("state", ["sealed", "inflight", "unknown", "checking"])
async def test_a_record_that_is_on_its_way_meanwhile_is_never_corrected(
    tmp_path: Path, state: str
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        old = await rejected_stage(stage, "23", "h7", h7="9999")
        await stage.pretend(1, state, order_identity=old.order_identity)
        counts = await correct_directly(stage, old.id)
        assert counts.passed_over == (("on-its-way", 1),)
        await stage.pretend(old.id, state)
        counts = await correct_directly(stage, old.id)
        assert counts.passed_over == (("moved-on", 1),)


async def test_what_a_later_word_holds_back_is_not_let_out_by_a_plan_made_before(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        for reason in ("invalid", "unmatched", "opted_out", "waiting_verdict"):
            await stage.pretend(1, "held", held_reason=reason)
            counts = await correct_directly(stage, 1)
            assert counts.passed_over == (("held-for-another", 1),)


def test_a_plan_mends_what_nhi_said_of_its_field_and_nothing_else() -> None:
    setting = FixRequest("0", "W", settings={"h7": "0002"})
    made = (Correction(1, (Change(0, "h7", "0002"),)),)
    plan = FixPlan(setting, made, 0, "23", "h7")
    assert plan.is_mended(Finding("23", "h7"))
    assert not plan.is_mended(Finding("23", "h9"))
    assert not plan.is_mended(Finding("28", "h7"))
    ours = FixPlan(setting, made, 0, "no-agreement", "")
    assert not ours.is_mended(Finding("no-agreement", ""))
    character = FixPlan(setting, made, 0, "unencodable-character", "h7")
    assert character.is_mended(Finding("unencodable-character", "h7"))
    again = FixPlan(FixRequest("0", "W", again=True), (Correction(1),), 0, "23", "h7")
    assert again.is_mended(Finding("28", "h27"))
    assert not again.is_mended(Finding("hl7-not-production"))
