"""The folder door on shares that vanish, several folders, and as a running door."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.folder import taking
from adapters.folder.errors import FolderConflict
from adapters.folder.events import EventCode, FolderEvent, log_event
from adapters.folder.watched_folder import WatchedFolder
from adapters.folder.watcher import FolderDoor
from tests.folder.remembering_intake import RememberingIntake
from tests.integration.test_folder_door import CSV, Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    path = tmp_path / "in"
    path.mkdir()
    bench = Bench(WatchedFolder(path, "lab-a", max_bytes=100_000))
    yield bench
    await bench.door.stop()


async def test_a_vanished_mount_is_one_fault_and_no_deletion(bench: Bench, tmp_path: Path) -> None:
    bench.write("results.csv")
    await bench.scan()
    away = bench.path.rename(tmp_path / "away")
    assert (await bench.scan(1.0)).faults == 1
    assert (await bench.scan(1.0)).faults == 1
    assert bench.codes() == [EventCode.FAULT]
    away.rename(bench.path)
    assert (await bench.scan(1.0)).taken == 1
    assert bench.codes() == [EventCode.FAULT, EventCode.RECOVERED, EventCode.TAKEN]


async def test_an_empty_mount_point_is_not_taken_for_the_share(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.scan()
    bench.path.rename(tmp_path / "away")
    bench.path.mkdir()
    bench.write("results.csv")
    await bench.settle()
    assert bench.intake.payloads == []
    assert bench.names() == ["results.csv"]
    assert bench.door.faults[bench.path].code == "folder-gone"


async def test_one_missing_folder_stops_no_other(bench: Bench, tmp_path: Path) -> None:
    door = FolderDoor(
        bench.intake,
        [WatchedFolder(tmp_path / "missing", "lab-b"), bench.folder],
        report=bench.events.append,
        clock=bench.clock,
    )
    bench.write("results.csv")
    await door.scan_once()
    bench.clock.pass_seconds(2.0)
    assert (await door.scan_once()).taken == 1
    assert list(door.faults) == [tmp_path / "missing"]
    await door.stop()


async def test_a_folder_whose_code_fails_stops_no_other(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = WatchedFolder(tmp_path / "broken", "lab-b")
    broken.path.mkdir()
    door = FolderDoor(
        bench.intake, [broken, bench.folder], report=bench.events.append, clock=bench.clock
    )
    bench.write("results.csv")
    listing = taking.Taking.return_late

    def failing(self: taking.Taking) -> list[str]:
        if self._folder is broken:
            raise ZeroDivisionError("A123456789")
        return listing(self)

    monkeypatch.setattr(taking.Taking, "return_late", failing)
    await door.scan_once()
    bench.clock.pass_seconds(2.0)
    assert (await door.scan_once()).taken == 1
    assert "A123456789" not in str([str(event.error) for event in bench.events])
    await door.stop()


@pytest.mark.parametrize("other", ["in", "in/deeper", "."])
async def test_overlapping_folders_are_refused(bench: Bench, tmp_path: Path, other: str) -> None:
    with pytest.raises(FolderConflict):
        FolderDoor(bench.intake, [bench.folder, WatchedFolder(tmp_path / other, "lab-b")])


async def test_file_names_and_content_stay_out_of_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.door = FolderDoor(bench.intake, [bench.folder], report=log_event, clock=bench.clock)
    bench.write("王小明-A123456789.csv")
    bench.write("王小明-A123456789.doc", "王小明\n")
    with caplog.at_level(logging.DEBUG):
        await bench.settle()
        await bench.scan(60.0)
    assert "taken" in caplog.text
    assert "refused" in caplog.text
    assert "王小明" not in caplog.text
    assert "A123456789" not in caplog.text


@pytest.mark.parametrize("polling", [False, True])
async def test_a_running_door_takes_what_is_dropped(tmp_path: Path, polling: bool) -> None:
    folder = WatchedFolder(tmp_path, "lab-a", quiet_seconds=0.1, scan_seconds=1, polling=polling)
    intake, taken = RememberingIntake(), asyncio.Event()

    def report(event: FolderEvent) -> None:
        if event.code is EventCode.TAKEN:
            taken.set()

    door = FolderDoor(intake, [folder], report=report)
    await door.start()
    try:
        await asyncio.sleep(0.3)
        (tmp_path / "results.csv").write_text(CSV.format(1))
        async with asyncio.timeout(20):
            await taken.wait()
    finally:
        await door.stop()
    assert len(intake.payloads) == 1


async def test_a_stopped_door_can_be_started_again(tmp_path: Path) -> None:
    taken: asyncio.Queue[FolderEvent] = asyncio.Queue()
    folder = WatchedFolder(tmp_path, "lab-a", quiet_seconds=0.1, scan_seconds=1)
    door = FolderDoor(RememberingIntake(), [folder], report=taken.put_nowait)
    for value in ("1", "2"):
        await door.start()
        (tmp_path / "results.csv").write_text(CSV.format(value))
        async with asyncio.timeout(20):
            assert (await taken.get()).code is EventCode.TAKEN
        await door.stop()


@pytest.fixture(autouse=True)
def _tidy(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)
