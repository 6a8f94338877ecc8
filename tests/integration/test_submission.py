"""From ready to accepted: never twice, never silently not at all, whatever the gateway does.

The truth is the ledger of the stand-in gateway, which takes a repeated file name again and books
it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import update

from adapters.nhi.check_report import open_verdict
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.ports.channel import CredentialUnusable
from broker.sandbox.faults import GatewayFault
from broker.sandbox.gateway import GATEWAY, gateway_application
from broker.sandbox.settings import DOCUMENTED_PASSWORD, RepeatRule
from broker.store.schema import package, record
from broker.submission import Uploader
from mapping.package_name import parse_stem
from mapping.record import UploadRecord
from tests.gateway_samples import Keys, header, now, settings_of
from tests.gateway_samples import row as sample_row
from tests.integration.scripted_gateway import Fate, TestKey
from tests.integration.submission_play import OTHER, Play
from tests.integration.submission_stage import (
    CLINIC,
    SETTLE,
    Clock,
    SubmissionStage,
    Told,
    standing,
)
from tests.unit.upload_samples import record_of

pytestmark = pytest.mark.usefixtures("both_stores")


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    playing = Play(tmp_path)
    await playing.stage.start()
    yield playing
    playing.stage.end()


# Outcomes of one send


async def test_a_confirmed_package_is_accepted_with_its_verdict(play: Play) -> None:
    await play.stage.tell(3)
    await play.stage.run()
    assert play.stage.states() == ["accepted"] * 3
    assert play.stage.packages() == ["checked"]
    play.assert_each_uploaded_once()


async def test_what_was_not_delivered_goes_again_with_the_same_bytes_and_longer_waits(
    play: Play,
) -> None:
    play.fates = [Fate.NOT_DELIVERED] * 4
    await play.stage.tell(1)
    waits = []
    for _ in range(4):
        await play.stage.turn()
        (row,) = play.stage.rows(package)
        assert row.state == "sealed"
        waits.append((row.next_at - play.clock.wall).total_seconds())
        play.clock.pass_time(row.next_at - play.clock.wall)
    assert waits == [10, 30, 60, 120]
    await play.stage.run()
    assert play.stage.states() == ["accepted"]
    assert len(play.stage.rows(package)) == 1
    play.assert_each_uploaded_once()


async def test_a_refused_package_marks_its_records_and_is_not_sent_again(play: Play) -> None:
    play.fates = [Fate.REFUSED]
    await play.stage.tell(2)
    await play.stage.run()
    assert play.stage.states() == ["rejected"] * 2
    assert play.stage.packages() == ["failed"]
    assert {row.verdict_code for row in play.stage.rows(record)} == {"archive"}
    assert len(play.gateway.sends) == 1


async def test_a_correction_that_waited_goes_when_the_first_was_refused(play: Play) -> None:
    play.fates = [Fate.TORN_RECEIPT]
    (person,) = await play.stage.tell(1)
    await play.stage.turn()
    await play.stage.correct(person)
    assert play.stage.states() == ["unknown", "held:waiting_verdict"]
    await play.stage.run()
    assert play.stage.states() == ["superseded", "accepted"]
    assert standing(play.ledger()) == {person: "102.5"}


async def test_a_correction_that_waited_goes_when_the_package_of_the_first_was_refused(
    play: Play,
) -> None:
    (person,) = await play.stage.tell(1)
    play.fates = [Fate.NOT_DELIVERED, Fate.REFUSED]
    await play.stage.turn()
    assert play.stage.states() == ["sealed"]
    await play.stage.correct(person)
    assert play.stage.states() == ["sealed", "held:waiting_verdict"]
    await play.stage.run()
    assert play.stage.states() == ["superseded", "accepted"]
    assert standing(play.ledger()) == {person: "102.5"}


@pytest.mark.parametrize(
    "fate",
    [
        Fate.TIME_OUT_AFTER_ACCEPTING,
        Fate.ERROR_AFTER_ACCEPTING,
        Fate.TORN_RECEIPT,
        Fate.FAULT_AFTER,
    ],
)
async def test_what_was_taken_without_a_receipt_is_asked_for_and_adopted(
    play: Play, fate: Fate
) -> None:
    play.fates = [fate]
    await play.stage.tell(1)
    await play.stage.turn()
    assert play.stage.states() == ["unknown"]
    assert play.stage.packages() == ["unknown"]
    await play.stage.run()
    assert play.stage.states() == ["accepted"]
    assert len(play.gateway.sends) == 1
    (row,) = play.stage.rows(package)
    assert row.receipt_number == play.ledger()["packages"][0]["receipt_number"]
    play.assert_each_uploaded_once()


@pytest.mark.parametrize("fate", [Fate.LOST_ON_THE_WAY, Fate.FAULT_BEFORE])
async def test_what_never_arrived_goes_again_with_the_same_bytes_after_the_settling_time(
    play: Play, fate: Fate
) -> None:
    play.fates = [fate]
    await play.stage.tell(1)
    await play.stage.turn()
    await play.stage.run()
    assert len(play.gateway.sends) == 2
    assert len(set(play.gateway.sends)) == 1
    assert play.gateway.queries >= 2
    assert play.clock.elapsed >= SETTLE.total_seconds()
    assert play.stage.states() == ["accepted"]
    play.assert_each_uploaded_once()


async def test_a_query_that_lags_is_not_believed_before_the_settling_time(play: Play) -> None:
    play.fates = [Fate.TIME_OUT_AFTER_ACCEPTING]
    play.lags = [timedelta(minutes=25)]
    await play.stage.tell(1)
    await play.stage.run()
    denied = [outcome for kind, outcome in play.stage.outcomes() if outcome == "absent"]
    assert len(denied) >= 2
    assert len(play.gateway.sends) == 1
    play.assert_each_uploaded_once()


async def test_one_denial_alone_is_no_proof_however_late(play: Play) -> None:
    play.fates = [Fate.LOST_ON_THE_WAY]
    await play.stage.tell(1)
    await play.stage.turn()
    # Nobody could ask for hours.
    play.clock.pass_time(timedelta(hours=5))
    await play.stage.turn()
    assert play.stage.packages() == ["unknown"]
    assert play.stage.outcomes()[-1] == ("ask", "absent")
    assert len(play.gateway.sends) == 1


async def test_a_clock_that_is_set_forward_does_not_shorten_the_settling_time(play: Play) -> None:
    play.fates = [Fate.TIME_OUT_AFTER_ACCEPTING]
    play.lags = [timedelta(minutes=25)]
    await play.stage.tell(1)
    await play.stage.turn()
    for _ in range(6):
        play.clock.wall += timedelta(minutes=40)
        play.clock.pass_time(timedelta(seconds=1))
        await play.stage.turn()
    assert len(play.gateway.sends) == 1
    assert play.stage.packages() == ["unknown"]
    await play.stage.run()
    play.assert_each_uploaded_once()


async def test_a_clock_that_is_set_back_keeps_nothing_waiting(play: Play) -> None:
    play.clock.wall += timedelta(hours=8)
    await play.stage.tell(1)
    await play.stage.turn()
    assert play.stage.packages() == ["submitted"]
    play.clock.wall -= timedelta(hours=8)
    play.clock.pass_time(timedelta(minutes=10))
    await play.stage.turn()
    assert play.stage.states() == ["accepted"]


async def test_when_it_cannot_be_told_it_stays_unknown_for_all_to_see(play: Play) -> None:
    play.fates = [Fate.TORN_RECEIPT]
    play.gateway.down = lambda: True
    await play.stage.tell(1)
    with pytest.raises(AssertionError, match="not at rest"):
        await play.stage.run(timedelta(hours=10))
    assert play.stage.states() == ["unknown"]
    (row,) = play.stage.rows(package)
    assert (row.state, row.error_code) == ("unknown", "outcome-unknown")
    assert len(play.gateway.sends) == 1
    play.gateway.down = lambda: False
    await play.stage.run()
    assert play.stage.states() == ["accepted"]
    play.assert_each_uploaded_once()


async def test_other_bytes_under_our_name_are_never_taken_for_ours(play: Play) -> None:
    play.fates = [Fate.TORN_RECEIPT]
    await play.stage.tell(1)
    await play.stage.turn()
    await play.stage.writer.write(lambda c: c.execute(update(package).values(sha256="0" * 64)))
    for _ in range(20):
        play.clock.pass_time(timedelta(minutes=11))
        await play.stage.turn()
    assert play.stage.packages() == ["unknown"]
    assert len(play.gateway.sends) == 1


async def test_a_package_past_its_date_that_never_arrived_is_sealed_anew(play: Play) -> None:
    play.fates = [Fate.LOST_ON_THE_WAY]
    play.gateway.down = lambda: True
    await play.stage.tell(1)
    for _ in range(20):
        await play.stage.turn()
        play.clock.pass_time(timedelta(hours=3))
    play.gateway.down = lambda: False
    await play.stage.run()
    first, second = play.stage.rows(package)
    assert (first.state, second.state) == ("stale", "checked")
    assert parse_stem(second.stem).upload_on > parse_stem(first.stem).upload_on
    assert play.stage.states() == ["accepted"]
    play.assert_each_uploaded_once()


async def test_a_package_past_its_date_is_proved_absent_before_its_records_are_sealed_again(
    play: Play,
) -> None:
    play.fates = [Fate.LOST_ON_THE_WAY]
    await play.stage.tell(1)
    await play.stage.turn()
    await play.stage.restart()
    play.clock.pass_time(timedelta(days=3))
    # The date is long past, but one denial right after the start proves nothing yet.
    for _ in range(3):
        await play.stage.turn()
        assert (play.stage.packages(), play.stage.states()) == (["unknown"], ["unknown"])
        play.clock.pass_time(SETTLE / 4)
    assert len(play.gateway.sends) == 1
    denied = play.gateway.queries
    assert denied >= 1
    await play.stage.run()
    assert play.stage.packages() == ["stale", "checked"]
    assert play.gateway.queries > denied, "the last word before the new seal is a denial"
    assert play.stage.outcomes()[-2:] == [("ask", "absent"), ("send", "confirmed")]
    play.assert_each_uploaded_once()


async def test_a_package_past_its_date_that_shows_late_is_not_sealed_again(play: Play) -> None:
    play.fates = [Fate.TORN_RECEIPT]
    # The gateway took it, and denies it for a while after we have come back.
    play.lags = [timedelta(days=3, minutes=10)]
    await play.stage.tell(1)
    await play.stage.turn()
    play.stage.end()
    play.clock.pass_time(timedelta(days=3))
    await play.stage.start()
    await play.stage.run()
    assert play.stage.packages() == ["checked"]
    assert len(play.gateway.sends) == 1
    assert ("ask", "absent") in play.stage.outcomes()
    play.assert_each_uploaded_once()


async def test_a_package_past_its_date_that_did_arrive_is_adopted(play: Play) -> None:
    play.fates = [Fate.TORN_RECEIPT]
    play.gateway.down = lambda: True
    await play.stage.tell(1)
    for _ in range(20):
        await play.stage.turn()
        play.clock.pass_time(timedelta(hours=3))
    play.gateway.down = lambda: False
    await play.stage.run()
    assert play.stage.packages() == ["checked"]
    assert len(play.gateway.sends) == 1
    play.assert_each_uploaded_once()


async def test_a_sealed_package_that_could_not_leave_in_time_is_sealed_anew(play: Play) -> None:
    play.fates = [Fate.NOT_DELIVERED] * 6
    await play.stage.tell(1)
    await play.stage.turn()
    play.clock.pass_time(timedelta(days=2))
    await play.stage.turn()
    assert play.stage.packages()[0] == "stale"
    play.fates = []
    await play.stage.run()
    assert play.stage.states() == ["accepted"]
    play.assert_each_uploaded_once()


async def test_a_credential_of_another_institution_sends_nothing(tmp_path: Path) -> None:
    play = Play(tmp_path)
    play.stage.uploaders = {CLINIC: play.gateway.uploader(CLINIC, TestKey(OTHER))}
    await play.stage.start()
    await play.stage.tell(1)
    for _ in range(3):
        await play.stage.turn()
        play.clock.pass_time(timedelta(minutes=2))
    assert play.gateway.sends == []
    (row,) = play.stage.rows(package)
    assert (row.state, row.error_code) == ("sealed", "credential-mismatch")
    play.stage.end()


async def test_a_card_that_cannot_be_used_sends_nothing_and_loses_nothing(play: Play) -> None:
    def unusable() -> Fate:
        raise CredentialUnusable(institution=CLINIC, reason="no card")

    usual, play.gateway.fate = play.gateway.fate, unusable
    await play.stage.tell(1)
    await play.stage.turn()
    assert play.stage.packages() == ["sealed"]
    assert play.gateway.sends == []
    play.gateway.fate = usual
    await play.stage.run()
    play.assert_each_uploaded_once()


async def test_a_lost_or_changed_package_file_is_never_sent_and_its_records_are_sealed_anew(
    play: Play,
) -> None:
    play.fates = [Fate.NOT_DELIVERED]
    await play.stage.tell(2)
    await play.stage.turn()
    (row,) = play.stage.rows(package)
    path = play.stage.package_path(row.stem)
    path.write_bytes(path.read_bytes()[:-1])
    await play.stage.run()
    assert play.stage.packages() == ["stale", "checked"]
    play.assert_each_uploaded_once()


async def test_an_unknown_package_whose_file_is_lost_is_still_asked_for_and_adopted(
    play: Play,
) -> None:
    play.fates = [Fate.TORN_RECEIPT]
    await play.stage.tell(1)
    await play.stage.turn()
    (row,) = play.stage.rows(package)
    play.stage.package_path(row.stem).unlink()
    await play.stage.run()
    assert play.stage.packages() == ["checked"]
    play.assert_each_uploaded_once()


# The same over real sockets


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.create(tmp_path_factory.mktemp("keys"))


AFTER_ACCEPTING = (
    GatewayFault.TIMEOUT_AFTER_ACCEPTING,
    GatewayFault.ERROR_AFTER_ACCEPTING,
    GatewayFault.CLOSE_AFTER_ACCEPTING,
    GatewayFault.LOGIN_PAGE_AFTER_ACCEPTING,
    GatewayFault.TRUNCATED_RECEIPT,
    GatewayFault.LAGGING_QUERY,
    GatewayFault.REPORT_DOWN,
    GatewayFault.REPORT_DAMAGED,
)
BEFORE_ACCEPTING = (
    GatewayFault.UNAVAILABLE_BEFORE_READING,
    GatewayFault.CLOSE_AT_HALF,
    GatewayFault.ERROR_BEFORE_READING,
    GatewayFault.LOGIN_PAGE,
    GatewayFault.LOGIN_DOWN,
)


def sample_of_today(told: Told, row_changes: dict[str, str]) -> UploadRecord:
    """A record that the gateway takes today: its key is vouched for today only."""
    return record_of(
        header(h9=told.national_id, h2=told.institution, h16=""),
        {**sample_row(r4=told.value), **row_changes},
    )


@pytest.mark.parametrize("fault", [*AFTER_ACCEPTING, *BEFORE_ACCEPTING], ids=str)
async def test_over_sockets_each_fault_ends_in_one_accepted_upload(
    tmp_path: Path, keys: Keys, fault: GatewayFault
) -> None:
    clock = Clock(now())
    settings = settings_of(
        keys,
        tmp_path / "gateway",
        clock=clock,
        repeats=RepeatRule.ACCEPT,
        hold=timedelta(seconds=5),
    )
    application = gateway_application(settings)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    gateway = application[GATEWAY]
    async with SandboxChannel(url, 0.5) as channel:
        uploader = Uploader(
            CLINIC, channel, keys.key, lambda raw: open_verdict(raw, DOCUMENTED_PASSWORD)
        )
        stage = SubmissionStage(tmp_path / "store", {CLINIC: uploader}, clock, make=sample_of_today)
        await stage.start()
        gateway.faults.order(fault, duration=timedelta(minutes=20))
        people = await stage.tell(2)
        await stage.run()
        assert stage.states() == ["accepted"] * 2
        stage.end()
    ledger = gateway.ledger.summary()
    await runner.cleanup()
    assert [order["uploads"] for order in ledger["orders"]] == [1, 1]
    assert len(ledger["packages"]) == 1
    assert sorted(standing(ledger)) == sorted(people)
