"""What every SubmissionChannel owes the broker, whatever the gateway behind it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    NotDelivered,
    OutcomeUnknown,
    RefusedByGateway,
    SealedPackage,
    SubmissionChannel,
)
from adapters.ports.credential import Credential, CredentialKind
from broker.sandbox.faults import GatewayFault
from mapping.errors import LabbrokerError
from tests.gateway_samples import Keys, Rehearsal, good_package, rehearsal, sealed


class Trouble(Enum):
    """What a channel's far side can be made to do; a fixture translates it."""

    UNAVAILABLE = "says that it takes nothing now"
    LOST_ANSWER = "takes the package and its answer is lost"
    CUT_MIDWAY = "cuts the connection while it reads"
    NONSENSE = "answers something that is no receipt"


@dataclass
class Subject:
    """One channel under test, with the hands that disturb its gateway."""

    channel: SubmissionChannel
    credential: Credential
    trouble: Callable[[Trouble], None]
    arrived: Callable[[], int]
    stop: Callable[[], Awaitable[None]]


_SANDBOX = {
    Trouble.UNAVAILABLE: GatewayFault.UNAVAILABLE_BEFORE_READING,
    Trouble.LOST_ANSWER: GatewayFault.CLOSE_AFTER_ACCEPTING,
    Trouble.CUT_MIDWAY: GatewayFault.CLOSE_AT_HALF,
    Trouble.NONSENSE: GatewayFault.LOGIN_PAGE_AFTER_ACCEPTING,
}


@pytest_asyncio.fixture(params=["sandbox"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    assert request.param == "sandbox"
    async with rehearsal(Keys.create(tmp_path / "keys"), tmp_path / "data") as play:
        yield _sandbox_subject(play)


def _sandbox_subject(play: Rehearsal) -> Subject:
    async def stop() -> None:
        play.gateway.faults.order(GatewayFault.MAINTENANCE, 0)

    return Subject(
        play.channel,
        play.key,
        lambda trouble: play.gateway.faults.order(_SANDBOX[trouble]),
        lambda: len(play.ledger()["packages"]),
        stop,
    )


async def test_a_package_is_taken_once_and_its_receipt_has_an_aware_time(subject: Subject) -> None:
    receipt = await subject.channel.submit(good_package(), subject.credential)
    assert receipt.receipt_number
    assert receipt.confirmed_at.tzinfo is UTC
    assert receipt.raw_answer
    assert subject.arrived() == 1


async def test_a_package_that_arrived_is_found_with_the_same_receipt(subject: Subject) -> None:
    package = good_package()
    receipt = await subject.channel.submit(package, subject.credential)
    answer = await subject.channel.query(package, subject.credential)
    assert answer.arrival is Arrival.ARRIVED
    assert answer.receipt is not None
    assert answer.receipt.receipt_number == receipt.receipt_number
    assert answer.receipt.confirmed_at == receipt.confirmed_at


async def test_a_package_that_was_never_sent_is_absent(subject: Subject) -> None:
    answer = await subject.channel.query(good_package(), subject.credential)
    assert answer == replace(answer, arrival=Arrival.ABSENT, receipt=None)


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
    answer = await subject.channel.query(package, subject.credential)
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
    receipt = await subject.channel.submit(package, subject.credential)
    answer = await subject.channel.query(package, subject.credential)
    assert answer.receipt is not None
    assert answer.receipt.receipt_number == receipt.receipt_number
    assert subject.arrived() == 1


async def test_other_bytes_under_a_used_name_are_refused(subject: Subject) -> None:
    await subject.channel.submit(good_package(), subject.credential)
    with pytest.raises(RefusedByGateway) as refusal:
        await subject.channel.submit(good_package(h7="0002"), subject.credential)
    assert refusal.value.parameters["gateway_code"] == "27"
    assert subject.arrived() == 1


async def test_a_definite_refusal_is_told_as_one(subject: Subject) -> None:
    with pytest.raises(RefusedByGateway):
        await subject.channel.submit(sealed(b"<x/>", label="other.xml"), subject.credential)
    assert subject.arrived() == 0


async def test_the_verdict_comes_as_the_raw_archive(subject: Subject) -> None:
    package = good_package()
    receipt = await subject.channel.submit(package, subject.credential)
    raw = await subject.channel.fetch_verdict(package, receipt, subject.credential)
    assert raw is not None
    assert raw.startswith(b"PK")


async def test_a_failed_question_is_never_proof_that_nothing_arrived(subject: Subject) -> None:
    await subject.stop()
    with pytest.raises(OutcomeUnknown):
        await subject.channel.query(good_package(), subject.credential)


async def test_a_verdict_that_cannot_be_fetched_now_is_tried_later(subject: Subject) -> None:
    package = good_package()
    receipt = await subject.channel.submit(package, subject.credential)
    await subject.stop()
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
    with pytest.raises(NotDelivered):
        await subject.channel.submit(good_package(), _BrokenCard())
    assert subject.arrived() == 0


Call = Callable[[SubmissionChannel, SealedPackage, Credential], Awaitable[Any]]
_RECEIPT = ChannelReceipt("1150101000001", datetime.now(UTC))


@pytest.mark.parametrize(
    "call",
    [
        lambda channel, package, credential: channel.submit(package, credential),
        lambda channel, package, credential: channel.query(package, credential),
        lambda channel, package, credential: channel.fetch_verdict(package, _RECEIPT, credential),
    ],
    ids=["submit", "query", "fetch_verdict"],
)
async def test_no_error_text_holds_a_byte_of_the_package_or_a_person(
    subject: Subject, call: Call
) -> None:
    await subject.stop()
    with pytest.raises(LabbrokerError) as error:
        await call(subject.channel, good_package(), subject.credential)
    for language in ("en", "zh"):
        said = error.value.sentence(language) + error.value.remedy(language)
        assert "A123456789" not in said
        assert "3501234567" not in said
