"""What a scan makes of a listing."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.folder.events import EventCode
from adapters.folder.stability import Sighting
from adapters.folder.survey import BackOff, Surveyor
from adapters.folder.watched_folder import WatchedFolder

RULES = WatchedFolder(Path("in"), "lab", quiet_seconds=2, scan_seconds=10)
FILE = Sighting(size=10, mtime_ns=5_000)


def test_files_are_ready_in_the_order_in_which_they_were_written() -> None:
    surveyor = Surveyor(RULES)
    entries = {
        "a.csv": replace(FILE, mtime_ns=9),
        "c.csv": replace(FILE, mtime_ns=3),
        "b.csv": replace(FILE, mtime_ns=3),
    }
    assert surveyor.survey(entries, 0.0).ready == []
    ready = surveyor.survey(entries, 2.0).ready
    assert [file.name for file in ready] == ["b.csv", "c.csv", "a.csv"]


def test_a_quiet_file_must_show_its_end_until_patience_is_over() -> None:
    surveyor = Surveyor(RULES)
    surveyor.survey({"a.csv": FILE}, 0.0)
    assert surveyor.survey({"a.csv": FILE}, 5.0).ready[0].must_end
    assert not surveyor.survey({"a.csv": FILE}, 60.0).ready[0].must_end


def test_a_file_with_its_marker_need_not_show_its_end() -> None:
    survey = Surveyor(RULES).survey({"a.csv": FILE, "a.csv.done": FILE}, 0.0)
    assert [(file.must_end, file.marker) for file in survey.ready] == [(False, "a.csv.done")]


def test_a_postponed_file_is_left_alone_for_longer_each_time() -> None:
    surveyor = Surveyor(RULES)
    surveyor.survey({"a.csv": FILE}, 0.0)
    surveyor.postpone("a.csv", 10.0)
    assert surveyor.survey({"a.csv": FILE}, 10.9).waiting == 1
    assert len(surveyor.survey({"a.csv": FILE}, 11.0).ready) == 1
    surveyor.postpone("a.csv", 11.0)
    assert surveyor.survey({"a.csv": FILE}, 12.9).waiting == 1
    assert len(surveyor.survey({"a.csv": FILE}, 13.0).ready) == 1


def test_delays_double_up_to_five_minutes() -> None:
    back_off = BackOff()
    delays = []
    for _ in range(12):
        back_off.lengthen(0.0)
        delays.append(back_off.delay)
    assert delays[:4] == [1, 2, 4, 8]
    assert delays[-1] == 300


@pytest.mark.parametrize(
    ("name", "code"),
    [("a.csv.tmp", EventCode.STALE_PARTIAL), ("a.csv.done", EventCode.ORPHAN_MARKER)],
)
def test_what_lies_about_for_long_is_told_once(name: str, code: EventCode) -> None:
    surveyor = Surveyor(RULES)
    assert surveyor.survey({name: FILE}, 0.0).notices == []
    assert surveyor.survey({name: FILE}, 3600.0).notices == [(name, code)]
    assert surveyor.survey({name: FILE}, 7200.0).notices == []


def test_a_sub_folder_is_told_once_and_not_read() -> None:
    surveyor = Surveyor(RULES)
    folder = {"2026": replace(FILE, mode=stat.S_IFDIR)}
    assert surveyor.survey(folder, 0.0).notices == [("2026", EventCode.SUB_FOLDER)]
    again = surveyor.survey(folder, 99.0)
    assert (again.notices, again.ready, again.refused) == ([], [], [])


def test_a_link_is_refused_without_being_opened() -> None:
    link = {"a.csv": replace(FILE, mode=stat.S_IFLNK)}
    ((name, error),) = Surveyor(RULES).survey(link, 0.0).refused
    assert (name, error.code) == ("a.csv", "file-not-regular")


def test_the_next_scan_is_when_the_first_quiet_time_ends() -> None:
    surveyor = Surveyor(RULES)
    assert surveyor.next_seconds(0.0) == 10
    surveyor.survey({"a.csv": FILE}, 0.0)
    assert surveyor.next_seconds(0.5) == 1.5
    surveyor.survey({"a.csv": FILE}, 2.0)
    assert surveyor.next_seconds(2.0) == 10


def test_a_file_that_vanished_is_forgotten() -> None:
    surveyor = Surveyor(RULES)
    surveyor.survey({"a.csv": FILE}, 0.0)
    surveyor.survey({}, 1.0)
    assert surveyor.survey({"a.csv": FILE}, 5.0).ready == []
