"""Reading one file so that nothing else is read in its place, and moving it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from adapters.folder.claim import (
    WholeFile,
    move_done,
    move_refused,
    name_label,
    read_whole,
    sync_folders,
)
from adapters.folder.errors import (
    EmptyFile,
    FileChanged,
    FileTooLarge,
    HardLinkedFile,
    NotARegularFile,
)
from adapters.folder.stability import Sighting


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Turn a call that would block for ever into a failure."""

    def late(_: int, __: FrameType | None) -> None:
        raise AssertionError("the call blocked")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def written(path: Path, text: str = "abc") -> tuple[Path, Sighting]:
    path.write_text(text)
    return path, Sighting.of(path.lstat())


def taken(tmp_path: Path, text: str = "abc") -> WholeFile:
    path, sighting = written(tmp_path / "a.csv", text)
    return read_whole(path, sighting, 100)


def test_a_file_that_changed_since_the_scan_is_not_whole(tmp_path: Path) -> None:
    path, sighting = written(tmp_path / "a.csv")
    written(path, "abcd")
    with pytest.raises(FileChanged):
        read_whole(path, sighting, 100)


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_text("abcdef"), lambda path: os.truncate(path, 1)],
    ids=["grows", "shrinks"],
)
def test_a_file_that_changes_under_the_reader_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path, sighting = written(tmp_path / "a.csv")
    read = os.read

    def reading(descriptor: int, size: int) -> bytes:
        raw = read(descriptor, size)
        change(path)
        return raw

    monkeypatch.setattr(os, "read", reading)
    with pytest.raises(FileChanged):
        read_whole(path, sighting, 100)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    path, sighting = written(tmp_path / "a.csv")
    path.unlink()
    os.mkfifo(path)
    with at_most(2), pytest.raises(NotARegularFile):
        read_whole(path, sighting, 100)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    _, sighting = written(tmp_path / "a.csv")
    with pytest.raises(NotARegularFile):
        read_whole(tmp_path, sighting, 100)


def test_a_second_name_given_after_the_scan_is_seen(tmp_path: Path) -> None:
    path, sighting = written(tmp_path / "a.csv")
    os.link(path, tmp_path / "b.csv")
    with pytest.raises(HardLinkedFile):
        read_whole(path, sighting, 100)


def test_the_cap_holds_at_the_open_file(tmp_path: Path) -> None:
    path, sighting = written(tmp_path / "a.csv")
    assert read_whole(path, sighting, 3).raw == b"abc"
    with pytest.raises(FileTooLarge):
        read_whole(path, sighting, 2)


def test_names_in_done_start_with_the_hash_of_the_bytes(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    names = []
    for _ in range(3):
        moved = move_done(taken(tmp_path), done)
        assert moved is not None
        names.append(moved.target.name)
    assert names == [
        "ba7816bf8f01-a.csv",
        "ba7816bf8f01-1-a.csv",
        "ba7816bf8f01-2-a.csv",
    ]
    assert [path.read_text() for path in done.iterdir()] == ["abc"] * 3


def test_a_move_that_fails_leaves_no_empty_file_behind(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    file = taken(tmp_path)
    file.path.unlink()
    with pytest.raises(FileNotFoundError):
        move_done(file, done)
    assert list(done.iterdir()) == []


def test_other_bytes_under_the_name_go_back_to_the_folder(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    file = taken(tmp_path)
    written(file.path, "new")
    assert move_done(file, done) is None
    assert file.path.read_text() == "new"
    assert list(done.iterdir()) == []


def test_the_same_bytes_with_a_new_inode_number_count_as_moved(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    file = taken(tmp_path)
    written(tmp_path / "b.csv")[0].replace(file.path)
    assert move_done(file, done) is not None


def test_refused_files_keep_their_names_and_none_is_overwritten(tmp_path: Path) -> None:
    refused = tmp_path / "refused"
    refused.mkdir()
    for _ in range(2):
        move_refused(written(tmp_path / "a.csv")[0], refused, EmptyFile())
    assert sorted(path.name for path in refused.iterdir()) == [
        "1-a.csv",
        "1-a.csv.reason.txt",
        "a.csv",
        "a.csv.reason.txt",
    ]
    assert (refused / "a.csv.reason.txt").read_bytes().startswith(b"\xef\xbb\xbf[file-empty]\r\n")


def test_folders_are_synced_where_the_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sync_folders(tmp_path, tmp_path)
    assert len(synced) == 2


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("結果 1.csv", "結果 1.csv"),
        ("a\nb\x1b[31m.csv", "a\\nb\\x1b[31m.csv"),
        (os.fsdecode(b"\xb5\xb2.csv"), "\\xb5\\xb2.csv"),
        ("a\u202efdp.csv", "a\\u202efdp.csv"),
    ],
)
def test_a_label_is_printable_text(name: str, label: str) -> None:
    assert name_label(name) == label
    assert label.encode("utf-8").decode().isprintable()
