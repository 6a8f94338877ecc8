"""NHI's library at an agent: whatever dies, nothing is called twice and nothing is believed sent
that was not."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adapters.card.agent import CardAgent
from adapters.card.agent_link import AgentLink
from adapters.nhi.check_report import open_verdict
from adapters.nhi.eii_channel import EiiChannel
from adapters.nhi.eii_jobs import EiiJobs
from adapters.nhi.eii_process import EiiProcess
from adapters.nhi.local_eii_seat import LocalEiiSeat
from adapters.nhi.send_journal import SendJournal
from adapters.nhi.unsigning_credential import CloudSam
from adapters.ports.channel import Arrival, CredentialUnusable, NotDelivered, OutcomeUnknown
from adapters.ports.eii_job import (
    EiiMessage,
    JobAnswer,
    JobPart,
    JobState,
    SendJob,
)
from adapters.ports.eii_seat import CallLost
from broker.bootstrap.service import Broker
from broker.card_desk.remote_eii import RemoteEiiSeat, RemoteSam
from broker.cli.main import main
from broker.config import load_settings
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from mapping.errors import LabbrokerError
from mapping.verdict import CheckReport
from tests.card.agent_stage import SECRET, DeskStage, desk_stage, pairing
from tests.conftest import Require
from tests.eii_stand_in import TEMPLATE, Reader, compiled
from tests.gateway_samples import INSTITUTION, Keys, good_package, rehearsal

PACKAGE = good_package()
JOB = "0" * 32


@dataclass
class Library:
    """In the place of the library's process: counts its calls, may hang and may die."""

    code: int = 0
    sends: int = 0
    hang: asyncio.Event | None = None
    lost: bool = False
    closed: bool = False
    asks_for_hospital: bool = False
    files: list[bytes] = field(default_factory=list)

    async def call(self, do: str, **job: Any) -> Mapping[str, Any]:
        if do == "send":
            self.sends += 1
            self.files.append(await asyncio.to_thread(Path(job["file"]).read_bytes))
            if self.hang is not None:
                await self.hang.wait()
            if self.lost:
                raise CallLost("the process ended")
        return {"code": self.code, "local_id": "NHI_00000001", "nhi_id": "1141120000017"}

    async def close(self) -> None:
        self.closed = True


@dataclass
class AgentPc:
    """A PC with the library. ``start`` makes its agent anew, as after a death."""

    stage: DeskStage
    folder: Path
    library: Library = field(default_factory=Library)
    sam: str = INSTITUTION

    def jobs(self) -> EiiJobs:
        place = self.folder / "COMX1"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{self.sam}123456789012.SAM").touch()
        seat = LocalEiiSeat(
            cast(EiiProcess, self.library),
            self.folder / "eii",
            type_code="26",
            request_template="",
            report_after=0,
        )
        journal = SendJournal(self.folder / "sends.jsonl")
        return EiiJobs(seat, [CloudSam(place, INSTITUTION)], journal)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EiiJobs]:
        jobs = self.jobs()
        async with self.stage.agent(eii=jobs):
            await self.stage.until(lambda: self.stage.desk.sam_at(INSTITUTION) is not None)
            yield jobs


@dataclass
class Play:
    stage: DeskStage
    pc: AgentPc
    folder: Path

    def channel(self, **seconds: float) -> EiiChannel:
        """The channel of a broker; each call is a broker that has just been started."""
        seat = RemoteEiiSeat(
            self.stage.desk,
            self.folder / "broker",
            **{"call_seconds": 10.0, "ask_seconds": 5.0, "back_seconds": 5.0, **seconds},
        )
        return EiiChannel(seat, self.folder / "broker", open_verdict=_no_report)

    @property
    def sam(self) -> RemoteSam:
        return RemoteSam(self.stage.desk, INSTITUTION)

    async def begun(self) -> None:
        await self.stage.until(lambda: self.pc.library.sends == 1)

    async def cut_the_line(self) -> None:
        for socket in set(self.stage.door._sockets):
            await socket.close()


def _no_report(_: str, raw: bytes) -> tuple[CheckReport, ...]:
    raise AssertionError("there is none")


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    async with desk_stage(replace(pairing(), eii=(INSTITUTION,))) as stage:
        yield Play(stage, AgentPc(stage, tmp_path / "pc"), tmp_path)


