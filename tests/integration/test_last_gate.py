"""The last gate at work: what must not leave is held, the rest goes, nothing is sent in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest_asyncio

from broker.store.schema import attempt, package, record
from mapping.profile import Agreement, Route
from tests.integration.scripted_gateway import ScriptedGateway, TestKey
from tests.integration.submission_stage import CLINIC, Clock, SubmissionStage

AGREED = Agreement("JY99900001", CLINIC, Route.CLINIC)


class Play:
    def __init__(self, folder: Path) -> None:
        clock = Clock()
        self.gateway = ScriptedGateway(folder / "gateway", clock)
        uploaders = {CLINIC: self.gateway.uploader(CLINIC)}
        self.stage = SubmissionStage(folder / "store", uploaders, clock)

    def agree(self, *agreements: Agreement) -> None:
        self.stage.submission._agreements = agreements


@pytest_asyncio.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    play = Play(tmp_path)
    await play.stage.start()
    yield play
    play.stage.end()


async def test_records_leave_while_the_agreement_gives_them_to_their_uploader(play: Play) -> None:
    play.agree(AGREED)
    await play.stage.tell(3)
    await play.stage.run()
    assert play.stage.states() == ["accepted"] * 3


async def test_an_agreement_that_was_turned_around_holds_what_was_sealed(play: Play) -> None:
    play.agree(replace(AGREED, route=Route.LAB))
    await play.stage.tell(2)
    await play.stage.run()
    assert play.stage.states() == ["held:other_party_uploads"] * 2
    assert play.stage.packages() == ["stale"]
    assert play.gateway.sends == []
    assert play.stage.rows(attempt) == []


async def test_a_record_that_nobody_agreed_on_is_held_and_the_others_leave(play: Play) -> None:
    # One lab's order code is agreed; the sample record has it, the other code is nobody's.
    (only,) = {row.order_code for row in await _told(play)}
    play.agree(replace(AGREED, order_code=only))
    await play.stage.writer.write(
        lambda c: c.exec_driver_sql("update record set order_code = '99999C' where id = 1")
    )
    await play.stage.run()
    assert play.stage.states() == ["held:invalid", "accepted", "accepted"]
    assert play.stage.packages() == ["stale", "checked"]
    assert len(play.gateway.sends) == 1


async def test_a_card_of_another_institution_sends_nothing_and_is_asked_again(play: Play) -> None:
    other = replace(play.gateway.uploader(CLINIC), credential=TestKey("3507654321"))
    play.stage.uploaders = {CLINIC: other}
    await play.stage.restart()
    await play.stage.tell()
    await play.stage.turn()
    row = play.stage.rows(package)[0]
    assert (row.state, row.error_code) == ("sealed", "credential-mismatch")
    assert play.gateway.sends == []
    play.stage.uploaders = {CLINIC: play.gateway.uploader(CLINIC)}
    await play.stage.restart()
    await play.stage.run()
    assert play.stage.states() == ["accepted"]


async def test_a_setting_of_another_institution_sends_nothing(play: Play) -> None:
    other = replace(play.gateway.uploader(CLINIC), institution_code="3507654321")
    play.stage.uploaders = {CLINIC: other}
    await play.stage.restart()
    await play.stage.tell()
    await play.stage.turn()
    row = play.stage.rows(package)[0]
    assert (row.state, row.error_code) == ("sealed", "institutions-disagree")
    assert play.gateway.sends == []


async def _told(play: Play) -> list[Any]:
    await play.stage.tell(3)
    return play.stage.rows(record)
