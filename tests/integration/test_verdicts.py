"""What the check report says reaches each record; who waited for it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from broker.sandbox.upload_document import UploadedOrder
from broker.store.alarms import open_alarms
from broker.store.schema import alarm, package, record
from tests.integration.submission_play import Play
from tests.integration.submission_stage import (
    CLINIC,
    NOW,
    standing,
)
from tests.unit.upload_samples import valid_record


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    playing = Play(tmp_path)
    await playing.stage.start()
    yield playing
    playing.stage.end()


def as_uploaded(person: str, h16: str) -> UploadedOrder:
    """The order of ``person`` as another program would have uploaded it."""
    item = valid_record({"h9": person, "h16": h16})
    header = {tag: field.value for tag, field in item.header.items()}
    rows = [{tag: field.value for tag, field in row.items()} for row in item.rows]
    return UploadedOrder(header, tuple(rows))


async def test_a_mixed_verdict_accepts_some_and_marks_the_field_of_the_other(play: Play) -> None:
    people = await play.stage.tell(3)
    play.gateway.hold_already(as_uploaded(people[1], "1140204235959"))
    await play.stage.run()
    assert play.stage.states() == ["accepted", "rejected", "accepted"]
    rejected = play.stage.rows(record)[1]
    assert (rejected.verdict_code, rejected.verdict_fields) == ("25", "h15")
    assert rejected.confirmed_at is None
    assert play.stage.packages() == ["checked"]


async def test_a_correction_that_waited_goes_when_the_verdict_on_the_first_is_bad(
    play: Play,
) -> None:
    (person,) = await play.stage.tell(1)
    play.gateway.hold_already(as_uploaded(person, "1140204121500"))
    await play.stage.turn()
    await play.stage.correct(person)
    assert play.stage.states() == ["checking", "held:waiting_verdict"]
    play.clock.pass_time(timedelta(minutes=20))
    await play.stage.run()
    assert play.stage.states() == ["superseded", "accepted"]
    assert standing(play.ledger()) == {person: "102.5"}


async def test_a_correction_that_waited_goes_when_the_verdict_on_the_first_is_good(
    play: Play,
) -> None:
    (person,) = await play.stage.tell(1)
    await play.stage.turn()
    await play.stage.correct(person)
    await play.stage.correct(person)
    await play.stage.run()
    assert play.stage.states() == ["superseded", "superseded", "accepted"]
    (order,) = play.ledger()["orders"]
    assert (order["uploads"], order["duplicates"]) == (2, 0)
    assert standing(play.ledger()) == {person: "103.5"}


async def test_a_correction_gets_a_later_upload_time_than_what_it_corrects(play: Play) -> None:
    play.gateway.verdict_delay = timedelta(0)
    (person,) = await play.stage.tell(1)
    await play.stage.turn()
    await play.stage.writer.write(lambda c: c.execute(update(package).values(next_at=NOW)))
    await play.stage.correct(person)
    # Verdict and correction within the second of the first sealing.
    await play.stage.turn()
    await play.stage.turn()
    assert play.stage.states() == ["accepted", "ready"]
    await play.stage.run()
    assert play.stage.states() == ["superseded", "accepted"]


async def test_a_report_that_does_not_name_a_record_leaves_it_checking_and_is_asked_again(
    play: Play,
) -> None:
    def without_last(outcome: dict[str, Any]) -> dict[str, Any]:
        return {**outcome, "correct": outcome["correct"][:-1]}

    play.gateway.doctor = without_last
    await play.stage.tell(2)
    await play.stage.turn()
    for _ in range(4):
        play.clock.pass_time(timedelta(minutes=6))
        await play.stage.turn()
    assert sorted(play.stage.states()) == ["accepted", "checking"]
    (row,) = play.stage.rows(package)
    assert (row.state, row.error_code) == ("submitted", "unread")
    assert play.gateway.fetches >= 3
    play.gateway.doctor = lambda outcome: outcome
    await play.stage.run()
    assert play.stage.states() == ["accepted"] * 2
    assert len(play.gateway.sends) == 1


async def test_a_wrong_password_leaves_all_checking_until_it_is_right(play: Play) -> None:
    play.gateway.password = "B123456780"
    await play.stage.tell(1)
    await play.stage.turn()
    for _ in range(3):
        play.clock.pass_time(timedelta(minutes=6))
        await play.stage.turn()
    assert play.stage.states() == ["checking"]
    (row,) = play.stage.rows(package)
    assert (row.state, row.error_code) == ("submitted", "verdict-password-wrong")
    play.gateway.password = "A123456789"
    await play.stage.run()
    assert play.stage.states() == ["accepted"]


async def test_a_late_report_is_waited_for(play: Play) -> None:
    play.gateway.verdict_delay = timedelta(hours=9)
    await play.stage.tell(1)
    await play.stage.run()
    assert play.stage.states() == ["accepted"]
    assert len(play.gateway.sends) == 1


async def test_a_report_that_does_not_come_is_alarmed_long_before_it_is_no_longer_kept(
    play: Play,
) -> None:
    play.gateway.verdict_delay = timedelta(days=12, hours=12)
    await play.stage.tell(2)
    await play.stage.turn()
    (sent,) = play.stage.rows(package)
    seen = []
    for _ in range(13):
        await play.stage.turn()
        await play.stage.watch.look()
        seen.append("".join(row.reason for row in overdue(play)))
        play.clock.pass_time(timedelta(days=1))
    assert seen == [*[""] * 7, *["7-days"] * 5, "12-days"]
    (alarmed,) = overdue(play)
    assert (alarmed.institution_code, alarmed.records) == (CLINIC, 2)
    assert alarmed.due_at == sent.confirmed_at + timedelta(days=14)
    await play.stage.turn()
    await play.stage.watch.look()
    assert play.stage.states() == ["accepted"] * 2
    assert overdue(play) == []
    (fetched,) = play.stage.rows(package)
    assert fetched.raw_verdict, "the report is archived as it came"
    assert fetched.checked_at < alarmed.due_at
    assert [row.reason for row in play.stage.rows(alarm)] == ["7-days", "12-days"]


def overdue(play: Play) -> list[Any]:
    with play.stage.reader.connect() as connection:
        return [row for row in open_alarms(connection) if row.kind == "verdict-overdue"]