async def test_the_frozen_bytes_reach_the_library_and_stay_nowhere_on_the_pc(play: Play) -> None:
    large = replace(PACKAGE, raw_zip=PACKAGE.raw_zip + bytes(300_000))
    large = replace(large, sha256=hashlib.sha256(large.raw_zip).hexdigest())
    async with play.pc.running():
        receipt = await play.channel().submit(large, play.sam)
        assert play.stage.ready == [INSTITUTION]
    assert receipt.receipt_number == "1141120000017"
    assert play.pc.library.files == [large.raw_zip]
    assert list((play.folder / "pc").rglob("*.zip")) == []
    assert play.pc.library.closed


async def test_a_line_that_is_cut_in_the_call_costs_nothing(play: Play) -> None:
    play.pc.library.hang = asyncio.Event()
    async with play.pc.running():
        sending = asyncio.create_task(play.channel().submit(PACKAGE, play.sam))
        await play.begun()
        await play.cut_the_line()
        play.pc.library.hang.set()
        assert (await sending).receipt_number
    assert play.pc.library.sends == 1


async def test_a_broker_that_died_in_the_call_is_told_by_the_agents_memory(play: Play) -> None:
    play.pc.library.hang = asyncio.Event()
    async with play.pc.running():
        sending = asyncio.create_task(play.channel().submit(PACKAGE, play.sam))
        await play.begun()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        play.pc.library.hang.set()
        answer = await play.channel().query(PACKAGE, play.sam)
        assert answer.arrival is Arrival.ARRIVED
        # Were it sent again all the same, the remembered answer would be all that comes of it.
        assert (await play.channel().submit(PACKAGE, play.sam)).receipt_number
    assert play.pc.library.sends == 1


async def test_an_agent_that_died_before_the_call_proves_that_nothing_was_sent(play: Play) -> None:
    gone = threading.Event()

    def dies(*_: object) -> None:
        gone.wait(20)
        raise OSError(5, "the process is gone")

    async with play.pc.running() as jobs:
        jobs._journal.begin = dies  # type: ignore[assignment,method-assign]
        with pytest.raises(OutcomeUnknown):
            await play.channel(call_seconds=0.3, back_seconds=0.2, ask_seconds=0.2).submit(
                PACKAGE, play.sam
            )
        _forget(jobs)
        gone.set()
    async with play.pc.running():
        assert (await play.channel().query(PACKAGE, play.sam)).arrival is Arrival.ABSENT
        assert play.pc.library.sends == 0
        await play.channel().submit(PACKAGE, play.sam)
    assert play.pc.library.sends == 1


async def test_an_agent_that_died_in_the_call_never_calls_again(play: Play) -> None:
    play.pc.library.hang = asyncio.Event()
    async with play.pc.running() as jobs:
        with pytest.raises(OutcomeUnknown):
            await play.channel(call_seconds=0.3, back_seconds=0.2, ask_seconds=0.2).submit(
                PACKAGE, play.sam
            )
        _forget(jobs)
    async with play.pc.running():
        with pytest.raises(OutcomeUnknown):
            # No template: there is no report that could prove it.
            await play.channel().query(PACKAGE, play.sam)
    assert play.pc.library.sends == 1


async def test_an_agent_that_died_after_the_call_tells_what_was_answered(play: Play) -> None:
    jobs = play.pc.jobs()
    said: list[EiiMessage] = []
    await _give(jobs, _job(), said.append)
    assert play.pc.library.sends == 1
    async with play.pc.running():
        answer = await play.channel().query(PACKAGE, play.sam)
    assert answer.arrival is Arrival.ARRIVED
    assert answer.receipt is not None
    assert answer.receipt.receipt_number == "1141120000017"
    assert play.pc.library.sends == 1


async def test_another_memory_proves_nothing(play: Play) -> None:
    play.pc.library.hang = asyncio.Event()
    async with play.pc.running() as jobs:
        with pytest.raises(OutcomeUnknown):
            await play.channel(call_seconds=0.3, back_seconds=0.2, ask_seconds=0.2).submit(
                PACKAGE, play.sam
            )
        _forget(jobs)
    (play.folder / "pc" / "sends.jsonl").unlink()
    async with play.pc.running():
        with pytest.raises(OutcomeUnknown):
            await play.channel().query(PACKAGE, play.sam)


