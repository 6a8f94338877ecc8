"""Check reports of packages that a person uploaded, and reports that say more than the first."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broker.corrections import FixRequest
from broker.demo.people import CLINIC
from broker.sandbox.printing import PrintedRecord, print_report
from broker.states import PackageState, RecordState
from broker.store.packages import due_packages, move_package, move_package_records
from broker.store.schema import attempt, package
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.test_fix_groups import causes, hand_work
from tests.integration.verdict_stage import (
    DAY,
    NUMBER,
    Report,
    bring,
    desk,
    finding_codes,
    package_state,
    receipt_row,
    receive_orders,
    seal,
    sent_records,
    submit,
)

SERIAL = {"09015C": ("23", ("h7",))}
UNIT_TOO = {"09015C": ("01", ("r5",))}


def attempts(stage: Stage) -> list[tuple[str, str, str]]:
    with stage.reader.connect() as connection:
        rows = connection.execute(select(attempt).order_by(attempt.c.id)).all()
    return [(row.kind, row.outcome, row.error_code) for row in rows]


async def test_a_report_proves_that_a_sealed_package_was_uploaded_by_hand(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await seal(stage)
        stage.later(hours=1)
        report = Report(sent_records(stage, package_id), SERIAL)
        taken = await bring(stage, report.zipped())
        assert stage.states() == ["accepted", "rejected", "accepted", "accepted"]
        assert package_state(stage, package_id) == "checked"
        assert finding_codes(stage, taken.receipt_id) == ["report-applied"]
        assert attempts(stage) == [("hand", "confirmed", "check-report")]
        with stage.reader.connect() as connection:
            row = connection.execute(select(package)).one()
            assert (row.receipt_number, row.confirmed_at) == (NUMBER, stage.now)
            assert due_packages(connection, stage.now + timedelta(days=2)) == []


async def test_an_error_report_alone_settles_what_it_names_and_the_rest_waits(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await seal(stage)
        await bring(stage, Report(sent_records(stage, package_id), SERIAL).errors())
        assert stage.states() == ["checking", "rejected", "checking", "checking"]
        assert package_state(stage, package_id) == "submitted"


async def test_without_its_upload_time_a_report_settles_no_sealed_package(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await seal(stage)

        def without_time(values: dict[str, str]) -> None:
            values["h16"] = ""

        report = Report(sent_records(stage, package_id), change=without_time)
        taken = await bring(stage, report.correct())
        assert stage.states() == ["sealed"] * 4
        assert receipt_row(stage, taken.receipt_id).state == "quarantined"
        assert finding_codes(stage, taken.receipt_id) == ["report-out-of-turn"]


async def test_a_report_of_another_files_upload_time_settles_no_sealed_package(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await seal(stage)

        def other_program(values: dict[str, str]) -> None:
            values["h16"] = f"{DAY}235959"

        report = Report(sent_records(stage, package_id), change=other_program)
        await bring(stage, report.correct())
        assert stage.states() == ["sealed"] * 4


async def test_a_fault_of_a_whole_file_settles_no_sealed_package(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        await seal(stage)
        whole = PrintedRecord({"h2": CLINIC}, frozenset(("h1",)), "02")
        text = print_report(CLINIC, DAY, NUMBER, [whole], False)
        await bring(stage, text.encode("cp950"))
        assert stage.states() == ["sealed"] * 4


@pytest.mark.parametrize("state", [PackageState.CLAIMED, PackageState.INFLIGHT])
async def test_a_report_while_the_package_is_being_sent_changes_nothing_and_is_kept(
    tmp_path: Path, state: PackageState
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await seal(stage)

        def begin(connection: Any) -> None:
            move_package(connection, package_id, PackageState.CLAIMED)
            if state is PackageState.INFLIGHT:
                move_package(connection, package_id, PackageState.INFLIGHT)
                move_package_records(connection, package_id, RecordState.INFLIGHT)

        await stage.writer.write(begin)
        before = stage.states()
        taken = await bring(stage, Report(sent_records(stage, package_id)).correct())
        assert stage.states() == before
        assert receipt_row(stage, taken.receipt_id).state == "quarantined"
        assert finding_codes(stage, taken.receipt_id) == ["report-out-of-turn"]


async def test_further_faults_of_a_second_error_report_join_the_first(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        await bring(stage, Report(sent_records(stage, package_id), SERIAL).errors())
        second = Report(sent_records(stage, package_id), UNIT_TOO)
        taken = await bring(stage, second.errors(), "second.txt")
        row = stage.records()[1]
        assert (row.verdict_code, row.verdict_fields) == ("23,01", "h7,r5")
        said = [(each["code"], each["field"]) for each in json.loads(row.findings)[:2]]
        assert said == [("23", "h7"), ("01", "r5")]
        told = json.loads(receipt_row(stage, taken.receipt_id).findings)[-1]
        assert dict(told["parameters"])["amended"] == "1"
        assert {cause.first.finding.code for cause in causes(stage)} == {"23", "01"}
        before = stage.records()
        again = await bring(stage, second.zipped(), "again.zip")
        assert stage.records()[1] == before[1]
        assert "verdict-adds-faults" not in finding_codes(stage, again.receipt_id)


async def test_further_faults_of_a_record_that_was_corrected_meanwhile_are_told(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        await bring(stage, Report(sent_records(stage, package_id), SERIAL).errors())
        (cause,) = causes(stage)
        await hand_work(stage).fix(FixRequest(cause.group_id, "Lin", again=True))
        assert stage.states()[1] == "superseded"
        second = Report(sent_records(stage, package_id), UNIT_TOO)
        taken = await bring(stage, second.errors(), "second.txt")
        assert "verdict-adds-faults" in finding_codes(stage, taken.receipt_id)
        assert stage.states()[-1] == "ready"
        again = await bring(stage, second.zipped(), "again.zip")
        assert "verdict-adds-faults" not in finding_codes(stage, again.receipt_id)
