"""Files that were taken and could not be read afterwards: they must not look like good ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from adapters.folder.events import EventCode, FolderEvent
from adapters.folder.scan import ScanSummary
from adapters.folder.watched_folder import WatchedFolder
from adapters.folder.watcher import FolderDoor
from broker.demo.people import CLINIC, LAB
from broker.store.receipts import list_receipts, replay_receipt
from broker.store.unread_files import StoredUnreadFiles
from mapping.profile import CodeLink, CsvLayout, SourceProfile
from tests.folder.remembering_intake import SteppingClock
from tests.integration.broker_stage import PROFILE, Stage, open_stage

GOOD = "national_id,order_code,value,item_name\nA123456789,09005C,90,Glucose\n"
BIG5_NAME = "national_id,order_code,value,item_name\nA123456789,09005C,90,血糖\n".encode("big5")


class Bench:
    """A stage and a folder door before it, on a clock that is told."""

    def __init__(self, stage: Stage, path: Path) -> None:
        self.stage = stage
        self.path = path
        self.clock = SteppingClock()
        self.events: list[FolderEvent] = []
        self.open_door()

    def open_door(self) -> None:
        self.door = FolderDoor(
            self.stage.intake,
            [WatchedFolder(self.path, "lab")],
            report=self.events.append,
            clock=self.clock,
            unread=StoredUnreadFiles(self.stage.reader),
        )

    async def restart_door(self) -> None:
        await self.door.stop()
        self.open_door()

    async def settle(self) -> ScanSummary:
        """Take what is whole, read it, and look once more."""
        await self.door.scan_once()
        self.clock.pass_seconds(3)
        await self.door.scan_once()
        await self.stage.work()
        return await self.door.scan_once()

    def names(self, folder: str) -> list[str]:
        place = self.path / folder
        return sorted(each.name for each in place.iterdir()) if place.exists() else []

    def note(self) -> str:
        (name,) = (each for each in self.names("failed") if each.endswith(".reason.txt"))
        return (self.path / "failed" / name).read_text(encoding="utf-8-sig")


@asynccontextmanager
async def bench_of(tmp_path: Path, profile: SourceProfile = PROFILE) -> AsyncIterator[Bench]:
    folder = tmp_path / "in"
    folder.mkdir()
    async with open_stage(tmp_path / "data", profile) as stage:
        bench = Bench(stage, folder)
        try:
            yield bench
        finally:
            await bench.door.stop()


async def test_a_taken_file_that_cannot_be_read_ends_in_failed_with_the_reason_beside(
    tmp_path: Path,
) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_bytes(BIG5_NAME)
        summary = await bench.settle()
        assert summary.unread == 1
        assert bench.names("done") == []
        (name, note) = bench.names("failed")
        assert name.endswith("-results.csv")
        assert note == f"{name}.reason.txt"
        assert (bench.path / "failed" / name).read_bytes() == BIG5_NAME
        assert "labbroker replay 1" in bench.note()
        assert "收件 1" in bench.note()
        assert bench.events[-1].code is EventCode.UNREAD
        assert "results.csv" not in bench.events[-1].error.sentence()  # type: ignore[union-attr]


async def test_what_could_be_read_stays_in_done(tmp_path: Path) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_text(GOOD)
        assert (await bench.settle()).unread == 0
        assert len(bench.names("done")) == 1
        assert bench.names("failed") == []


async def test_a_file_that_was_found_unreadable_while_the_door_was_closed_is_laid_aside_later(
    tmp_path: Path,
) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_bytes(BIG5_NAME)
        await bench.door.scan_once()
        bench.clock.pass_seconds(3)
        await bench.door.scan_once()
        await bench.door.stop()
        await bench.stage.work()
        assert len(bench.names("done")) == 1
        bench.open_door()
        assert (await bench.door.scan_once()).unread == 1
        assert bench.names("done") == []


async def test_it_is_laid_aside_once_however_often_the_door_starts(tmp_path: Path) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_bytes(BIG5_NAME)
        await bench.settle()
        for _ in range(3):
            await bench.restart_door()
            assert (await bench.door.scan_once()).unread == 0
        assert len(bench.names("failed")) == 2


async def test_the_same_unreadable_bytes_once_more_are_a_duplicate(tmp_path: Path) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_bytes(BIG5_NAME)
        await bench.settle()
        (bench.path / "again.csv").write_bytes(BIG5_NAME)
        await bench.settle()
        assert bench.names("done") == []
        assert len(bench.names("duplicate")) == 2


async def test_the_marker_of_a_sender_goes_along_with_its_file(tmp_path: Path) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_bytes(BIG5_NAME)
        (bench.path / "results.csv.done").touch()
        await bench.settle()
        assert bench.names("done") == []
        assert [name[13:] for name in bench.names("failed")] == [
            "results.csv",
            "results.csv.done",
            "results.csv.reason.txt",
        ]


async def test_a_writer_that_goes_on_in_failed_gets_its_file_read_again(tmp_path: Path) -> None:
    async with bench_of(tmp_path) as bench:
        path = bench.path / "results.csv"
        path.write_bytes(BIG5_NAME)
        with path.open("ab") as writer:
            await bench.settle()
            assert any(name.endswith("-results.csv") for name in bench.names("failed"))
            writer.truncate(0)
            writer.write(GOOD.encode())
        await bench.settle()
        assert [name[13:] for name in bench.names("done")] == ["results.csv"]


async def test_one_bad_file_of_a_zip_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    profile = replace(
        PROFILE,
        lab_code=LAB,
        clinic_code=CLINIC,
        codes={"09005C": CodeLink("09005C")},
        csv=CsvLayout(),
    )
    async with bench_of(tmp_path, profile) as bench:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr("one.csv", GOOD)
            archive.writestr("two.csv", BIG5_NAME)
        (bench.path / "day.zip").write_bytes(body.getvalue())
        await bench.settle()
        assert bench.names("done") == []
        assert bench.names("failed")[0].endswith("-day.zip")
        assert "File 2 of this ZIP" in bench.note()
        assert len(bench.stage.records()) == 1
        await bench.restart_door()
        assert (await bench.door.scan_once()).unread == 0


async def test_a_file_that_failed_again_after_a_replay_is_laid_aside_where_it_lies_in_done(
    tmp_path: Path,
) -> None:
    async with bench_of(tmp_path) as bench:
        (bench.path / "results.csv").write_bytes(BIG5_NAME)
        await bench.settle()
        await bench.stage.writer.write(lambda c: replay_receipt(c, 1))
        await bench.door.scan_once()
        await bench.stage.work()
        (name, note) = bench.names("failed")
        (bench.path / "failed" / name).rename(bench.path / "done" / name)
        (bench.path / "failed" / note).unlink()
        await bench.door.scan_once()
        assert bench.names("failed") == [name, note]
        with bench.stage.reader.connect() as connection:
            assert [row.state for row in list_receipts(connection)] == ["quarantined"]
