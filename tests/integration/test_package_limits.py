"""A package is closed at its limits, and what does not fit is still ready for the next one."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker import packages
from broker.packages import Sealer
from mapping.package_file import read_package
from mapping.rules import ImportedLists
from tests.integration.submission_stage import CLINIC, SubmissionStage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[SubmissionStage]:
    opened = SubmissionStage(tmp_path, {})
    await opened.start()
    yield opened
    opened.end()


def sealer(stage: SubmissionStage, max_records: int, max_bytes: int) -> Sealer:
    folder = stage.folder / "packages"
    return Sealer(stage.writer, stage.reader, folder, stage.clock, max_records, max_bytes)


async def sealed_sizes(stage: SubmissionStage, max_records: int, max_bytes: int) -> list[int]:
    """Seal until nothing more is sealed; the records of each package, none beyond ``max_bytes``."""
    sealing = sealer(stage, max_records, max_bytes)
    counts: list[int] = []
    while await sealing.seal(CLINIC) is not None:
        path = sealing.path(f"{CLINIC}1140204{len(counts) + 1:03d}")
        with path.open("rb") as file, zipfile.ZipFile(path) as archive:
            assert archive.infolist()[0].file_size <= max_bytes
            assert path.stat().st_size <= max_bytes
            counts.append(sum(1 for _ in read_package(file)[1]))
    return counts


async def one_size(stage: SubmissionStage) -> int:
    """The XML bytes of a package with the first record alone."""
    await stage.tell(1)
    sealing = sealer(stage, 1, 1 << 30)
    assert await sealing.seal(CLINIC) is not None
    with zipfile.ZipFile(sealing.path(f"{CLINIC}1140204001")) as archive:
        return archive.infolist()[0].file_size


async def test_a_package_is_closed_at_the_limit_of_bytes(stage: SubmissionStage) -> None:
    await stage.tell(10)
    counts = await sealed_sizes(stage, 1000, 2200)
    assert sum(counts) == 10
    assert max(counts) < 10
    assert stage.states() == ["sealed"] * 10


async def test_a_package_may_be_exactly_as_large_as_the_limit(tmp_path: Path) -> None:
    for less, expected in ((0, [1]), (1, [])):
        stage = SubmissionStage(tmp_path / str(less), {})
        await stage.start()
        size = await one_size(stage)
        await stage.tell(1)
        sealing = sealer(stage, 1000, size - less)
        assert (await sealing.seal(CLINIC) is not None) == bool(expected)
        stage.end()


async def test_the_limit_of_records_holds_beside_it(stage: SubmissionStage) -> None:
    await stage.tell(7)
    assert await sealed_sizes(stage, 3, 1 << 20) == [3, 3, 1]


async def test_a_record_larger_than_a_package_is_held_and_keeps_no_other_back(
    stage: SubmissionStage,
) -> None:
    await stage.tell(5, change=lambda n, row: {**row, "r11": "x" * 3000} if n == 2 else row)
    assert sum(await sealed_sizes(stage, 1000, 2200)) == 4
    assert sorted(stage.states()) == ["held:invalid", *["sealed"] * 4]


async def test_what_a_rule_refuses_takes_no_room(stage: SubmissionStage) -> None:
    await stage.tell(3, change=lambda n, row: {**row, "r1": "x"} if n == 1 else row)
    size = 2 * 1100
    assert sum(await sealed_sizes(stage, 1000, size)) == 2
    assert sorted(stage.states())[0] == "held:invalid"


async def test_what_the_lists_of_today_refuse_is_held_at_the_last_gate(
    stage: SubmissionStage,
) -> None:
    await stage.tell(2)
    lists = ImportedLists(institutions=frozenset(("JY00000001",)))
    folder = stage.folder / "packages"
    gate = Sealer(stage.writer, stage.reader, folder, stage.clock, 10, 1 << 20, lists)
    assert await gate.seal(CLINIC) is None
    assert stage.states() == ["held:invalid"] * 2


async def test_little_that_is_kept_and_much_that_is_read_again_give_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for kept in (0, 1 << 20):
        monkeypatch.setattr(packages, "_KEPT_CHARACTERS", kept)
        stage = SubmissionStage(tmp_path / str(kept), {})
        await stage.start()
        await stage.tell(7, change=lambda n, row: {**row, "r1": "x"} if n == 1 else row)
        sealing = sealer(stage, 1000, 1 << 20)
        assert await sealing.seal(CLINIC) is not None
        files.append(sealing.path(f"{CLINIC}1140204001").read_bytes())
        assert sorted(stage.states()) == ["held:invalid", *["sealed"] * 6]
        stage.end()
    assert files[0] == files[1]
