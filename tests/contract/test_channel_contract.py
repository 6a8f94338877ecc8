"""What every SubmissionChannel owes the broker, whatever the gateway behind it does."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.nhi.check_report import open_verdict
from adapters.nhi.eii_channel import EiiChannel
from adapters.nhi.eii_jobs import EiiJobs
from adapters.nhi.eii_process import EiiProcess
from adapters.nhi.local_eii_seat import LocalEiiSeat
from adapters.nhi.portal_channel import PersonsWord, PortalChannel
from adapters.nhi.send_journal import SendJournal
from adapters.nhi.unsigning_credential import CloudSam, PersonCard
from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    HandedOver,
    NotDelivered,
    OutcomeUnknown,
    QueryAnswer,
    RefusedByGateway,
    SealedPackage,
    SubmissionChannel,
)
from adapters.ports.credential import Credential, CredentialKind
from broker.card_desk.remote_eii import RemoteEiiSeat, RemoteSam
from broker.sandbox.faults import GatewayFault
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from mapping.errors import LabbrokerError
from tests.card.agent_stage import desk_stage, pairing
from tests.conftest import Require
from tests.eii_stand_in import TEMPLATE, Reader, compiled
from tests.gateway_samples import (
    INSTITUTION,
    Keys,
    Rehearsal,
    good_package,
    rehearsal,
    sealed,
)


class Trouble(Enum):
    """What a channel's far side can be made to do; a fixture translates it."""

    UNAVAILABLE = "says that it takes nothing now"
    LOST_ANSWER = "takes the package and its answer is lost"
    CUT_MIDWAY = "cuts the connection while it reads"
    NONSENSE = "answers something that is no receipt"


@dataclass
class Subject:
    """One channel under test, with the hands that disturb its far side."""

    channel: SubmissionChannel
    credential: Credential
    trouble: Callable[[Trouble], None]
    arrived: Callable[[], int]
    stop: Callable[[], Awaitable[None]]
    pull_card: Callable[[], Credential] | None = None
    """The credential of a card that was pulled; None where the channel signs nothing."""
    person: Callable[[SealedPackage], Awaitable[None]] | None = None
    """What a person does with a file that was handed over."""
    repeat_code: str = "27"
    same_receipt: bool = True
    """Whether a query tells the same number and time as the answer to the sending."""
    proves_absence: bool = True
    reads_content: bool = True
    told_to_wait: bool = True
    """Whether a report that cannot be fetched is an error, or just not there yet."""


_SANDBOX = {
    Trouble.UNAVAILABLE: GatewayFault.UNAVAILABLE_BEFORE_READING,
    Trouble.LOST_ANSWER: GatewayFault.CLOSE_AFTER_ACCEPTING,
    Trouble.CUT_MIDWAY: GatewayFault.CLOSE_AT_HALF,
    Trouble.NONSENSE: GatewayFault.LOGIN_PAGE_AFTER_ACCEPTING,
}


@pytest_asyncio.fixture(params=["sandbox", "eii", "eii-agent", "portal"])
async def subject(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    require: Require,
) -> AsyncIterator[Subject]:
    keys = Keys.create(tmp_path / "keys")
    async with rehearsal(keys, tmp_path / "data", eii=request.param.startswith("eii")) as play:
        if request.param == "sandbox":
            yield _sandbox_subject(play)
        elif request.param == "portal":
            yield _portal_subject(play, tmp_path)
        else:
            library = compiled(tmp_path_factory.getbasetemp(), require)
            made = _eii_subject if request.param == "eii" else _eii_agent_subject
            async with made(play, tmp_path, library) as eii:
                yield eii


def _stopper(play: Rehearsal) -> Callable[[], Awaitable[None]]:
    async def stop() -> None:
        play.gateway.faults.order(GatewayFault.MAINTENANCE, 0)

    return stop


def _sandbox_subject(play: Rehearsal) -> Subject:
    return Subject(
        play.channel,
        play.key,
        lambda trouble: play.gateway.faults.order(_SANDBOX[trouble]),
        lambda: len(play.ledger()["packages"]),
        _stopper(play),
        pull_card=_BrokenCard,
    )


@asynccontextmanager
async def _eii_subject(play: Rehearsal, folder: Path, library: Path) -> AsyncIterator[Subject]:
    """The library of the same ABI in its child process, which talks to the gateway."""
    reader = Reader.of(folder, play.url, INSTITUTION)
    sam = folder / "COMX1"
    sam.mkdir()
    (sam / f"{INSTITUTION}123456789012.SAM").touch()
    channel = EiiChannel(
        _local_seat(reader, folder, library),
        folder / "eii",
        open_verdict=lambda _, raw: open_verdict(raw, DOCUMENTED_PASSWORD),
    )
    credential = CloudSam(sam, INSTITUTION)

    def pull_card() -> Credential:
        reader.fault("5005")
        return credential

    try:
        yield Subject(
            channel,
            credential,
            lambda trouble: play.gateway.faults.order(_SANDBOX[trouble]),
            lambda: len(play.ledger()["packages"]),
            _stopper(play),
            pull_card=pull_card,
            repeat_code="5003",
            same_receipt=False,
            proves_absence=False,
        )
    finally:
        await channel.close()