async def test_two_brokers_that_send_the_same_file_make_one_call(play: Play) -> None:
    jobs = play.pc.jobs()
    said: list[EiiMessage] = []
    late = replace(_job(), job_id="1" * 32)
    await _give(jobs, _job(), said.append)
    # The other one began before it could know of the first.
    await _give(jobs, late, said.append)
    states = [each.state for each in said if isinstance(each, JobAnswer)]
    assert states == [JobState.ANSWERED, JobState.OTHER_FIRST]
    # And the same job again, as after a line that was cut, is told what came of it.
    await _give(jobs, _job(), said.append)
    assert [each.state for each in said if isinstance(each, JobAnswer)][2:] == [JobState.ANSWERED]
    assert play.pc.library.sends == 1


@pytest.mark.parametrize(
    ("code", "error"), [(5004, NotDelivered), (5010, CredentialUnusable), (5021, OutcomeUnknown)]
)
async def test_what_the_library_answers_is_concluded_as_on_this_machine(
    play: Play, code: int, error: type[Exception]
) -> None:
    play.pc.library.code = code
    async with play.pc.running():
        with pytest.raises(error):
            await play.channel().submit(PACKAGE, play.sam)
        if error is not OutcomeUnknown:
            assert (await play.channel().query(PACKAGE, play.sam)).arrival is Arrival.ABSENT


async def test_a_file_that_came_damaged_or_in_part_is_never_sent(play: Play) -> None:
    jobs = play.pc.jobs()
    said: list[EiiMessage] = []
    await _give(jobs, replace(_job(), sha256="f" * 64), said.append)
    assert [each.state for each in said if isinstance(each, JobAnswer)] == [JobState.NOT_CALLED]

    async def line(message: EiiMessage) -> None:
        said.append(message)

    jobs.take(_job(), line)
    jobs.take(JobPart(JOB, PACKAGE.raw_zip[:10]), line)
    jobs.line_lost(line)
    jobs.take(JobPart(JOB, PACKAGE.raw_zip[10:]), line)
    await jobs.close()
    assert play.pc.library.sends == 0


async def test_without_its_agent_or_with_another_sam_nothing_is_begun(play: Play) -> None:
    with pytest.raises(NotDelivered):
        await play.channel().submit(PACKAGE, play.sam)
    with pytest.raises(NotDelivered):
        _ = play.sam.institution_code
    play.pc.sam = "3599999902"
    async with play.stage.agent(eii=play.pc.jobs()):
        await play.stage.until(lambda: bool(play.stage.desk.connections()))
        await play.stage.until(lambda: play.stage.condition(INSTITUTION) == "credential-mismatch")
        with pytest.raises(NotDelivered):
            await play.channel().submit(PACKAGE, play.sam)
    assert play.pc.library.sends == 0


async def test_an_agent_speaks_for_no_institution_that_its_pairing_does_not_name(
    tmp_path: Path,
) -> None:
    async with desk_stage(pairing()) as stage, stage.agent(eii=AgentPc(stage, tmp_path).jobs()):
        await stage.until(lambda: any(each.status.sams for each in stage.desk.connections()))
        assert stage.desk.sam_at(INSTITUTION) is None


@pytest.mark.slow
async def test_an_agent_that_is_killed_in_the_call_leaves_one_file_at_the_gateway(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, require: Require
) -> None:
    """The whole command, NHI's library of the tests in its child, and a real kill."""
    library = compiled(tmp_path_factory.getbasetemp(), require)
    keys = Keys.create(tmp_path / "keys")
    async with (
        rehearsal(keys, tmp_path / "data", eii=True) as gateway,
        desk_stage(replace(pairing(), eii=(INSTITUTION,))) as stage,
    ):
        reader = Reader.of(tmp_path, gateway.url, INSTITUTION)
        _write_settings(tmp_path, stage.url, library, reader)
        channel = EiiChannel(
            RemoteEiiSeat(stage.desk, tmp_path / "broker", call_seconds=60, back_seconds=0.5),
            tmp_path / "broker",
            open_verdict=lambda _, raw: open_verdict(raw, DOCUMENTED_PASSWORD),
        )
        sam = RemoteSam(stage.desk, INSTITUTION)
        reader.fault("block-after")
        async with _agent_process(tmp_path, stage) as process:
            sending = asyncio.create_task(channel.submit(PACKAGE, sam))
            async with asyncio.timeout(60):
                while not gateway.ledger()["packages"]:  # noqa: ASYNC110 - in another process
                    await asyncio.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)  # The library's process hangs in its call.
            with pytest.raises(OutcomeUnknown):
                await sending
        # It may have been killed before it had forgotten what to meet.
        reader.calm()
        async with _agent_process(tmp_path, stage):
            # It does not know; the check report does.
            answer = await channel.query(PACKAGE, sam)
            async with asyncio.timeout(60):
                while answer.arrival is Arrival.PENDING:
                    answer = await channel.query(PACKAGE, sam)
            assert answer.receipt is not None
            assert await channel.fetch_verdict(PACKAGE, answer.receipt, sam)
        assert len(gateway.ledger()["packages"]) == 1


