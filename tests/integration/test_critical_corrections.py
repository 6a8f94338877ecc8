"""A critical value that changes is alarmed anew; one that is none any more is told, and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker.deadline_watch import DeadlineWatch
from broker.store.alarms import open_alarms
from broker.store.critical import (
    confirm_critical,
    critical_count,
    critical_of,
    earlier_of,
    is_corrected,
)
from broker.store.receipts import replay_receipt
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.delivery_stage import PERSON, oru


def rows(stage: Stage, *, waiting: bool = False) -> list[Any]:
    """The oldest first."""
    with stage.reader.connect() as connection:
        return critical_of(connection, None, unconfirmed=waiting)[::-1]


async def confirm(stage: Stage, number: int, by: str = "chen") -> None:
    await stage.writer.write(lambda c: confirm_critical(c, number, None, by, stage.now))


async def alarms(stage: Stage) -> dict[str, int]:
    """The records of each alarm of critical results."""
    await DeadlineWatch(stage.writer, stage.reader, lambda: stage.now).look()
    with stage.reader.connect() as connection:
        return {
            row.kind: row.records
            for row in open_alarms(connection)
            if row.kind.startswith("critical")
        }


def said(value: str, at: str, *, flag: str = "HH", status: str = "C") -> bytes:
    return oru("F1", value, flag=flag, status=status, reported=f"202611191{at}00")


async def test_a_changed_critical_value_is_alarmed_anew_beside_the_old_confirmation(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "2", status="F"))
        await confirm(stage, 1)
        assert await alarms(stage) == {}
        await stage.receive(said("7.5", "3"))
        assert await alarms(stage) == {"critical": 1}
        (new,) = rows(stage, waiting=True)
        with stage.reader.connect() as connection:
            earlier = earlier_of(connection, [new])[new.earlier_id]
        assert (earlier.id, earlier.confirmed_by, earlier.ending) == (1, "chen", "critical")


async def test_the_same_value_said_once_more_or_read_again_is_no_new_alarm(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "2", status="F"))
        await confirm(stage, 1)
        await stage.receive(said("7.1", "3"))
        await stage.writer.write(lambda c: replay_receipt(c, 1))
        await stage.work()
        assert len(rows(stage)) == 1
        assert await alarms(stage) == {}


@pytest.mark.parametrize("confirmed", [True, False], ids=["confirmed", "open"])
async def test_one_corrected_to_normal_ends_its_alarm_and_tells_it_until_somebody_takes_note(
    tmp_path: Path, confirmed: bool
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "2", status="F"))
        if confirmed:
            await confirm(stage, 1)
        assert await alarms(stage) == ({} if confirmed else {"critical": 1})
        await stage.receive(said("4.1", "3", flag=""))
        assert await alarms(stage) == {"critical-corrected": 1}
        (row,) = rows(stage, waiting=True)
        assert is_corrected(row)
        assert (row.ending, row.ended_receipt_id) == ("normal", 2)
        assert row.confirmed_by == ("chen" if confirmed else "")
        await confirm(stage, 1, "lin")
        assert await alarms(stage) == {}
        (row,) = rows(stage)
        assert (row.confirmed_by, row.noted_by) == ("chen" if confirmed else "", "lin")


async def test_a_value_that_was_corrected_and_comes_again_is_alarmed_anew(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "2", status="F"))
        await confirm(stage, 1)
        await stage.receive(said("4.1", "3", flag=""))
        await stage.receive(said("7.1", "4"))
        assert await alarms(stage) == {"critical": 1}
        (new,) = rows(stage, waiting=True)
        assert (new.receipt_id, new.earlier_id) == (3, 1)
        # Read again, the older words change nothing.
        for number in (1, 2):
            await stage.writer.write(lambda c, number=number: replay_receipt(c, number))  # type: ignore[misc]
            await stage.work()
        assert await alarms(stage) == {"critical": 1}
        assert len(rows(stage)) == 2


@pytest.mark.parametrize("status", ["X", "W"])
async def test_one_that_the_laboratory_takes_back_is_told(tmp_path: Path, status: str) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "2", status="F"))
        await stage.receive(said("7.1", "3", flag="", status=status))
        assert await alarms(stage) == {"critical-corrected": 1}
        assert rows(stage)[0].ending == "withdrawn"


async def test_an_older_or_unfinished_word_ends_no_alarm(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "3", status="F"))
        await stage.receive(said("4.1", "2", flag="", status="F"))
        await stage.receive(said("4.1", "4", flag="", status="P"))
        assert await alarms(stage) == {"critical": 1}
        assert rows(stage)[0].ending == ""


async def test_another_result_of_the_same_person_ends_no_alarm(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(said("7.1", "2", status="F"))
        await stage.receive(oru("F2", "4.1", person=PERSON, reported="202611191300"))
        assert await alarms(stage) == {"critical": 1}


async def test_each_of_several_times_of_one_item_has_an_alarm_of_its_own(tmp_path: Path) -> None:
    def curve(first: tuple[str, str], second: tuple[str, str], at: str) -> bytes:
        lines = [
            f"OBX|{number}|NM|GLUC^血糖||{value}|mg/dL||{flag}|||C|||20261119{when}00\r"
            for number, ((value, flag), when) in enumerate(
                ((first, "0930"), (second, "1130")), start=1
            )
        ]
        head = oru("F1", first[0], status="C", reported=f"202611191{at}00").decode()
        return (head[: head.index("OBX|")] + "".join(lines)).encode()

    async with open_stage(tmp_path) as stage:
        await stage.receive(curve(("500", "HH"), ("500", "HH"), "2"))
        assert await alarms(stage) == {"critical": 2}
        await stage.receive(curve(("90", ""), ("500", "HH"), "3"))
        assert await alarms(stage) == {"critical": 1, "critical-corrected": 1}
        with stage.reader.connect() as connection:
            assert critical_count(connection, None) == 2
