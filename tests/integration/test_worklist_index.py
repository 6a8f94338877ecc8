"""The index of what waits: the same groups as reading every record, whatever changed a record."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from broker.finding_json import findings_to_json
from broker.states import HeldReason
from broker.store.fault_index import QUIET, fault
from broker.store.rows import AnyRow
from broker.store.schema import record
from broker.worklist import blocking_findings, find_cause, open_causes, open_groups
from mapping.causes import Fault, group_of
from mapping.finding import Finding, Severity
from tests.integration.broker_stage import NOW, Stage, open_stage
from tests.integration.test_fix_groups import TODAY
from tests.integration.verdict_stage import (
    Report,
    bring,
    desk,
    receive_orders,
    sent_records,
    submit,
)

SERIAL = Finding("01", "h7", "hdata", "002")
FINDINGS = {
    "one": (SERIAL,),
    "two rows of one cause": (Finding("14", "r6-1", "rdata[1]"), Finding("14", "r6-1", "rdata[2]")),
    "two causes": (SERIAL, Finding("unmapped-code", "", "OBX", "X", parameters=(("code", "X"),))),
    "a code of NHI": (Finding("nhi-code-unlisted", "h7", parameters=(("nhi_code", "99"),)),),
    "only a warning": (Finding("expected-field-empty", "r3", severity=Severity.WARNING),),
    "none": (),
    "long and odd": (Finding("01", "r4", "rdata[1]", "值\"'\\\n" * 300),),
    "a control": (Finding("unencodable-character", "r4", "rdata[1]", "a\x00b"),),
    "held beside": (Finding("held-beside", severity=Severity.WARNING),),
}  # fmt: skip


def read_all(stage: Stage) -> dict[str, list[int]]:
    """The groups as reading every record gives them."""
    groups: dict[str, dict[int, None]] = defaultdict(dict)
    quiet = {reason.value for reason in QUIET}

    def urgency(row: AnyRow) -> Any:
        return row.due_at is None, row.due_at, row.id

    for row in sorted(stage.records(), key=urgency):
        if row.state not in ("held", "rejected") or row.held_reason in quiet:
            continue
        for finding in blocking_findings(row):
            made = Fault(row.id, finding, row.lab_code, row.order_code)
            groups[group_of(made)][row.id] = None
    return {name: list(ids) for name, ids in groups.items()}


def indexed(stage: Stage) -> dict[str, list[int]]:
    with stage.reader.connect() as connection:
        return {each.group_id: list(each.record_ids) for each in open_groups(connection)}


async def change(stage: Stage, record_id: int, **values: Any) -> None:
    await stage.writer.write(
        lambda c: c.execute(update(record).where(record.c.id == record_id).values(**values))
    )


@pytest.mark.parametrize("findings", FINDINGS.values(), ids=FINDINGS)
@pytest.mark.parametrize("state", ["held", "rejected"])
async def test_the_index_names_the_groups_that_the_records_name(
    tmp_path: Path, findings: tuple[Finding, ...], state: str
) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        assert indexed(stage) == {}
        text = findings_to_json(findings)
        for record_id in (1, 2, 3):
            await change(
                stage, record_id, state=state, findings=text, verdict_code="02,05",
                held_reason="invalid", lab_code="JY00000001",
                due_at=None if record_id == 2 else NOW + timedelta(hours=5 - record_id),
            )  # fmt: skip
        if "\x00" not in text and "u0000" not in text:
            assert indexed(stage) == read_all(stage)
        with stage.reader.connect() as connection:
            causes = open_causes(connection, {}, TODAY)
        assert {number for cause in causes for number in cause.record_ids} == {1, 2, 3}
        assert next(number for cause in causes for number in cause.record_ids) == 3


@pytest.mark.parametrize("reason", list(HeldReason))
async def test_what_waits_quietly_is_not_in_the_index(tmp_path: Path, reason: HeldReason) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        await change(stage, 1, state="held", findings=findings_to_json((SERIAL,)))
        assert len(indexed(stage)) == 1
        await change(stage, 1, held_reason=reason.value)
        assert bool(indexed(stage)) is (reason not in QUIET)


async def test_whatever_changes_a_record_the_index_follows(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        await change(stage, 1, state="held", findings=findings_to_json((SERIAL,)))
        first = indexed(stage)
        await change(stage, 1, order_code="09001C")
        assert indexed(stage) == read_all(stage) != first
        await change(stage, 1, lab_code="JY00000009")
        assert indexed(stage) == read_all(stage)
        await change(stage, 1, findings=findings_to_json((Finding("23", "h7", value="1"),)))
        assert indexed(stage) == read_all(stage)
        await change(stage, 1, body="{}")
        assert indexed(stage) == read_all(stage)
        for state in ("ready", "held", "superseded"):
            await change(stage, 1, state=state)
            assert indexed(stage) == read_all(stage)
        await change(stage, 2, state="rejected", verdict_code="02")
        assert len(indexed(stage)) == 1
        await change(stage, 2, verdict_code="05")
        assert indexed(stage) == read_all(stage)
        await stage.writer.write(lambda c: c.execute(delete(record).where(record.c.id == 2)))
        assert indexed(stage) == {}
        with stage.reader.connect() as connection:
            assert connection.execute(select(fault)).all() == []


async def test_what_waited_before_there_was_an_index_is_taken_in_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)

        def forget(connection: Any) -> None:
            for name in ("record_waits", "record_waits_again", "record_let_go", "record_gone"):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.execute(update(record).values(state="held", held_reason="invalid"))

        await stage.writer.write(forget)
        assert indexed(stage) == {}
    async with open_stage(tmp_path) as stage:
        assert indexed(stage) == read_all(stage) != {}


async def test_a_group_is_found_by_its_name_with_all_its_records(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        faults = dict.fromkeys(("09015C", "09001C"), ("23", ("h7",)))
        await bring(stage, Report(sent_records(stage, package_id), faults).errors())
        with stage.reader.connect() as connection:
            whole = open_causes(connection, {}, TODAY)
            few = open_causes(connection, {}, TODAY, looked_at=1)
            assert [cause.record_ids for cause in few] == [cause.record_ids for cause in whole]
            assert find_cause(connection, {}, TODAY, whole[0].group_id) == whole[0]
            assert find_cause(connection, {}, TODAY, "00000000") is None


async def test_thousands_of_records_of_a_few_causes_are_read_from_the_index_alone(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await receive_orders(stage)
        (row,) = [dict(each._mapping) for each in stage.records() if each.id == 1]
        rows = [
            row | {
                "id": 10 + number, "slot": f"x{number}", "state": "held", "held_reason": "invalid",
                "order_identity": f"x{number}", "order_code": ("09001C", "09005C")[number % 2],
                "findings": findings_to_json((Finding("01", "h7", "hdata", f"{number:04d}"[:3]),)),
            }
            for number in range(3000)
        ]  # fmt: skip
        await stage.writer.write(lambda c: c.execute(insert(record), rows))
        statements: list[str] = []
        with stage.reader.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.set_trace_callback(statements.append)
            groups = open_groups(connection)
            raw.set_trace_callback(None)
        assert [len(group.record_ids) for group in groups] == [1500, 1500]
        assert len([each for each in statements if "SELECT" in each]) == 1
        assert not any("FROM record" in each for each in statements)
        assert json.dumps(sorted(indexed(stage))) == json.dumps(sorted(read_all(stage)))
