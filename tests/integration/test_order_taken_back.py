"""An order that is taken back when its result is on its way, and orders without a result."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from broker.choices import Decision, apply_decision
from broker.demo.people import CLINIC, national_id
from broker.store.choices import open_tasks
from broker.store.packages import retire_package
from broker.store.schema import package, package_record, record
from broker.store.visit_orders import orders_without_result
from mapping.visit import Order, Visit
from tests.integration.broker_stage import NOW, Stage, open_stage
from tests.integration.test_choices import PERSON, VISIT, bring, creatinine, earlier, run
from tests.integration.test_opt_outs import SETTINGS

GONE = replace(VISIT, orders=(replace(VISIT.orders[0], cancelled=True),))


async def seal(stage: Stage, record_id: int, state: str) -> None:
    """Put a record into a package of that state, as sealing and sending would."""

    def write(connection: object) -> None:
        connection.execute(  # type: ignore[attr-defined]
            insert(package).values(
                id=1,
                stem="35999000011151120001",
                institution_code=CLINIC,
                upload_on=NOW.date(),
                state=state,
                record_count=1,
                sha256="0" * 64,
                sealed_at=NOW,
                next_at=NOW,
            )
        )
        connection.execute(  # type: ignore[attr-defined]
            insert(package_record).values(
                package_id=1,
                record_id=record_id,
                position=1,
                active=True,
                institution_code=CLINIC,
                clinic_code=CLINIC,
            )
        )
        connection.execute(  # type: ignore[attr-defined]
            update(record)
            .where(record.c.id == record_id)
            .values(state=state if state != "claimed" else "sealed", package_id=1)
        )

    await stage.writer.write(write)


def tasks(stage: Stage) -> list[str]:
    with stage.reader.connect() as connection:
        return [row.task for row in open_tasks(connection)]


async def test_a_package_of_which_nothing_was_sent_is_taken_apart(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1"))
        await seal(stage, stage.records()[0].id, "sealed")
        await bring(stage, GONE)
        assert stage.states() == ["held:unmatched"]
        with stage.reader.connect() as connection:
            assert connection.execute(package.select()).one().state == "stale"
        assert tasks(stage) == []


@pytest.mark.parametrize("state", ["claimed", "inflight", "unknown", "checking", "accepted"])
async def test_what_may_have_left_becomes_a_task_that_a_person_ends(
    tmp_path: Path, state: str
) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1"))
        record_id = stage.records()[0].id
        if state in ("claimed", "inflight", "unknown"):
            await seal(stage, record_id, state)
        else:
            await stage.pretend(record_id, state)
        before = stage.states()
        await bring(stage, GONE)
        assert stage.states() == before
        assert tasks(stage) == ["sent-order-cancelled"]
        done = Decision(record_id, "Lin", reason="asked the division")
        await stage.writer.write(lambda c: apply_decision(c, 1, done))
        assert tasks(stage) == []


async def test_a_task_goes_when_the_order_stands_after_all(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1"))
        await stage.pretend(stage.records()[0].id, "accepted")
        await bring(stage, GONE)
        assert tasks(stage) == ["sent-order-cancelled"]
        await bring(stage, replace(VISIT, provider_id=national_id("C", 19900078)))
        assert tasks(stage) == []


async def test_what_comes_back_from_a_package_that_nhi_never_had_is_held(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1"))
        await seal(stage, stage.records()[0].id, "unknown")
        await bring(stage, GONE)
        await stage.writer.write(lambda c: retire_package(c, 1))
        assert stage.states() == ["held:unmatched"]
        assert tasks(stage) == []


# Orders without a result


def missing(stage: Stage, days: float = 0, institution: str = "") -> list[tuple[str, bool]]:
    with stage.reader.connect() as connection:
        until = stage.now - timedelta(days=days)
        rows = orders_without_result(connection, until, institution)
        return [(row.order_code, bool(row.waiting)) for row in rows]


def with_orders(*codes: str) -> Visit:
    return replace(VISIT, orders=tuple(Order(code, card_mark="03") for code in codes))


async def test_orders_of_the_official_list_wait_for_their_result(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        # 05209B, a dispensing fee, has no result.
        await bring(stage, with_orders("09015C", "09001C", "05209B"))
        assert missing(stage) == [("09001C", False), ("09015C", False)]
        assert missing(stage, days=3) == [], "too early to ask"
        assert missing(stage, institution="3500000000") == []
        await stage.receive(creatinine("1"))
        assert missing(stage) == [("09001C", False)]


async def test_a_preliminary_result_is_told_apart(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await stage.receive(creatinine("1", status="P"))
        assert stage.states() == ["held:waiting_final"]
        assert missing(stage) == [("09015C", True)]


async def test_what_was_taken_back_or_opted_out_waits_for_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, VISIT)
        await bring(stage, GONE)
        assert missing(stage) == []


async def _prepare(folder: Path) -> None:
    (folder / "labbroker.toml").write_text(SETTINGS, "utf-8")
    async with open_stage(folder / "store") as stage:
        await bring(stage, VISIT, earlier(40))
        await stage.receive(creatinine("1"))
        await stage.pretend(stage.records()[0].id, "accepted")
        await bring(stage, GONE)


def test_the_commands_list_what_is_missing_and_what_is_to_be_done(tmp_path: Path) -> None:
    asyncio.run(_prepare(tmp_path))
    before = datetime.now(UTC) - earlier(40).card_at
    code, out, err = run(tmp_path, "orders", "--without-result", "--after", "0", "--json")
    assert (code, err) == (1, "")
    (told,) = [json.loads(each) for each in out.splitlines()]
    assert (told["order_code"], told["visit_serial"]) == ("09015C", "0040")
    assert before.days <= told["age_days"] <= (datetime.now(UTC) - earlier(40).card_at).days
    assert PERSON.national_id not in out
    assert "09015C" in run(tmp_path, "orders", "--without-result", "--after", "0")[1]
    assert run(tmp_path, "orders", "--without-result", "--since", "115-1-1")[0] == 2
    listed = json.loads(run(tmp_path, "worklist", "--json")[1])["tasks"]
    assert [(each["record"], each["code"]) for each in listed] == [(1, "sent-order-cancelled")]
    assert "dismiss" in run(tmp_path, "worklist")[1]
    assert run(tmp_path, "dismiss", "1", "--by", "Lin", "--reason", "asked")[0] == 0
    assert json.loads(run(tmp_path, "worklist", "--json")[1])["tasks"] == []
