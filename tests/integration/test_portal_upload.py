"""A person uploads the files: handed over, told of with name and time, taken back, never sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.nhi import portal_channel
from adapters.nhi.portal_channel import PortalChannel
from adapters.nhi.unsigning_credential import PersonCard
from adapters.ports.intake import Media
from broker.bootstrap.hand_uploads import HandUploads
from broker.cli.main import main
from broker.hand_uploads import (
    NoSuchPackage,
    NotAnUpload,
    PackageNotWaiting,
    read_hand_upload,
)
from broker.intake import DurableIntake
from broker.store.schema import attempt, package, receipt, record
from broker.submission import Uploader
from mapping.errors import LabbrokerError
from mapping.verdict import CheckReport
from tests.integration.scripted_gateway import Death, Fate, ScriptedGateway
from tests.integration.submission_stage import CLINIC, NOW, Clock, SubmissionStage

NUMBER = "1140204000017"


def no_report(raw: bytes) -> tuple[CheckReport, ...]:
    raise AssertionError("no report was brought")


@dataclass
class Portal:
    stage: SubmissionStage
    channel: PortalChannel
    place: Path
    woken: int = 0

    def files(self) -> list[str]:
        return sorted(path.name for path in self.place.iterdir() if path.is_file())

    def state(self) -> str:
        return str(self.stage.packages()[-1])

    def stem(self) -> str:
        return str(self.stage.rows(package)[-1].stem)

    async def say(self, **word: Any) -> dict[str, Any]:
        """The order of the control door."""

        def wake() -> None:
            self.woken += 1

        intake = DurableIntake(self.stage.writer, lambda: None, self.stage.clock)
        uploads = HandUploads(
            self.stage.writer,
            self.stage.reader,
            intake,
            self.stage.clock,
            lambda code: self.channel if code == CLINIC else None,
            wake,
        )
        plain = {"package": self.stem(), "by": "王小明", **word}
        return await uploads.orders()["uploaded"](json.dumps(plain).encode(), {})


@pytest_asyncio.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    channel = PortalChannel(tmp_path / "portal", tmp_path / "results")
    uploader = Uploader(CLINIC, channel, PersonCard(CLINIC), no_report)
    stage = SubmissionStage(tmp_path / "store", {CLINIC: uploader})
    await stage.start()
    yield Portal(stage, channel, channel.place(CLINIC))
    stage.end()


async def hand_over(portal: Portal, count: int = 1) -> list[str]:
    people = await portal.stage.tell(count)
    await portal.stage.turn()
    return people


async def test_a_package_is_handed_over_with_a_page_that_says_what_to_do(portal: Portal) -> None:
    (national_id,) = await hand_over(portal)
    stem = portal.stem()
    assert portal.files() == [f"{stem}.html", f"{stem}.zip"]
    assert portal.state() == "unknown"
    assert portal.stage.rows(package)[-1].error_code == "handed-over"
    assert portal.stage.states() == ["unknown"]
    page = (portal.place / f"{stem}.html").read_text("utf-8")
    for told in (stem, "114/02/04", "114/02/05", CLINIC, "labbroker uploaded", "醫事機構卡"):
        assert told in page
    assert national_id not in page
    sealed = portal.stage.package_path(stem).read_bytes()
    assert (portal.place / f"{stem}.zip").read_bytes() == sealed


async def test_nothing_is_sent_again_while_nobody_speaks(portal: Portal) -> None:
    await hand_over(portal)
    for _ in range(200):
        portal.stage.clock.pass_time(timedelta(minutes=20))
        await portal.stage.turn()
    assert portal.state() == "unknown"
    assert [row.kind for row in portal.stage.rows(attempt)].count("send") == 1
    assert len(portal.stage.rows(package)) == 1
    assert portal.files() == [f"{portal.stem()}.html", f"{portal.stem()}.zip"]


async def test_a_restart_hands_nothing_over_twice(portal: Portal) -> None:
    await hand_over(portal)
    await portal.stage.restart()
    portal.stage.clock.pass_time(timedelta(hours=1))
    await portal.stage.turn()
    assert portal.state() == "unknown"
    assert len(portal.files()) == 2


async def test_i_uploaded_it_is_recorded_with_name_time_and_number(portal: Portal) -> None:
    await hand_over(portal, 2)
    portal.stage.clock.pass_time(timedelta(hours=2))
    told = await portal.say(receipt_number=NUMBER)
    assert told == {"package_id": 1, "stem": portal.stem(), "state": "submitted", "records": 2}
    row = portal.stage.rows(package)[-1]
    assert (row.state, row.receipt_number) == ("submitted", NUMBER)
    assert row.confirmed_at == NOW + timedelta(hours=2)
    assert portal.stage.states() == ["checking", "checking"]
    assert {each.confirmed_at for each in portal.stage.rows(record)} == {NOW + timedelta(hours=2)}
    said = json.loads(portal.stage.rows(attempt)[-1].raw_answer)
    assert (said["by"], said["said_at"]) == ("王小明", row.confirmed_at.isoformat())
    kept = [each for each in portal.stage.rows(receipt) if each.media == Media.CORRECTION.value]
    assert [each.id for each in kept] == [said["receipt_id"]]
    assert "王小明" in kept[0].raw.decode("utf-8")
    # The file no longer lies among those that wait.
    assert portal.files() == []
    assert len(list((portal.place / "uploaded").iterdir())) == 2
    assert portal.woken == 1


async def test_the_time_of_the_upload_counts_when_the_person_tells_it(portal: Portal) -> None:
    await hand_over(portal)
    portal.stage.clock.pass_time(timedelta(hours=5))
    at = (NOW + timedelta(hours=1)).isoformat()
    await portal.say(uploaded_at=at)
    assert portal.stage.rows(record)[0].confirmed_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("hours", [-1, 6])
async def test_a_time_that_cannot_be_is_not_taken(portal: Portal, hours: int) -> None:
    await hand_over(portal)
    portal.stage.clock.pass_time(timedelta(hours=5))
    with pytest.raises(NotAnUpload):
        await portal.say(uploaded_at=(NOW + timedelta(hours=hours)).isoformat())
    assert portal.state() == "unknown"
    assert len(portal.files()) == 2


async def test_i_did_not_takes_the_file_back_and_hands_it_over_again(portal: Portal) -> None:
    await hand_over(portal)
    told = await portal.say(uploaded=False)
    assert told["state"] == "sealed"
    assert portal.files() == []
    await portal.stage.scheduler.work_once()
    assert portal.state() == "unknown"
    assert len(portal.stage.rows(package)) == 1
    assert portal.files() == [f"{portal.stem()}.html", f"{portal.stem()}.zip"]


async def test_i_did_not_after_the_last_day_packs_the_records_anew(portal: Portal) -> None:
    await hand_over(portal)
    first = portal.stem()
    portal.stage.clock.pass_time(timedelta(days=2))
    told = await portal.say(uploaded=False)
    assert told["state"] == "stale"
    await portal.stage.scheduler.work_once()
    assert portal.stage.packages() == ["stale", "unknown"]
    assert portal.stem() != first
    assert portal.files() == [f"{portal.stem()}.html", f"{portal.stem()}.zip"]


async def test_a_word_on_what_does_not_wait_changes_nothing(portal: Portal) -> None:
    await hand_over(portal)
    await portal.say(receipt_number=NUMBER)
    with pytest.raises(PackageNotWaiting):
        await portal.say(receipt_number=NUMBER)
    with pytest.raises(PackageNotWaiting):
        await portal.say(uploaded=False)
    with pytest.raises(NoSuchPackage):
        await portal.say(package="35012345671140204999")
    assert portal.state() == "submitted"


async def test_a_folder_that_cannot_be_written_is_tried_again_later(portal: Portal) -> None:
    portal.place.parent.mkdir(parents=True)
    portal.place.write_bytes(b"in the way")
    await hand_over(portal)
    assert portal.state() == "sealed"
    assert portal.stage.rows(package)[-1].error_code == "not-delivered"
    portal.place.unlink()
    portal.stage.clock.pass_time(timedelta(minutes=1))
    await portal.stage.turn()
    assert portal.state() == "unknown"
    assert len(portal.files()) == 2


async def test_a_death_in_the_middle_of_the_hand_over_is_finished_by_the_question(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = portal_channel._write

    def dying(path: Path, raw: bytes) -> None:
        if path.suffix == ".zip":
            raise Death
        real(path, raw)

    await portal.stage.tell(1)
    monkeypatch.setattr(portal_channel, "_write", dying)
    with pytest.raises(Death):
        await portal.stage.turn()
    monkeypatch.undo()
    await portal.stage.restart()
    portal.stage.clock.pass_time(timedelta(hours=1))
    await portal.stage.turn()
    assert portal.state() == "unknown"
    assert portal.files() == [f"{portal.stem()}.html", f"{portal.stem()}.zip"]


async def test_a_package_of_another_channel_that_never_left_can_be_uploaded_by_hand(
    tmp_path: Path,
) -> None:
    clock = Clock()
    gateway = ScriptedGateway(tmp_path / "gateway", clock, fate=lambda: Fate.NOT_DELIVERED)
    stage = SubmissionStage(tmp_path / "store", {CLINIC: gateway.uploader(CLINIC)}, clock)
    await stage.start()
    portal = Portal(stage, PortalChannel(tmp_path / "portal", tmp_path / "results"), tmp_path)
    await stage.tell(2)
    await stage.scheduler.work_once()
    assert (portal.state(), stage.states()) == ("sealed", ["sealed", "sealed"])
    with pytest.raises(PackageNotWaiting):
        await portal.say(uploaded=False)
    await portal.say(receipt_number=NUMBER)
    assert (portal.state(), stage.states()) == ("submitted", ["checking", "checking"])
    assert gateway.sends == []
    stage.end()


@pytest.mark.parametrize(
    "plain",
    [
        {"package": "x", "by": ""},
        {"package": "x", "by": "  "},
        {"package": "x", "by": "a\nb"},
        {"package": "x", "by": "W", "receipt_number": "17"},
        {"package": "x", "by": "W", "receipt_number": "１１４０２０４００００１７"},
        {"package": "x", "by": "W", "uploaded_at": "yesterday"},
        {"package": "x", "by": "W", "uploaded": False, "receipt_number": NUMBER},
    ],
)
def test_a_word_that_is_not_whole_is_refused_with_a_sentence(plain: dict[str, Any]) -> None:
    with pytest.raises(NotAnUpload) as refused:
        read_hand_upload(plain)
    assert refused.value.sentence("zh")


def test_a_time_without_a_zone_is_taipei_time() -> None:
    word = read_hand_upload({"package": "x", "by": "W", "uploaded_at": "2025-02-04T12:00"})
    assert word.uploaded_at == NOW
    assert read_hand_upload(word.to_json()) == word


def test_the_command_records_the_word_without_a_running_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    settings = tmp_path / "labbroker.toml"
    settings.write_text(
        f'data_dir = "store"\n[[institution]]\ncode = "{CLINIC}"\nchannel = "portal"\n'
        'credential = "person"\n[channel.portal]\nfolder = "portal"\n',
        "utf-8",
    )

    async def prepare() -> str:
        channel = PortalChannel(tmp_path / "portal", tmp_path / "portal" / "results")
        uploader = Uploader(CLINIC, channel, PersonCard(CLINIC), no_report)
        stage = SubmissionStage(tmp_path / "store", {CLINIC: uploader})
        await stage.start()
        await stage.tell(3)
        await stage.turn()
        stem: str = stage.rows(package)[0].stem
        stage.end()
        return stem

    stem = asyncio.run(prepare())
    command = ["uploaded", f"{stem}.zip", "--by", "Wang Mei", "--config", str(settings)]
    assert main(["uploaded", stem, "--by", "", "--config", str(settings)]) == 2
    assert main([*command, "--receipt-number", NUMBER]) == 0
    assert "3 records" in capsys.readouterr().out
    assert not list((tmp_path / "portal" / CLINIC).glob("*.zip"))
    assert main([*command, "--receipt-number", NUMBER]) == 2
    assert "submitted" in capsys.readouterr().err


def test_the_errors_of_a_word_speak_both_languages() -> None:
    for error in (
        NotAnUpload(what="x"),
        NoSuchPackage(name="x"),
        PackageNotWaiting(stem="x", state="checked"),
    ):
        assert isinstance(error, LabbrokerError)
        for language in ("en", "zh"):
            assert error.sentence(language)
            assert error.remedy(language)