@asynccontextmanager
async def _eii_agent_subject(
    play: Rehearsal, folder: Path, library: Path
) -> AsyncIterator[Subject]:
    """The same library at an agent, which the broker talks to over its WebSocket."""
    async with (
        _eii_subject(play, folder, library) as here,
        desk_stage(replace(pairing(), eii=(INSTITUTION,))) as stage,
    ):
        jobs = EiiJobs(
            _local_seat(Reader(folder / "Reader.txt"), folder / "agent", library),
            [CloudSam(folder / "COMX1", INSTITUTION)],
            SendJournal(folder / "agent" / "sends.jsonl"),
        )
        async with stage.agent(eii=jobs):
            await stage.until(lambda: stage.desk.sam_at(INSTITUTION) is not None)
            channel = EiiChannel(
                RemoteEiiSeat(stage.desk, folder / "broker", call_seconds=20),
                folder / "broker",
                open_verdict=lambda _, raw: open_verdict(raw, DOCUMENTED_PASSWORD),
            )
            yield replace(here, channel=channel, credential=RemoteSam(stage.desk, INSTITUTION))


def _local_seat(reader: Reader, folder: Path, library: Path) -> LocalEiiSeat:
    return LocalEiiSeat(
        EiiProcess(library, reader.file, timeout=20),
        folder / "eii",
        type_code="26",
        request_template=TEMPLATE,
        report_after=0,
    )


def _portal_subject(play: Rehearsal, folder: Path) -> Subject:
    """A person takes the file out of the folder, uploads it and brings the report."""
    results = folder / "results"
    results.mkdir()
    channel = PortalChannel(folder / "portal", results)
    place = channel.place(INSTITUTION)

    async def person(package: SealedPackage) -> None:
        raw = (place / f"{package.stem}.zip").read_bytes()
        taken = await play.channel.submit(replace(package, raw_zip=raw), play.key)
        now = datetime.now(UTC)
        word = PersonsWord("王小明", now, taken.confirmed_at, taken.receipt_number)
        channel.confirm(INSTITUTION, package.stem, word)
        report = await play.channel.fetch_verdict(package, taken, play.key)
        day = package.stem[10:17]
        name = f"{INSTITUTION}-{day}-5-{taken.receipt_number}-7.assaychk.zip"
        (results / name).write_bytes(report or b"")

    def trouble(kind: Trouble) -> None:
        # Whatever else happens is unknown by nature: the file lies in a person's hands.
        if kind is Trouble.UNAVAILABLE:
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(b"in the way")

    async def stop() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(results)
        trouble(Trouble.UNAVAILABLE)

    return Subject(
        channel,
        PersonCard(INSTITUTION),
        trouble,
        lambda: len(play.ledger()["packages"]),
        stop,
        person=person,
        reads_content=False,
        told_to_wait=False,
    )


async def _settled(subject: Subject, package: SealedPackage) -> ChannelReceipt:
    """Sent, and where a person has the file, uploaded by that person."""
    try:
        return await subject.channel.submit(package, subject.credential)
    except HandedOver:
        assert subject.person is not None
        await subject.person(package)
    answer = await _asked(subject, package)
    assert answer.receipt is not None
    return answer.receipt


async def _asked(subject: Subject, package: SealedPackage) -> QueryAnswer:
    """The answer of the gateway; some channels must ask more than once for it."""
    for _ in range(3):
        answer = await subject.channel.query(package, subject.credential)
        if answer.arrival is not Arrival.PENDING:
            break
    return answer


async def test_a_package_is_taken_once_and_its_receipt_has_an_aware_time(subject: Subject) -> None:
    receipt = await _settled(subject, good_package())
    assert receipt.receipt_number
    assert receipt.confirmed_at.tzinfo is UTC
    assert receipt.raw_answer
    assert subject.arrived() == 1


async def test_a_package_that_arrived_is_found_with_the_same_receipt(subject: Subject) -> None:
    package = good_package()
    receipt = await _settled(subject, package)
    answer = await _asked(subject, package)
    assert answer.arrival is Arrival.ARRIVED
    assert answer.receipt is not None
    if subject.same_receipt:
        assert answer.receipt.receipt_number == receipt.receipt_number
        assert answer.receipt.confirmed_at == receipt.confirmed_at


async def test_a_package_that_was_never_sent_is_absent_or_remains_in_doubt(
    subject: Subject,
) -> None:
    answer = await _asked(subject, good_package())
    expected = Arrival.ABSENT if subject.proves_absence else Arrival.PENDING
    assert answer == replace(answer, arrival=expected, receipt=None)


async def test_a_gateway_that_takes_nothing_is_told_as_not_delivered(subject: Subject) -> None:
    subject.trouble(Trouble.UNAVAILABLE)
    with pytest.raises(NotDelivered):
        await subject.channel.submit(good_package(), subject.credential)
    assert subject.arrived() == 0


