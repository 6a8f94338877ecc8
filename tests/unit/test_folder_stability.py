"""Each edge of "is this file whole?", on literal observations."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.folder.stability import (
    Judgement,
    NameKind,
    Sighting,
    Standing,
    is_patience_over,
    judge,
    marker_counts,
    name_kind,
    seen_again,
)
from adapters.folder.watched_folder import WatchedFolder

RULES = WatchedFolder(Path("in"), "lab", quiet_seconds=2, patience_seconds=60, max_bytes=1000)
FILE = Sighting(size=10, mtime_ns=5_000)


def standing(sighting: Sighting = FILE, *, since: float = 0.0, scans: int = 2) -> Standing:
    return Standing(sighting, since, scans)


def test_a_file_that_was_quiet_and_found_again_is_whole() -> None:
    assert judge(standing(), RULES, now=2.0) is Judgement.WHOLE


def test_a_file_seen_for_the_first_time_waits_however_old_its_mtime_is() -> None:
    assert judge(standing(scans=1), RULES, now=1e9) is Judgement.WAIT


def test_a_file_that_was_quiet_for_too_short_a_time_waits() -> None:
    assert judge(standing(), RULES, now=1.99) is Judgement.WAIT


def test_a_file_that_grew_starts_its_quiet_time_anew() -> None:
    grown = replace(FILE, size=11)
    again = seen_again(standing(scans=9), grown, now=50.0)
    assert again == Standing(grown, 50.0, 1)
    assert judge(again, RULES, now=51.0) is Judgement.WAIT


def test_a_file_of_the_same_size_with_another_mtime_starts_anew() -> None:
    assert seen_again(standing(), replace(FILE, mtime_ns=6_000), now=9.0).scans == 1


def test_a_file_replaced_by_another_of_the_same_size_and_mtime_starts_anew() -> None:
    assert seen_again(standing(), replace(FILE, inode=7), now=9.0).scans == 1


def test_a_file_that_looks_the_same_keeps_its_start_and_counts_the_scan() -> None:
    assert seen_again(standing(since=1.0, scans=1), FILE, now=9.0) == Standing(FILE, 1.0, 2)


def test_a_marker_makes_a_file_whole_at_once() -> None:
    marker = replace(FILE, size=0, mtime_ns=5_000)
    assert judge(standing(scans=1), RULES, now=0.0, marker=marker) is Judgement.WHOLE


def test_a_marker_older_than_its_file_says_nothing() -> None:
    marker = replace(FILE, size=0, mtime_ns=4_999)
    assert not marker_counts(marker, FILE)
    assert judge(standing(scans=1), RULES, now=0.0, marker=marker) is Judgement.WAIT


def test_a_marker_beside_an_empty_file_says_that_it_is_meant_to_be_empty() -> None:
    empty = replace(FILE, size=0)
    assert judge(standing(empty, scans=1), RULES, 0.0, marker=empty) is Judgement.EMPTY


def test_without_its_marker_a_file_waits_for_ever_where_markers_are_agreed() -> None:
    rules = replace(RULES, needs_marker=True)
    assert judge(standing(scans=99), rules, now=1e9) is Judgement.WAIT


def test_an_empty_file_waits_for_its_writer_before_it_is_refused() -> None:
    empty = standing(replace(FILE, size=0), scans=9)
    assert judge(empty, RULES, now=59.9) is Judgement.WAIT
    assert judge(empty, RULES, now=60.0) is Judgement.EMPTY


def test_a_file_of_exactly_the_cap_is_taken_and_one_byte_more_is_not() -> None:
    assert judge(standing(replace(FILE, size=1000)), RULES, 5.0) is Judgement.WHOLE
    assert judge(standing(replace(FILE, size=1001)), RULES, 5.0) is Judgement.TOO_LARGE


def test_a_large_file_that_still_grows_is_not_judged_by_its_size_yet() -> None:
    assert judge(standing(replace(FILE, size=1001)), RULES, 1.0) is Judgement.WAIT


def test_a_second_name_of_a_file_is_waited_for_and_then_refused() -> None:
    linked = standing(replace(FILE, links=2))
    assert judge(linked, RULES, now=5.0) is Judgement.WAIT
    assert judge(linked, RULES, now=60.0) is Judgement.HARD_LINKED


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR])
def test_what_is_no_regular_file_is_told_at_once(mode: int) -> None:
    seen = standing(replace(FILE, mode=mode), scans=1)
    assert judge(seen, RULES, now=0.0, marker=FILE) is Judgement.NOT_REGULAR


def test_patience_ends_by_our_own_clock() -> None:
    assert not is_patience_over(standing(since=10.0), RULES, now=69.9)
    assert is_patience_over(standing(since=10.0), RULES, now=70.0)


@pytest.mark.parametrize(
    "name",
    ["a.tmp", "a.csv.part", "A.CSV.TMP", "a.crdownload", "a.filepart", "a.csv~", "~$a.csv", ".tmp"],
)
def test_unfinished_names_are_left_alone(name: str) -> None:
    assert name_kind(name) is NameKind.PARTIAL


@pytest.mark.parametrize("name", [".a.csv.X3f", ".DS_Store", "Thumbs.db", "desktop.ini", ".done"])
def test_dot_files_and_what_desktops_leave_are_no_files(name: str) -> None:
    assert name_kind(name) is NameKind.FURNITURE


def test_a_marker_is_a_name_with_done_behind_it() -> None:
    assert name_kind("a.csv.done") is NameKind.MARKER
    assert name_kind("a.csv.DONE") is NameKind.MARKER
    assert name_kind("a.done.csv") is NameKind.FILE


@pytest.mark.parametrize("name", ["a.csv", "tmp", "partial", "結果.csv", "a.tmp.csv"])
def test_all_other_names_are_files(name: str) -> None:
    assert name_kind(name) is NameKind.FILE
