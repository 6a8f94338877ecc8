"""The channel over real sockets: what it concludes from each fault, and what the ledger holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.card.software_key import create_rehearsal_authority, create_rehearsal_key
from adapters.nhi.check_report import open_verdict
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.nhi.verdict_archive import VerdictArchiveUnsafe
from adapters.ports.channel import (
    Arrival,
    CredentialUnusable,
    NotDelivered,
    OutcomeUnknown,
    RefusedByGateway,
    SealedPackage,
)
from broker.sandbox.faults import GatewayFault
from broker.sandbox.settings import DOCUMENTED_PASSWORD, RepeatRule, ReportEncryption
from tests.gateway_samples import (
    INSTITUTION,
    Keys,
    Rehearsal,
    document,
    good_package,
    header,
    rehearsal,
    row,
    sealed,
    upload_day,
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.create(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def play(keys: Keys, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    async with rehearsal(keys, tmp_path) as running:
        yield running


TAKEN = (
    GatewayFault.ERROR_AFTER_ACCEPTING,
    GatewayFault.CLOSE_AFTER_ACCEPTING,
    GatewayFault.LOGIN_PAGE_AFTER_ACCEPTING,
    GatewayFault.TRUNCATED_RECEIPT,
)
NOT_TAKEN_BUT_UNPROVEN = (
    GatewayFault.CLOSE_AT_HALF,
    GatewayFault.ERROR_BEFORE_READING,
    GatewayFault.LOGIN_PAGE,
)


@pytest.mark.parametrize("fault", TAKEN)
async def test_after_accepting_every_fault_is_unknown_and_the_package_is_there_once(
    play: Rehearsal, fault: GatewayFault
) -> None:
    play.gateway.faults.order(fault)
    package = good_package()
    with pytest.raises(OutcomeUnknown):
        await play.channel.submit(package, play.key)
    answer = await play.channel.query(package, play.key)
    assert answer.arrival is Arrival.ARRIVED
    ledger = play.ledger()
    assert len(ledger["packages"]) == 1
    assert ledger["duplicates"] == 0


@pytest.mark.parametrize("fault", NOT_TAKEN_BUT_UNPROVEN)
async def test_before_accepting_a_fault_without_a_clear_word_is_unknown_too(
    play: Rehearsal, fault: GatewayFault
) -> None:
    play.gateway.faults.order(fault)
    package = good_package()
    with pytest.raises(OutcomeUnknown):
        await play.channel.submit(package, play.key)
    assert (await play.channel.query(package, play.key)).arrival is Arrival.ABSENT
    assert play.ledger()["packages"] == []


@pytest.mark.parametrize(
    "fault", [GatewayFault.UNAVAILABLE_BEFORE_READING, GatewayFault.MAINTENANCE]
)
async def test_a_503_with_the_gateways_own_word_is_not_delivered(
    play: Rehearsal, fault: GatewayFault
) -> None:
    play.gateway.faults.order(fault)
    with pytest.raises(NotDelivered):
        await play.channel.submit(good_package(), play.key)
    play.gateway.faults.clear()
    assert (await play.channel.submit(good_package(), play.key)).receipt_number
    assert len(play.ledger()["packages"]) == 1


async def test_an_answer_that_comes_too_late_is_unknown_and_the_package_is_there(
    keys: Keys, tmp_path: Path
) -> None:
    async with rehearsal(keys, tmp_path, patience=0.7) as play:
        package = good_package()
        assert (await play.channel.query(package, play.key)).arrival is Arrival.ABSENT
        play.gateway.faults.order(GatewayFault.TIMEOUT_AFTER_ACCEPTING)
        with pytest.raises(OutcomeUnknown):
            await play.channel.submit(package, play.key)
        assert (await play.channel.query(package, play.key)).arrival is Arrival.ARRIVED


async def test_a_slow_answer_within_patience_is_a_receipt(play: Rehearsal) -> None:
    play.gateway.faults.order(GatewayFault.SLOW_ANSWER, duration=timedelta(milliseconds=50))
    assert (await play.channel.submit(good_package(), play.key)).receipt_number


async def test_a_lagging_query_says_absent_for_a_while_about_a_package_that_is_there(
    play: Rehearsal,
) -> None:
    play.gateway.faults.order(GatewayFault.LAGGING_QUERY, duration=timedelta(minutes=5))
    package = good_package()
    receipt = await play.channel.submit(package, play.key)
    assert (await play.channel.query(package, play.key)).arrival is Arrival.ABSENT
    play.clock.ahead = timedelta(minutes=6)
    answer = await play.channel.query(package, play.key)
    assert answer.receipt is not None
    assert answer.receipt.receipt_number == receipt.receipt_number


async def test_a_lagging_query_may_say_pending(keys: Keys, tmp_path: Path) -> None:
    lag = timedelta(minutes=5)
    async with rehearsal(keys, tmp_path, query_lag=lag, lagging_answer="pending") as play:
        await play.channel.submit(good_package(), play.key)
        assert (await play.channel.query(good_package(), play.key)).arrival is Arrival.PENDING


async def test_a_query_that_fails_is_unknown(play: Rehearsal) -> None:
    play.gateway.faults.order(GatewayFault.QUERY_DOWN)
    with pytest.raises(OutcomeUnknown):
        await play.channel.query(good_package(), play.key)


async def test_other_bytes_under_the_asked_name_are_unknown_not_absent(play: Rehearsal) -> None:
    await play.channel.submit(good_package(), play.key)
    with pytest.raises(OutcomeUnknown):
        await play.channel.query(good_package(h7="0002"), play.key)


async def test_a_wrong_institution_is_refused(play: Rehearsal) -> None:
    play.gateway.faults.order(GatewayFault.WRONG_INSTITUTION)
    with pytest.raises(RefusedByGateway) as refusal:
        await play.channel.submit(good_package(), play.key)
    assert refusal.value.parameters["gateway_code"] == "institution"


async def test_a_package_of_the_day_before_yesterday_is_refused(play: Rehearsal) -> None:
    package = sealed(document((header(), [row()])), day=upload_day(2))
    with pytest.raises(RefusedByGateway) as refusal:
        await play.channel.submit(package, play.key)
    assert refusal.value.parameters["gateway_code"] == "upload-date"


async def test_a_bare_27_proves_nothing_and_the_query_settles_it(
    keys: Keys, tmp_path: Path
) -> None:
    async with rehearsal(keys, tmp_path, repeats=RepeatRule.REFUSE) as play:
        package = good_package()
        receipt = await play.channel.submit(package, play.key)
        with pytest.raises(OutcomeUnknown):
            await play.channel.submit(package, play.key)
        answer = await play.channel.query(package, play.key)
        assert answer.receipt is not None
        assert answer.receipt.receipt_number == receipt.receipt_number


async def test_a_gateway_that_takes_repeats_shows_them_in_its_ledger(
    keys: Keys, tmp_path: Path
) -> None:
    async with rehearsal(keys, tmp_path, repeats=RepeatRule.ACCEPT) as play:
        package = good_package()
        first = await play.channel.submit(package, play.key)
        second = await play.channel.submit(package, play.key)
        assert first.receipt_number != second.receipt_number
        ledger = play.ledger()
        assert ledger["orders"][0]["uploads"] == 2
        assert ledger["duplicates"] == 1


async def test_nobody_listening_is_not_delivered(keys: Keys) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        async with SandboxChannel(f"http://127.0.0.1:{port}") as channel:
            with pytest.raises(NotDelivered):
                await channel.submit(good_package(), keys.key)
            with pytest.raises(OutcomeUnknown):
                await channel.query(good_package(), keys.key)


async def test_a_name_that_does_not_exist_is_not_delivered(keys: Keys) -> None:
    async with SandboxChannel("http://gateway.invalid") as channel:
        with pytest.raises(NotDelivered):
            await channel.submit(good_package(), keys.key)


async def test_a_certificate_that_is_not_trusted_is_not_delivered(
    keys: Keys, tmp_path: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(
        keys.folder / "clinic" / "certificate.pem", keys.folder / "clinic" / "key.pem"
    )
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        async with SandboxChannel(f"https://127.0.0.1:{runner.addresses[0][1]}") as channel:
            with pytest.raises(NotDelivered):
                await channel.submit(good_package(), keys.key)
    finally:
        await runner.cleanup()


async def test_a_key_of_another_authority_is_told_as_a_credential_fault(
    play: Rehearsal, tmp_path: Path
) -> None:
    stranger = create_rehearsal_key(
        tmp_path / "stranger", INSTITUTION, create_rehearsal_authority(tmp_path / "elsewhere")
    )
    with pytest.raises(CredentialUnusable):
        await play.channel.submit(good_package(), stranger)
    assert play.ledger()["packages"] == []


async def test_a_key_of_another_institution_cannot_log_in_for_this_one(
    play: Rehearsal, keys: Keys, tmp_path: Path
) -> None:
    other = create_rehearsal_key(tmp_path / "other", "3500000000", keys.authority)
    with pytest.raises(CredentialUnusable):
        await play.channel.submit(good_package(), other)


async def test_an_rsa_key_may_log_in_too(play: Rehearsal, keys: Keys, tmp_path: Path) -> None:
    key = create_rehearsal_key(tmp_path / "rsa", INSTITUTION, keys.authority, rsa_key=True)
    assert (await play.channel.submit(good_package(), key)).receipt_number


async def test_a_login_that_is_down_is_not_delivered(play: Rehearsal) -> None:
    play.gateway.faults.order(GatewayFault.LOGIN_DOWN)
    with pytest.raises(NotDelivered):
        await play.channel.submit(good_package(), play.key)


async def test_an_ended_session_is_renewed_by_itself(play: Rehearsal) -> None:
    await play.channel.submit(good_package(), play.key)
    play.clock.ahead = timedelta(hours=1)
    assert (await play.channel.query(good_package(), play.key)).arrival is Arrival.ARRIVED
    play.clock.ahead = timedelta(hours=2)
    assert (await play.channel.submit(good_package(2, h7="0002"), play.key)).receipt_number
    assert len(play.ledger()["packages"]) == 2


async def test_the_verdict_waits_for_the_checks_and_ends_after_fourteen_days(
    keys: Keys, tmp_path: Path
) -> None:
    async with rehearsal(keys, tmp_path, verdict_delay=timedelta(minutes=30)) as play:
        package = good_package()
        receipt = await play.channel.submit(package, play.key)
        assert await play.channel.fetch_verdict(package, receipt, play.key) is None
        play.clock.ahead = timedelta(minutes=31)
        assert await play.channel.fetch_verdict(package, receipt, play.key) is not None
        play.clock.ahead = timedelta(days=15)
        with pytest.raises(RefusedByGateway) as refusal:
            await play.channel.fetch_verdict(package, receipt, play.key)
        assert refusal.value.parameters["gateway_code"] == "expired"


@pytest.mark.parametrize("encryption", list(ReportEncryption))
async def test_both_reports_come_back_to_the_field(
    keys: Keys, tmp_path: Path, encryption: ReportEncryption
) -> None:
    async with rehearsal(keys, tmp_path, report_encryption=encryption) as play:
        bad = row(r6_1="", r6_2="", r4="１２陰性")
        package = sealed(document((header(), [row()]), (header(h7="002"), [bad])))
        receipt = await play.channel.submit(package, play.key)
        raw = await play.channel.fetch_verdict(package, receipt, play.key)
        assert raw is not None
        errors, correct = open_verdict(raw, DOCUMENTED_PASSWORD)
        assert (errors.accepted, correct.accepted) == (False, True)
        assert errors.receipt_number == correct.receipt_number == receipt.receipt_number
        assert errors.institution_code == INSTITUTION
        assert errors.uploaded_on == upload_day()
        found = {record.error_code: record for record in errors.records}
        assert set(found) == {"01", "14"}
        assert found["01"].flagged == ("h7",)
        assert found["01"].values["h7"] == "002"
        assert found["14"].flagged == ("r6-1",)
        assert found["14"].values["r4"] == "１２陰性"
        assert correct.records[0].values["h15"] == "09005C"
        assert correct.records[0].row_number == "1"
        assert not errors.unknown_lines
        assert not correct.unknown_lines


async def test_a_damaged_report_says_what_to_do(play: Rehearsal) -> None:
    package = good_package()
    receipt = await play.channel.submit(package, play.key)
    play.gateway.faults.order(GatewayFault.REPORT_DAMAGED)
    raw = await play.channel.fetch_verdict(package, receipt, play.key)
    assert raw is not None
    with pytest.raises(VerdictArchiveUnsafe):
        open_verdict(raw, DOCUMENTED_PASSWORD)
    play.gateway.faults.order(GatewayFault.REPORT_DOWN)
    with pytest.raises(NotDelivered):
        await play.channel.fetch_verdict(package, receipt, play.key)


async def test_seeded_faults_never_make_two_of_one_order(keys: Keys, tmp_path: Path) -> None:
    async with rehearsal(
        keys,
        tmp_path,
        patience=0.7,
        fault_rate=0.6,
        fault_seed=7,
        repeats=RepeatRule.ACCEPT,
        hold=timedelta(seconds=1),
    ) as play:
        for serial in range(1, 25):
            await _send_until_arrived(play, good_package(serial, h7=f"{serial:04d}"))
        ledger = play.ledger()
        assert len(ledger["orders"]) == 24
        assert ledger["duplicates"] == 0


async def test_a_sender_that_does_not_ask_first_is_caught(keys: Keys, tmp_path: Path) -> None:
    async with rehearsal(
        keys, tmp_path, fault_rate=0.6, fault_seed=7, repeats=RepeatRule.ACCEPT, patience=0.7
    ) as play:
        for serial in range(1, 25):
            package = good_package(serial, h7=f"{serial:04d}")
            for _ in range(20):
                with contextlib.suppress(NotDelivered, OutcomeUnknown):
                    await play.channel.submit(package, play.key)
                    break
        assert play.ledger()["duplicates"] > 0


async def _send_until_arrived(play: Rehearsal, package: SealedPackage) -> None:
    """Resends only what the gateway, once its lag is over, says that it does not have."""
    while True:
        try:
            await play.channel.submit(package, play.key)
            return
        except NotDelivered:
            continue
        except OutcomeUnknown:
            play.clock.ahead += timedelta(minutes=3)
            answer = await play.channel.query(package, play.key)
            if answer.arrival is Arrival.ARRIVED:
                return


Script = Callable[[dict[str, str]], bytes]


@contextlib.asynccontextmanager
async def scripted_gateway(keys: Keys, answer: bytes, hang_up: bool) -> AsyncIterator[str]:
    """Lets everybody in and answers each package with ``answer``, byte for byte."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        length = next(
            (int(line[15:]) for line in head.split("\r\n") if line.startswith("Content-Length:")), 0
        )
        await reader.readexactly(length)
        if " /packages" in head:
            writer.write(answer)
        else:
            body = b'{"nonce": "x"}' if "/challenge" in head else b'{"token": "t"}'
            writer.write(_http(200, body))
        if hang_up:
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _http(status: int, body: bytes, media: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


async def test_a_receipt_torn_at_any_byte_is_unknown(keys: Keys) -> None:
    package = good_package()
    fields = {
        "receipt_number": "1150101000001",
        "confirmed_at": "2026-01-01T00:00:00+00:00",
        "name": f"{package.stem}.zip",
        "sha256": package.sha256,
    }
    whole = _http(201, json.dumps(fields).encode())
    async with scripted_gateway(keys, whole, True) as url, SandboxChannel(url, 5.0) as channel:
        assert (await channel.submit(package, keys.key)).receipt_number == "1150101000001"
    for cut in range(0, len(whole), 3):
        async with (
            scripted_gateway(keys, whole[:cut], True) as url,
            SandboxChannel(url, 5.0) as channel,
        ):
            with pytest.raises(OutcomeUnknown):
                await channel.submit(package, keys.key)


@pytest.mark.parametrize(
    "change",
    [
        {"receipt_number": "115010100001"},
        {"receipt_number": 1150101000001},
        {"name": "3501234567115010100 2.zip"},
        {"sha256": "0" * 64},
        {"confirmed_at": "2026-01-01T00:00:00"},
        {"confirmed_at": "yesterday"},
    ],
)
async def test_a_receipt_that_does_not_name_this_package_is_unknown(
    keys: Keys, change: dict[str, object]
) -> None:
    package = good_package()
    fields: dict[str, object] = {
        "receipt_number": "1150101000001",
        "confirmed_at": "2026-01-01T00:00:00+00:00",
        "name": f"{package.stem}.zip",
        "sha256": package.sha256,
    }
    answer = _http(201, json.dumps({**fields, **change}).encode())
    async with scripted_gateway(keys, answer, True) as url, SandboxChannel(url, 5.0) as channel:
        with pytest.raises(OutcomeUnknown):
            await channel.submit(package, keys.key)


@pytest.mark.parametrize("status", [301, 400, 403, 407, 413, 429, 500, 502, 503, 504])
async def test_a_status_without_the_gateways_own_word_proves_nothing(
    keys: Keys, status: int
) -> None:
    answer = _http(status, b"<html>proxy</html>", "text/html")
    async with scripted_gateway(keys, answer, True) as url, SandboxChannel(url, 5.0) as channel:
        with pytest.raises(OutcomeUnknown):
            await channel.submit(good_package(), keys.key)


async def test_an_answer_without_end_is_cut_off(keys: Keys) -> None:
    answer = b"HTTP/1.1 201 X\r\nContent-Type: application/json\r\n\r\n" + b" " * 200_000
    async with scripted_gateway(keys, answer, True) as url, SandboxChannel(url, 5.0) as channel:
        with pytest.raises(OutcomeUnknown):
            await channel.submit(good_package(), keys.key)


async def test_a_large_package_is_sent_whole(play: Rehearsal) -> None:
    remark = random.Random(1).randbytes(1500).hex()
    orders = [(header(h7=f"{n:04d}"), [row(r11=f"{n}{remark[n:]}")]) for n in range(1, 400)]
    package = sealed(document(*orders))
    assert (await play.channel.submit(package, play.key)).receipt_number
    assert play.ledger()["packages"][0]["sha256"] == package.sha256
    assert len(play.ledger()["accepted"]) == 399