@asynccontextmanager
async def _agent_process(
    folder: Path, stage: DeskStage
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broker.cli.main", "card-agent"),
        *("--config", str(folder / "agent.toml")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await stage.until(lambda: stage.desk.sam_at(INSTITUTION) is not None)
        yield process
    finally:
        if process.returncode is None:
            # With the library's process, which may hang in its call.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _write_settings(folder: Path, url: str, library: Path, reader: Reader) -> None:
    sam = folder / "COMX1"
    sam.mkdir()
    (sam / f"{INSTITUTION}123456789012.SAM").touch()
    (folder / "secret").write_text(SECRET, "utf-8")
    (folder / "secret").chmod(0o600)
    (folder / "agent.toml").write_text(
        f"""
data_dir = "agent"
[agent]
brokers = ["{url}"]
secret = "file:secret"
readers = false
[[institution]]
code = "{INSTITUTION}"
channel = "eii"
credential = "sam"
credential_folder = "COMX1"
[channel.eii]
library = "{library}"
reader_library = "{reader.file}"
request_template = "{TEMPLATE}"
report_after_seconds = 0
""",
        "utf-8",
    )


BROKER = f"""
data_dir = "data"
[mllp]
enabled = false
[http]
port = 0
[[institution]]
code = "{INSTITUTION}"
channel = "eii"
credential = "sam"
"""
PAIRING = f"""
[[pairing]]
agent = "front-desk"
secret_sha256 = ["{hashlib.sha256(SECRET.encode()).hexdigest()}"]
institutions = []
eii = ["{INSTITUTION}"]
"""


def test_a_broker_needs_no_library_for_what_an_agent_sends(tmp_path: Path) -> None:
    file = tmp_path / "labbroker.toml"
    file.write_text(BROKER, "utf-8")
    with pytest.raises(LabbrokerError, match="library"):
        load_settings(file, {})
    file.write_text(BROKER + PAIRING, "utf-8")
    assert load_settings(file, {}).pairings[0].eii == (INSTITUTION,)
    file.write_text(BROKER.replace('"eii"', '"portal"').replace("sam", "person") + PAIRING, "utf-8")
    with pytest.raises(LabbrokerError, match="eii names"):
        load_settings(file, {})


async def test_cards_shows_the_sam_of_an_agent_of_a_running_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    file = tmp_path / "labbroker.toml"
    file.write_text(BROKER + PAIRING, "utf-8")
    broker = Broker(load_settings(file, {}), environ={})
    await broker.start()
    try:
        stage = cast(DeskStage, SimpleNamespace())
        agent = CardAgent([], None, "1.0", look_seconds=0.05, eii=AgentPc(stage, tmp_path).jobs())
        url = f"http://127.0.0.1:{broker.http_port}"
        link = AgentLink(url, SECRET, agent, lambda url, word: None)
        tasks = [asyncio.create_task(each) for each in (agent.watch(), link.run())]
        shown = ""
        async with asyncio.timeout(20):
            while "ready" not in shown:
                assert await asyncio.to_thread(main, ["cards", "--config", str(file)]) == 0
                shown = capsys.readouterr().out
        assert f"{INSTITUTION}  SAM @ front-desk  ready" in shown
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await agent.close()
    finally:
        await broker.stop()


def _job() -> SendJob:
    size = len(PACKAGE.raw_zip)
    return SendJob(JOB, "", INSTITUTION, PACKAGE.stem, PACKAGE.sha256, size)


async def _give(jobs: EiiJobs, job: SendJob, hear: Callable[[EiiMessage], None]) -> None:
    """A whole file, and what is said of it."""

    async def line(message: EiiMessage) -> None:
        hear(message)

    jobs.take(job, line)
    jobs.take(JobPart(job.job_id, PACKAGE.raw_zip), line)
    work: set[Awaitable[None]] = set(jobs._tasks)
    await asyncio.gather(*work)


def _forget(jobs: EiiJobs) -> None:
    """The process is gone: none of its tasks goes on, nothing more is written."""
    for task in (*jobs._tasks, *jobs._sending.values()):
        task.cancel()
    jobs._journal.end = _dies  # type: ignore[assignment,method-assign]


def _dies(*_: object) -> None:
    raise KeyError("the process is gone")