@pytest.mark.parametrize("trouble", [Trouble.LOST_ANSWER, Trouble.NONSENSE])
async def test_a_lost_answer_is_unknown_and_the_query_finds_the_package(
    subject: Subject, trouble: Trouble
) -> None:
    package = good_package()
    subject.trouble(trouble)
    with pytest.raises(OutcomeUnknown):
        await subject.channel.submit(package, subject.credential)
    if subject.person is not None:
        await subject.person(package)
    answer = await _asked(subject, package)
    assert answer.arrival is Arrival.ARRIVED
    assert answer.receipt is not None
    assert subject.arrived() == 1


async def test_a_cut_while_sending_is_unknown_even_when_nothing_was_taken(
    subject: Subject,
) -> None:
    subject.trouble(Trouble.CUT_MIDWAY)
    with pytest.raises(OutcomeUnknown):
        await subject.channel.submit(good_package(), subject.credential)
    assert subject.arrived() == 0


async def test_sending_the_same_bytes_again_never_makes_a_second_package(
    subject: Subject,
) -> None:
    package = good_package()
    subject.trouble(Trouble.LOST_ANSWER)
    with pytest.raises(OutcomeUnknown):
        await subject.channel.submit(package, subject.credential)
    if subject.person is not None:
        await subject.person(package)
    # That the name is taken may be all that the other side says of it.
    with contextlib.suppress(RefusedByGateway):
        receipt = await subject.channel.submit(package, subject.credential)
        answer = await _asked(subject, package)
        assert answer.receipt is not None
        assert answer.receipt.receipt_number == receipt.receipt_number
    assert subject.arrived() == 1


async def test_other_bytes_under_a_used_name_are_refused(subject: Subject) -> None:
    await _settled(subject, good_package())
    with pytest.raises(RefusedByGateway) as refusal:
        await subject.channel.submit(good_package(h7="0002"), subject.credential)
    assert refusal.value.parameters["gateway_code"] == subject.repeat_code
    assert subject.arrived() == 1


async def test_a_definite_refusal_is_told_as_one(subject: Subject) -> None:
    package = sealed(b"<x/>", label="other.xml")
    with pytest.raises(RefusedByGateway if subject.reads_content else HandedOver):
        await subject.channel.submit(package, subject.credential)
    assert subject.arrived() == 0


async def test_the_verdict_comes_as_the_raw_archive(subject: Subject) -> None:
    package = good_package()
    receipt = await _settled(subject, package)
    for _ in range(3):
        raw = await subject.channel.fetch_verdict(package, receipt, subject.credential)
        if raw is not None:
            break
    assert raw is not None
    assert raw.startswith(b"PK")


async def test_a_failed_question_is_never_proof_that_nothing_arrived(subject: Subject) -> None:
    await subject.stop()
    with pytest.raises(OutcomeUnknown):
        await subject.channel.query(good_package(), subject.credential)


async def test_a_verdict_that_cannot_be_fetched_now_is_tried_later(subject: Subject) -> None:
    package = good_package()
    receipt = await _settled(subject, package)
    await subject.stop()
    if not subject.told_to_wait:
        fetched = await subject.channel.fetch_verdict(package, receipt, subject.credential)
        assert fetched is None
        return
    with pytest.raises(NotDelivered):
        await subject.channel.fetch_verdict(package, receipt, subject.credential)


class _BrokenCard:
    """A card that was pulled."""

    kind = CredentialKind.PCSC
    institution_code = "3501234567"
    certificate = b""

    def sign(self, message: bytes) -> bytes:
        raise LabbrokerError


async def test_a_credential_that_cannot_sign_means_not_delivered(subject: Subject) -> None:
    if subject.pull_card is None:
        # A person carries the file with a card of their own: the channel asks none to sign.
        with pytest.raises(HandedOver):
            await subject.channel.submit(good_package(), _BrokenCard())
        return
    credential = subject.pull_card()
    with pytest.raises(NotDelivered):
        await subject.channel.submit(good_package(), credential)
    assert subject.arrived() == 0


Call = Callable[[SubmissionChannel, SealedPackage, Credential], Awaitable[Any]]
_RECEIPT = ChannelReceipt("1150101000001", datetime.now(UTC))


async def _fetch(
    channel: SubmissionChannel, package: SealedPackage, credential: Credential
) -> bytes | None:
    return await channel.fetch_verdict(package, _RECEIPT, credential)


@pytest.mark.parametrize(
    "call",
    [
        lambda channel, package, credential: channel.submit(package, credential),
        lambda channel, package, credential: channel.query(package, credential),
        _fetch,
    ],
    ids=["submit", "query", "fetch_verdict"],
)
async def test_no_error_text_holds_a_byte_of_the_package_or_a_person(
    subject: Subject, call: Call
) -> None:
    await subject.stop()
    if not subject.told_to_wait and call is _fetch:
        assert await call(subject.channel, good_package(), subject.credential) is None
        return
    with pytest.raises(LabbrokerError) as error:
        await call(subject.channel, good_package(), subject.credential)
    for language in ("en", "zh"):
        said = error.value.sentence(language) + error.value.remedy(language)
        assert "A123456789" not in said
        assert "3501234567" not in said
