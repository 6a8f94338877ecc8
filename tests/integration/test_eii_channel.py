"""NHI's library in its child process: what it may do, and what is concluded from it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

import adapters.nhi.eii_child
from adapters.nhi.check_report import open_verdict
from adapters.nhi.eii_channel import EiiChannel
from adapters.nhi.eii_process import EiiProcess
from adapters.nhi.local_eii_seat import LocalEiiSeat
from adapters.nhi.unsigning_credential import CloudSam
from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    CredentialUnusable,
    NotDelivered,
    OutcomeUnknown,
    SealedPackage,
)
from broker.sandbox.faults import GatewayFault
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from tests.conftest import Require
from tests.eii_stand_in import TEMPLATE, Reader, compiled
from tests.gateway_samples import (
    INSTITUTION,
    Clock,
    Keys,
    Rehearsal,
    good_package,
    header,
    rehearsal,
)

CHILD = Path(adapters.nhi.eii_child.__file__)


@dataclass
class Stage:
    channel: EiiChannel
    reader: Reader
    play: Rehearsal
    folder: Path
    library: Path
    sam: CloudSam

    def arrived(self) -> int:
        return len(self.play.ledger()["packages"])

    async def submit(self, package: SealedPackage | None = None) -> ChannelReceipt:
        return await self.channel.submit(package or good_package(), self.sam)


def channel_of(
    process: EiiProcess, folder: Path, template: str = TEMPLATE, report_after: float = 0
) -> EiiChannel:
    seat = LocalEiiSeat(
        process,
        folder / "eii",
        type_code="26",
        request_template=template,
        report_after=report_after,
    )
    return EiiChannel(
        seat,
        folder / "eii",
        open_verdict=lambda _, raw: open_verdict(raw, DOCUMENTED_PASSWORD),
    )


@pytest_asyncio.fixture
async def stage(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, require: Require
) -> AsyncIterator[Stage]:
    library = compiled(tmp_path_factory.getbasetemp(), require)
    async with rehearsal(Keys.create(tmp_path / "keys"), tmp_path / "data", eii=True) as play:
        reader = Reader.of(tmp_path, play.url, INSTITUTION)
        process = EiiProcess(library, reader.file, timeout=20)
        channel = channel_of(process, tmp_path)
        sam = tmp_path / "COMX1"
        sam.mkdir()
        (sam / f"{INSTITUTION}000000000001.SAM").touch()
        yield Stage(channel, reader, play, tmp_path, library, CloudSam(sam, INSTITUTION))
        await channel.close()


@pytest.mark.parametrize("code", ["5021", "5022", "5023", "5027", "9999", "4711"])
async def test_a_code_that_leaves_doubt_after_a_send_is_unknown(stage: Stage, code: str) -> None:
    stage.reader.fault(f"{code}-after")
    with pytest.raises(OutcomeUnknown) as unknown:
        await stage.submit()
    assert code in unknown.value.sentence("zh")
    assert stage.arrived() == 1


@pytest.mark.parametrize("code", ["5000", "5004", "5020", "5028", "8203", "5002", "5007", "500"])
async def test_a_code_before_anything_left_is_not_delivered(stage: Stage, code: str) -> None:
    stage.reader.fault(code)
    with pytest.raises(NotDelivered):
        await stage.submit()
    assert stage.arrived() == 0
    assert (await stage.submit()).receipt_number


@pytest.mark.parametrize("code", ["5005", "5008", "5010"])
async def test_a_sam_that_does_not_sign_is_a_credential_that_cannot_be_used(
    stage: Stage, code: str
) -> None:
    stage.reader.fault(code)
    with pytest.raises(CredentialUnusable):
        await stage.submit()


@pytest.mark.parametrize(("fault", "arrived"), [("crash-before", 0), ("crash-after", 1)])
async def test_a_crash_of_the_library_harms_only_its_process(
    stage: Stage, fault: str, arrived: int
) -> None:
    stage.reader.fault(fault)
    with pytest.raises(OutcomeUnknown):
        await stage.submit()
    assert stage.arrived() == arrived
    answer = await stage.channel.query(good_package(serial=2), stage.sam)
    assert answer.arrival is Arrival.PENDING


@pytest.mark.parametrize(("fault", "arrived"), [("block-before", 0), ("block-after", 1)])
async def test_a_window_that_waits_for_a_click_ends_with_its_process(
    stage: Stage, fault: str, arrived: int
) -> None:
    channel = channel_of(EiiProcess(stage.library, stage.reader.file, timeout=4), stage.folder)
    stage.reader.fault(fault)
    with pytest.raises(OutcomeUnknown) as unknown:
        await channel.submit(good_package(), stage.sam)
    assert "time-out" in unknown.value.sentence("en")
    assert stage.arrived() == arrived
    # The next call has a process of its own.
    assert (await channel.submit(good_package(serial=2), stage.sam)).receipt_number
    await channel.close()


async def test_a_caller_that_gives_up_leaves_no_answer_behind(stage: Stage) -> None:
    stage.play.gateway.faults.order(GatewayFault.SLOW_ANSWER)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await stage.submit()
    receipt = await stage.submit(good_package(serial=2))
    assert receipt.receipt_number
    assert receipt.receipt_number[-3:] == "002"


async def test_a_report_is_requested_then_fetched_and_proves_the_arrival(stage: Stage) -> None:
    package = good_package()
    stage.reader.fault("5027-after")
    with pytest.raises(OutcomeUnknown):
        await stage.submit(package)
    first = await stage.channel.query(package, stage.sam)
    assert first.arrival is Arrival.PENDING
    second = await stage.channel.query(package, stage.sam)
    assert second.arrival is Arrival.ARRIVED
    assert second.receipt is not None
    # What proved the arrival is the verdict: it is not asked for a second time.
    verdict = await stage.channel.fetch_verdict(package, second.receipt, stage.sam)
    assert verdict is not None
    assert open_verdict(verdict, DOCUMENTED_PASSWORD)[0].records[0].values["h15"] == "09005C"


async def test_a_report_that_tells_of_other_records_proves_nothing(stage: Stage) -> None:
    package, other = good_package(), good_package(h16=header()["h16"][:7] + "110000")
    await stage.submit(package)
    # The same name, but another second of sealing: these bytes were never sent.
    for _ in range(3):
        assert (await stage.channel.query(other, stage.sam)).arrival is Arrival.PENDING


@pytest.mark.parametrize("code", ["5022", "5023"])
async def test_a_report_that_is_not_there_proves_no_absence(stage: Stage, code: str) -> None:
    package = good_package()
    await stage.channel.query(package, stage.sam)
    for _ in range(4):
        stage.reader.fault(code)
        assert (await stage.channel.query(package, stage.sam)).arrival is Arrival.PENDING


async def test_the_first_look_waits_as_long_as_nhi_advises(stage: Stage) -> None:
    channel = channel_of(EiiProcess(stage.library, stage.reader.file), stage.folder, TEMPLATE, 1800)
    clock = Clock()
    channel._seat._clock = clock  # type: ignore[attr-defined]
    receipt = await channel.submit(good_package(), stage.sam)
    for _ in range(3):
        assert await channel.fetch_verdict(good_package(), receipt, stage.sam) is None
    clock.ahead = clock.ahead.__class__(minutes=31)
    assert await channel.fetch_verdict(good_package(), receipt, stage.sam) is not None
    await channel.close()


async def test_without_a_request_template_no_report_is_asked_for(stage: Stage) -> None:
    process = EiiProcess(stage.library, stage.reader.file)
    channel = channel_of(process, stage.folder, template="")
    receipt = await channel.submit(good_package(), stage.sam)
    with pytest.raises(NotDelivered) as told:
        await channel.fetch_verdict(good_package(), receipt, stage.sam)
    assert "request_template" in told.value.sentence("zh")
    await channel.close()


async def test_the_request_file_is_the_template_with_the_names_of_the_package(
    stage: Stage,
) -> None:
    words = "A={institution}\nB={upload_date}\nC={month}\nD={serial}\nE={file}\n"
    process = EiiProcess(stage.library, stage.reader.file)
    channel = channel_of(process, stage.folder, template=words)
    package = good_package()
    with pytest.raises(OutcomeUnknown):
        await channel.query(package, stage.sam)
    (file,) = (stage.folder / "eii" / package.stem).glob(f"{INSTITUTION}-*-001.txt")
    day = package.stem[10:17]
    assert file.read_bytes().decode("ascii").split("\r\n") == [
        f"A={INSTITUTION}",
        f"B={day}",
        f"C={day[:5]}",
        "D=001",
        f"E={package.stem}",
        "",
    ]
    await channel.close()


async def test_the_reader_is_asked_whose_sam_it_holds_before_each_send(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EII_STAND_IN_READER", str(stage.reader.file))
    process = EiiProcess(stage.library, stage.reader.file, control_library=stage.library)
    channel = channel_of(process, stage.folder)
    assert (await channel.submit(good_package(), stage.sam)).receipt_number
    Reader.of(stage.folder, stage.play.url, "3507654321")
    with pytest.raises(CredentialUnusable) as told:
        await channel.submit(good_package(serial=2), stage.sam)
    assert "another institution" in told.value.sentence("en")
    assert stage.arrived() == 1
    await channel.close()


async def test_a_library_that_cannot_be_loaded_has_sent_nothing(stage: Stage) -> None:
    process = EiiProcess(stage.reader.file, stage.reader.file)
    with pytest.raises(NotDelivered) as told:
        await channel_of(process, stage.folder).submit(good_package(), stage.sam)
    assert "library" in told.value.sentence("en")


async def test_a_python_that_is_not_there_has_sent_nothing(stage: Stage) -> None:
    process = EiiProcess(stage.library, stage.reader.file, python=stage.folder / "python32")
    with pytest.raises(NotDelivered):
        await channel_of(process, stage.folder).submit(good_package(), stage.sam)


async def test_a_path_that_the_library_cannot_read_has_sent_nothing(stage: Stage) -> None:
    channel = channel_of(EiiProcess(stage.library, stage.reader.file), stage.folder / "上傳")
    with pytest.raises(NotDelivered) as told:
        await channel.submit(good_package(), stage.sam)
    assert "ASCII" in told.value.sentence("en")


async def test_two_senders_take_turns_at_the_one_reader(stage: Stage) -> None:
    packages = [good_package(serial) for serial in range(1, 6)]
    receipts = await asyncio.gather(*(stage.submit(package) for package in packages))
    assert len({receipt.receipt_number for receipt in receipts}) == 5
    assert stage.arrived() == 5


async def test_the_sam_of_the_credential_is_read_from_the_name_of_its_file(stage: Stage) -> None:
    assert stage.sam.institution_code == INSTITUTION
    (stage.sam.folder / "3507654321000000000002.SAM").touch()
    with pytest.raises(CredentialUnusable):
        _ = stage.sam.institution_code
    with pytest.raises(CredentialUnusable):
        _ = replace(stage.sam, folder=stage.folder / "nowhere").institution_code


def test_the_child_needs_nothing_beyond_the_standard_library() -> None:
    jobs = [{"do": "load", "library": "nowhere"}, {"do": "dance"}, {"do": "send"}, ["no job"]]
    lines = "".join(json.dumps(job) + "\n" for job in jobs) + "no json\n"
    # -S: no installed package can be found at all.
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(CHILD)],
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["error"] for answer in answers] == ["library", "job", "library", "job", "job"]
    assert "Traceback" not in result.stderr


def test_the_command_eii_child_is_the_same_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "broker.cli.main", "eii-child"],
        input='{"do": "dance"}\n',
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(result.stdout) == {"error": "job", "reason": "unknown"}
