"""The folder door on real files, with an intake in memory and a clock that is told."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.folder import claim, taking
from adapters.folder.events import EventCode, FolderEvent
from adapters.folder.scan import ScanSummary
from adapters.folder.watched_folder import WatchedFolder
from adapters.folder.watcher import FolderDoor
from adapters.ports.intake import Door, Media
from tests.folder.remembering_intake import RememberingIntake, SteppingClock

CSV = "national_id,order_code,value\nA123456789,09005C,{}\n"


@dataclass
class Bench:
    folder: WatchedFolder
    intake: RememberingIntake = field(default_factory=RememberingIntake)
    clock: SteppingClock = field(default_factory=SteppingClock)
    events: list[FolderEvent] = field(default_factory=list)
    door: FolderDoor = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def path(self) -> Path:
        return self.folder.path

    def restart(self) -> None:
        self.door = FolderDoor(
            self.intake, [self.folder], report=self.events.append, clock=self.clock
        )

    def write(self, name: str, text: str = CSV.format(90)) -> Path:
        path = self.path / name
        path.write_bytes(text.encode())
        return path

    async def scan(self, seconds: float = 0.0) -> ScanSummary:
        self.clock.pass_seconds(seconds)
        return await self.door.scan_once()

    async def settle(self) -> ScanSummary:
        """Two scans with the quiet time between them."""
        await self.scan()
        return await self.scan(self.folder.quiet_seconds)

    def names(self, *parts: str) -> list[str]:
        return sorted(entry.name for entry in self.path.joinpath(*parts).iterdir())

    def waiting_names(self) -> list[str]:
        return [name for name in self.names() if name not in ("done", "refused")]

    def codes(self) -> list[EventCode]:
        return [event.code for event in self.events]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    path = tmp_path / "in"
    path.mkdir()
    bench = Bench(WatchedFolder(path, "lab-a", max_bytes=100_000))
    yield bench
    await bench.door.stop()


async def test_a_whole_file_is_stored_and_moved_to_done(bench: Bench) -> None:
    bench.write("results.csv")
    assert (await bench.scan()).waiting == 1
    summary = await bench.scan(2.0)
    assert (summary.taken, summary.waiting) == (1, 0)
    (payload,) = bench.intake.payloads
    assert payload.raw == CSV.format(90).encode()
    assert (payload.source_id, payload.door, payload.media) == ("lab-a", Door.FOLDER, Media.CSV)
    assert (payload.control_id, payload.name) == ("", "results.csv")
    assert bench.waiting_names() == []
    (done,) = bench.names("done")
    assert done.endswith("-results.csv")
    assert bench.intake.answers == [(1, True)]


async def test_a_file_that_is_still_written_is_not_taken(bench: Bench) -> None:
    path = bench.write("slow.csv", CSV.format(1))
    for part in range(5):
        await bench.scan(1.5)
        with path.open("a") as file:
            file.write(f"A123456789,09005C,{part}\n")
    assert bench.intake.payloads == []
    await bench.settle()
    assert bench.intake.payloads[0].raw.endswith(b",4\n")


async def test_a_writer_that_pauses_inside_a_line_is_waited_for(bench: Bench) -> None:
    path = bench.write("slow.csv", CSV.format(1) + "A123456789,090")
    await bench.settle()
    await bench.scan(30.0)
    assert bench.intake.payloads == []
    with path.open("a") as file:
        file.write("05C,2\n")
    await bench.settle()
    assert bench.intake.payloads[0].raw.endswith(b"09005C,2\n")


async def test_a_file_without_a_last_line_end_is_taken_when_patience_is_over(bench: Bench) -> None:
    bench.write("tail.csv", CSV.format(1).rstrip("\n"))
    await bench.settle()
    await bench.scan(57.9)
    assert bench.intake.payloads == []
    await bench.scan(0.1)
    assert len(bench.intake.payloads) == 1


async def test_a_writer_that_goes_on_after_the_move_is_noticed_and_read_again(bench: Bench) -> None:
    path = bench.write("slow.csv", CSV.format(1))
    with path.open("a") as late:
        await bench.settle()
        assert len(bench.intake.payloads) == 1
        late.write("A123456789,09005C,2\n")
    await bench.settle()
    assert [payload.raw.count(b"\n") for payload in bench.intake.payloads] == [2, 3]
    assert EventCode.LATE_WRITER in bench.codes()
    assert bench.waiting_names() == []


async def test_a_crash_between_commit_and_move_stores_nothing_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("results.csv")

    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(taking, "move_done", cut)
        with pytest.raises(PowerCut):
            await bench.settle()
    assert len(bench.intake.payloads) == 1
    assert bench.waiting_names() == ["results.csv"]
    await bench.door.stop()
    bench.restart()
    summary = await bench.settle()
    assert (summary.taken, summary.duplicates) == (0, 1)
    assert len(bench.intake.payloads) == 1
    assert bench.waiting_names() == []
    assert bench.codes() == [EventCode.DUPLICATE]


async def test_nothing_is_moved_before_the_intake_has_accepted(bench: Bench) -> None:
    bench.write("results.csv")
    bench.intake.down = True
    summary = await bench.settle()
    assert (summary.faults, summary.taken) == (1, 0)
    assert bench.waiting_names() == ["results.csv"]
    assert bench.names("done") == []
    assert bench.intake.answers == []


async def test_both_folders_are_synced_before_the_file_counts_as_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("results.csv")
    synced: list[tuple[Path, ...]] = []

    def sync(*folders: Path) -> None:
        assert bench.intake.answers == []
        assert len(bench.names("done")) == 1
        synced.append(folders)

    monkeypatch.setattr(taking, "sync_folders", sync)
    await bench.settle()
    assert synced == [(bench.folder.done, bench.path)]
    assert bench.intake.answers == [(1, True)]


async def test_a_full_disk_is_tried_again_with_longer_and_longer_pauses(bench: Bench) -> None:
    bench.write("results.csv")
    bench.intake.down = True
    await bench.settle()
    assert bench.door.faults[bench.path].code == "storage-unavailable"
    assert (await bench.scan(0.5)).faults == 0
    assert (await bench.scan(0.5)).faults == 1
    assert (await bench.scan(1.9)).faults == 0
    bench.intake.down = False
    assert (await bench.scan(0.1)).taken == 1
    assert bench.door.faults == {}
    assert bench.codes() == [EventCode.FAULT, EventCode.TAKEN, EventCode.RECOVERED]


async def test_one_file_that_the_intake_trips_over_stops_no_other(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.write(f"{name}.csv", CSV.format(name))
    bench.intake.failures = [RuntimeError("A123456789")]
    summary = await bench.settle()
    assert (summary.taken, summary.faults) == (2, 1)
    assert len(bench.waiting_names()) == 1
    assert (await bench.scan(1.0)).taken == 1
    assert "A123456789" not in str([str(event.error) for event in bench.events])


async def test_a_file_that_cannot_be_moved_stays_and_is_moved_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("results.csv")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        assert (await bench.settle()).faults == 1
    assert bench.waiting_names() == ["results.csv"]
    assert bench.names("done") == []
    assert (await bench.scan(1.0)).duplicates == 1
    assert bench.waiting_names() == []


async def test_a_read_error_postpones_that_file_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("bad.csv", CSV.format("bad"))
    bench.write("good.csv", CSV.format("good"))
    read = os.open

    def failing(path: Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("in/bad.csv"):
            raise OSError(5, "Input/output error")
        return read(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing)
        summary = await bench.settle()
    assert (summary.taken, summary.faults) == (1, 1)
    assert bench.waiting_names() == ["bad.csv"]
    assert (await bench.scan(1.0)).taken == 1


async def test_a_symbolic_link_is_refused_and_never_followed(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(CSV.format("secret"))
    (bench.path / "link.csv").symlink_to(secret)
    assert (await bench.settle()).refused == 0
    assert bench.codes() == [EventCode.REFUSED]
    assert bench.intake.payloads == []
    assert (bench.path / "refused" / "link.csv").is_symlink()
    assert secret.exists()


async def test_a_link_put_in_place_of_a_file_after_the_scan_is_not_followed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(CSV.format("secret"))
    path = bench.write("results.csv")
    read = claim.read_whole

    def swapped(*arguments: Any) -> claim.WholeFile:
        path.unlink()
        path.symlink_to(secret)
        return read(*arguments)

    monkeypatch.setattr(taking, "read_whole", swapped)
    await bench.settle()
    assert bench.intake.payloads == []
    assert [event.error.code for event in bench.events if event.error] == ["file-not-regular"]


async def test_a_pipe_in_the_folder_blocks_nothing(bench: Bench) -> None:
    os.mkfifo(bench.path / "pipe.csv")
    bench.write("good.csv")
    await bench.settle()
    assert len(bench.intake.payloads) == 1
    assert EventCode.REFUSED in bench.codes()


async def test_a_socket_in_the_folder_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
    await bench.settle()
    assert bench.names("refused") == ["s", "s.reason.txt"]


async def test_a_hard_linked_file_is_refused(bench: Bench, tmp_path: Path) -> None:
    path = bench.write("results.csv")
    os.link(path, tmp_path / "other-name.csv")
    await bench.settle()
    assert bench.intake.payloads == []
    await bench.scan(60.0)
    assert bench.codes() == [EventCode.REFUSED]
    assert "results.csv" in bench.names("refused")


async def test_an_empty_file_waits_and_is_then_refused_with_a_note(bench: Bench) -> None:
    bench.write("empty.csv", "")
    assert (await bench.settle()).waiting == 1
    assert (await bench.scan(60.0)).refused == 1
    assert bench.names("refused") == ["empty.csv", "empty.csv.reason.txt"]
    note = (bench.path / "refused" / "empty.csv.reason.txt").read_text("utf-8-sig")
    assert "[file-empty]" in note
    assert "檔案是空的" in note
    assert "The file is empty." in note


async def test_a_file_over_the_cap_is_refused_unread(bench: Bench) -> None:
    bench.write("big.csv", "x" * 100_001)
    assert (await bench.settle()).refused == 1
    assert bench.intake.payloads == []


async def test_an_unknown_format_is_refused_when_patience_is_over(bench: Bench) -> None:
    bench.write("notes.doc", "what is this\n")
    assert (await bench.settle()).waiting == 1
    assert (await bench.scan(60.0)).refused == 1
    (event,) = bench.events
    assert event.error is not None
    assert event.error.code == "file-unidentified"


async def test_a_folder_of_one_format_asks_no_content(tmp_path: Path) -> None:
    folder = WatchedFolder(tmp_path, "lab-a", media=Media.HL7V2)
    bench = Bench(folder)
    bench.write("odd.txt", "anything\r")
    await bench.settle()
    assert bench.intake.payloads[0].media is Media.HL7V2
    await bench.door.stop()


async def test_a_marker_is_honoured_and_moved_with_its_file(bench: Bench) -> None:
    bench.write("results.csv", CSV.format(1).rstrip("\n"))
    bench.write("results.csv.done", "")
    assert (await bench.scan()).taken == 1
    assert bench.waiting_names() == []
    assert sorted(name[13:] for name in bench.names("done")) == ["results.csv", "results.csv.done"]


async def test_a_temporary_name_is_left_until_it_is_renamed(bench: Bench) -> None:
    path = bench.write("results.csv.tmp")
    await bench.settle()
    await bench.scan(100.0)
    assert bench.intake.payloads == []
    path.rename(bench.path / "results.csv")
    await bench.settle()
    assert bench.intake.payloads[0].name == "results.csv"


async def test_the_same_name_with_new_content_overwrites_nothing_in_done(bench: Bench) -> None:
    for value in ("1", "2", "1"):
        bench.write("results.csv", CSV.format(value))
        await bench.settle()
    assert len(bench.names("done")) == 2
    assert len(bench.intake.payloads) == 2
    assert bench.codes() == [EventCode.TAKEN, EventCode.TAKEN, EventCode.DUPLICATE]


async def test_a_file_replaced_while_it_is_stored_is_read_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("results.csv", CSV.format("old"))
    move = claim.move_done

    def replaced_first(file: claim.WholeFile, done: Path) -> claim.MovedFile | None:
        bench.write("new.tmp", CSV.format("new")).replace(file.path)
        return move(file, done)

    with monkeypatch.context() as patch:
        patch.setattr(taking, "move_done", replaced_first)
        await bench.settle()
    await bench.settle()
    assert [payload.raw for payload in bench.intake.payloads] == [
        CSV.format("old").encode(),
        CSV.format("new").encode(),
    ]
    assert bench.waiting_names() == []


async def test_a_name_that_is_no_text_is_taken_and_shown_escaped(bench: Bench) -> None:
    path = os.fsencode(bench.path) + b"/\xb5\xb2\xaaG\n.csv"
    try:
        with open(path, "wb") as file:  # noqa: ASYNC230 - a test's own small file
            file.write(CSV.format(1).encode())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    await bench.settle()
    (payload,) = bench.intake.payloads
    assert payload.name == "\\xb5\\xb2\\xaaG\\n.csv"
    payload.name.encode("utf-8")
    assert bench.waiting_names() == []


async def test_a_very_long_name_finds_a_place_in_done(bench: Bench) -> None:
    bench.write("結果" * 41 + ".csv")
    await bench.settle()
    assert len(bench.names("done")) == 1


async def test_a_thousand_files_are_taken_each_once(bench: Bench) -> None:
    for number in range(1000):
        bench.write(f"{number:04}.csv", CSV.format(number))
    summary = await bench.settle()
    assert summary.taken == 1000
    assert len({payload.raw for payload in bench.intake.payloads}) == 1000
    assert len(bench.names("done")) == 1000


@pytest.fixture(autouse=True)
def _tidy(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)
