"""ZIPs of result files at the folder door: each file in one is stored by itself, once."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from adapters.folder.formats.archive import archive_members
from adapters.folder.formats.errors import FileUnidentified, ZipUnreadable
from adapters.folder.formats.identify import identify
from adapters.folder.watched_folder import WatchedFolder
from adapters.folder.watcher import FolderDoor
from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS
from mapping.errors import UnreadablePayload
from mapping.profile import SourceProfile
from tests.folder.remembering_intake import RememberingIntake, SteppingClock
from tests.folder.tables import HEADER, ROWS, csv_file, xlsx_file

CSV = csv_file([HEADER, *ROWS])
XLSX = xlsx_file([HEADER, *ROWS])
PROFILE = SourceProfile("lab")


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members:
            archive.writestr(name, raw)
    return out.getvalue()


MIXED = zipped(("報告/a.csv", CSV), ("b.xlsx", XLSX), ("__MACOSX/x", b"?"), ("readme", b"hello"))


async def settle(door: FolderDoor, clock: SteppingClock) -> None:
    for _ in range(2):
        await door.scan_once()
        clock.pass_seconds(3)
    await door.scan_once()


async def test_each_file_of_a_zip_is_stored_and_the_zip_moved_once(tmp_path: Path) -> None:
    intake, clock = RememberingIntake(), SteppingClock()
    door = FolderDoor(intake, [WatchedFolder(tmp_path, "lab")], clock=clock)
    (tmp_path / "day.zip").write_bytes(MIXED)
    await settle(door, clock)
    assert [(each.media, each.name.rsplit("/")[-1]) for each in intake.payloads] == [
        (Media.CSV, "a.csv"),
        (Media.XLSX, "b.xlsx"),
        (Media.UNKNOWN, "readme"),
    ]
    assert [each.raw for each in intake.payloads] == [CSV, XLSX, b"hello"]
    assert len(list((tmp_path / "done").iterdir())) == 1
    assert sorted(receipt_id for receipt_id, _ in intake.answers) == [1, 2, 3]
    # Once more, packed anew: its files are known.
    (tmp_path / "again.zip").write_bytes(zipped(("x.csv", CSV)))
    await settle(door, clock)
    assert len(intake.payloads) == 3
    await door.stop()


async def test_a_zip_of_which_one_file_cannot_be_stored_stays_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    intake, clock = RememberingIntake(failures=[OSError("no")]), SteppingClock()
    door = FolderDoor(intake, [WatchedFolder(tmp_path, "lab")], clock=clock)
    (tmp_path / "day.zip").write_bytes(MIXED)
    await settle(door, clock)
    clock.pass_seconds(60)
    await settle(door, clock)
    assert not (tmp_path / "day.zip").exists()
    assert sorted(each.raw for each in intake.payloads) == sorted([CSV, XLSX, b"hello"])
    await door.stop()


async def test_a_zip_with_a_password_is_refused_with_the_reason(tmp_path: Path) -> None:
    intake, clock = RememberingIntake(), SteppingClock()
    door = FolderDoor(intake, [WatchedFolder(tmp_path, "lab")], clock=clock)
    raw = bytearray(zipped(("a.csv", CSV)))
    # The flag of encryption, in the local header and in the directory.
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "day.zip").write_bytes(raw)
    await settle(door, clock)
    clock.pass_seconds(100)
    await settle(door, clock)
    assert intake.payloads == []
    (note,) = (tmp_path / "refused").glob("*.reason.txt")
    assert "encrypted" in note.read_text("utf-8-sig")
    await door.stop()


def test_a_zip_is_read_as_all_its_files_together() -> None:
    assert identify(MIXED, "x") is Media.ZIP
    parsed = READERS[Media.ZIP](MIXED, PROFILE)
    assert [report.place for report in parsed.reports] == [
        "file 1: rows 2-3",
        "file 1: row 4",
        "file 2: rows 2-3",
        "file 2: row 4",
    ]
    assert [(finding.code, finding.place) for finding in parsed.findings] == [
        ("archive-file-unread", "file 3")
    ]


def test_a_zip_in_a_zip_is_not_opened() -> None:
    inner = zipped(("a.csv", CSV), ("b.csv", CSV))
    (csv, archive) = archive_members(zipped(("a.csv", CSV), ("b.zip", inner)))
    assert (csv.media, archive.media) == (Media.CSV, Media.UNKNOWN)


def test_a_zip_of_nothing_known_or_of_a_bomb_is_refused() -> None:
    with pytest.raises(FileUnidentified):
        archive_members(zipped(("a.exe", b"MZ"), ("b.exe", b"MZ")))
    with pytest.raises(ZipUnreadable, match="ratio"):
        archive_members(zipped(("a.csv", bytes(50_000_000)), ("b.csv", CSV)))


def test_fhir_line_by_line_is_one_collection_and_a_bad_line_stops_no_other() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "code": {"coding": [{"code": "09005C"}]},
        "subject": {"identifier": {"value": "A123456789"}},
        "result": [{"reference": "Observation/o"}],
    }
    observation = (
        '{"resourceType":"Observation","id":"o","status":"final","code":{"text":"Glucose"},'
        '"valueQuantity":{"value":5.40,"unit":"mmol/L"}}'
    )
    raw = "\n".join([json.dumps(report), "{broken", "[1]", observation, ""]).encode()
    assert identify(raw, "x") is Media.FHIR_NDJSON
    parsed = READERS[Media.FHIR_NDJSON](raw, PROFILE)
    assert [line.value for each in parsed.reports for line in each.observations] == ["5.40"]
    places = [f.place for f in parsed.findings if f.code == "fhir-ndjson-line"]
    assert places == ["line 2", "line 3"]
    with pytest.raises(UnreadablePayload):
        READERS[Media.FHIR_NDJSON](b"{}\n{}\n", PROFILE)


async def test_what_comes_once_more_lies_apart_with_the_reason(tmp_path: Path) -> None:
    intake, clock = RememberingIntake(), SteppingClock()
    door = FolderDoor(intake, [WatchedFolder(tmp_path, "lab")], clock=clock)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(CSV)
        await settle(door, clock)
    assert len(intake.payloads) == 1
    assert [path.name[13:] for path in (tmp_path / "done").iterdir()] == ["a.csv"]
    moved, note = sorted((tmp_path / "duplicate").iterdir())
    assert (moved.name[13:], moved.read_bytes()) == ("b.csv", CSV)
    text = note.read_text("utf-8-sig")
    assert "receipt 1" in text
    assert "收件 1" in text
    # A scan does not take what lies there for new files.
    await settle(door, clock)
    assert len(intake.payloads) == 1
    await door.stop()


async def test_a_link_in_the_place_of_the_folder_for_duplicates_is_not_followed(
    tmp_path: Path,
) -> None:
    inbox, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    inbox.mkdir()
    elsewhere.mkdir()
    (inbox / "duplicate").symlink_to(elsewhere)
    intake, clock = RememberingIntake(), SteppingClock()
    door = FolderDoor(intake, [WatchedFolder(inbox, "lab")], clock=clock)
    for name in ("a.csv", "b.csv"):
        (inbox / name).write_bytes(CSV)
        await settle(door, clock)
    assert list(elsewhere.iterdir()) == []
    assert (inbox / "b.csv").exists()
    await door.stop()
