"""``labbroker convert`` makes packages from files alone, as a laboratory would try it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import main
from mapping.package_file import read_package
from mapping.package_name import parse_stem
from mapping.record import UploadRecord
from mapping.rules import RuleContext, check_package, check_record

EXAMPLES = Path(__file__).parents[2] / "examples"
CLINIC = "3599999901"
SETTINGS = EXAMPLES / "labbroker.toml"
VISITS = EXAMPLES / "visits.xml"
MESSAGE, RESOURCE, TABLE = (
    EXAMPLES / name for name in ("cbc.hl7", "glucose.fhir.json", "results.csv")
)


def convert(*arguments: str | Path, language: str = "en") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with nothing of this one's environment but the path."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "broker.cli.main", "convert", *map(str, arguments)],
        env={**kept, "LABBROKER_LANG": language, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def made(
    out: Path, *files: Path, source: str = "sunrise-lab", visits: Path = VISITS, **settings: str
) -> tuple[int, dict[str, Any]]:
    """The same in this process: exit code and the JSON object."""
    arguments = ("--visits", visits, "--config", SETTINGS, "--source", source, "--out", out)
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name, value in {"LABBROKER_LANG": "en", **settings}.items():
            patch.setenv(name, value)
        code = main(["convert", "--json", *map(str, files), *map(str, arguments)])
    assert errors.getvalue() == ""
    return code, json.loads(output.getvalue())


def records(path: Path) -> list[UploadRecord]:
    with path.open("rb") as file:
        stem, found = read_package(file)
        assert stem == path.stem
        return list(found)


def test_results_of_two_formats_become_one_package_that_passes_every_check(tmp_path: Path) -> None:
    code, told = made(tmp_path / "out", MESSAGE, RESOURCE)
    assert code == 0
    (package,) = told["packages"]
    path = Path(package["file"])
    assert (package["institution_code"], package["serial"]) == (CLINIC, 1)
    assert [each.name for each in (tmp_path / "out").iterdir()] == [path.name]
    found = records(path)
    assert sorted(record.value("h15") for record in found) == ["08011C", "09005C"]
    day = parse_stem(path.stem).upload_on
    context = RuleContext(today=day, upload_on=day, sealed=True)
    assert not [
        finding
        for record in found
        for finding in check_record(record, context)
        if finding.severity == "error"
    ]
    assert check_package(found, path.stem, context) == ()
    assert told["sent"] is False
    assert told["held"] == told["unreadable"] == []


@pytest.mark.parametrize(
    ("parts", "uploaded", "held"), [("<A74>NJ</A74>", "NJ", []), ("", "", ["15"])]
)
def test_a_scan_goes_out_with_the_body_part_of_the_card_data(
    parts: str, uploaded: str, held: list[str], tmp_path: Path
) -> None:
    text = VISITS.read_bytes().decode("cp950")
    scan = f"<MB2><A72>3</A72><A73>33070B</A73>{parts}<A77>1</A77><A78>03</A78></MB2></MB>"
    visits = tmp_path / "visits.xml"
    visits.write_bytes(text.replace("</MB>", scan).encode("cp950"))
    lines = MESSAGE.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line[:3] in ("MSH", "PID", "PV1", "ORC", "OBR")]
    order = next(index for index, line in enumerate(kept) if line.startswith("OBR"))
    fields = kept[order].split("|")
    fields[4] = "33070B^CT^NHI"
    kept[order] = "|".join(fields)
    message = tmp_path / "scan.hl7"
    result = "OBX|1|TX|TXT^Report||No fracture.||||||F"
    message.write_bytes("\r".join([*kept[: order + 1], result, ""]).encode())
    code, told = made(tmp_path / "out", message, visits=visits)
    found = [record for each in told["packages"] for record in records(Path(each["file"]))]
    assert [record.value("h25") for record in found] == ([uploaded] if uploaded else [])
    errors = [
        each["code"]
        for result in told["held"]
        for each in result["findings"]
        if each["severity"] == "error"
    ]
    assert (code, errors) == (int(bool(held)), held)


def test_the_lists_of_the_settings_are_checked_against_and_missing_ones_told(
    tmp_path: Path,
) -> None:
    _, told = made(tmp_path / "out", MESSAGE)
    assert told["unchecked"] == ["26", "28", "31", "37"]
    institutions = tmp_path / "institutions.csv"
    institutions.write_bytes("醫事機構代碼\r\n3501234567\r\n".encode("cp950"))
    code, told = made(tmp_path / "out", MESSAGE, LABBROKER_LISTS__INSTITUTIONS=str(institutions))
    assert (code, told["unchecked"]) == (1, ["26", "31", "37"])
    assert [each["code"] for each in told["held"][0]["findings"] if each["field"] == "h2"] == ["28"]


def test_a_package_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    for serial in (1, 2, 3):
        before = {path: path.read_bytes() for path in tmp_path.glob("*.zip")}
        _, told = made(tmp_path, TABLE, source="sunrise-files")
        assert [each["serial"] for each in told["packages"]] == [serial]
        assert before == {path: path.read_bytes() for path in before}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_serial_after_a_gap_goes_on_from_the_highest(tmp_path: Path) -> None:
    _, first = made(tmp_path, TABLE, source="sunrise-files")
    path = Path(first["packages"][0]["file"])
    path.rename(path.with_name(f"{path.stem[:17]}041.ZIP"))
    _, told = made(tmp_path, TABLE, source="sunrise-files")
    assert [each["serial"] for each in told["packages"]] == [42]


def test_more_serials_than_a_day_has_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    _, first = made(tmp_path, TABLE, source="sunrise-files")
    path = Path(first["packages"][0]["file"])
    path.rename(path.with_name(f"{path.stem[:17]}999.zip"))
    arguments = ("--visits", VISITS, "--config", SETTINGS, "--source", "sunrise-files")
    told = convert(TABLE, *arguments, "--out", tmp_path)
    assert told.returncode == 2
    assert "999" in told.stderr
    assert [each.name[-7:] for each in tmp_path.iterdir()] == ["999.zip"]


def test_the_limits_of_the_settings_split_packages(tmp_path: Path) -> None:
    code, told = made(tmp_path, MESSAGE, RESOURCE, LABBROKER_SCHEDULE__MAX_RECORDS_PER_PACKAGE="1")
    assert code == 0
    assert [len(each["records"]) for each in told["packages"]] == [1, 1]
    assert [each["serial"] for each in told["packages"]] == [1, 2]


def test_what_is_held_is_told_with_its_reason_and_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "visits.xml"
    empty.write_bytes(VISITS.read_bytes().replace(b"A123456789", b"E123456781"))
    code, told = made(tmp_path / "out", MESSAGE, visits=empty)
    assert code == 1
    assert told["packages"] == []
    (held,) = told["held"]
    assert (held["reason"], held["order_code"]) == ("unmatched", "08011C")
    assert all(each["message"] and each["remedy"] for each in held["findings"])
    assert list((tmp_path / "out").iterdir()) == []


def test_the_same_result_twice_is_one_record(tmp_path: Path) -> None:
    copy = tmp_path / "copy.hl7"
    copy.write_bytes(MESSAGE.read_bytes())
    code, told = made(tmp_path / "out", MESSAGE, copy)
    assert code == 0
    assert [len(each["records"]) for each in told["packages"]] == [1]


def test_an_unreadable_file_stops_no_other(tmp_path: Path) -> None:
    bad = tmp_path / "bad.hl7"
    bad.write_bytes(b"\x00\x01")
    code, told = made(tmp_path / "out", bad, tmp_path / "none", MESSAGE)
    assert code == 2
    assert [each["file"] for each in told["unreadable"]] == [str(bad), str(tmp_path / "none")]
    assert all(each["remedy"] and each["code"] != "internal" for each in told["unreadable"])
    assert len(told["packages"]) == 1


def test_an_upload_file_is_not_converted_again(tmp_path: Path) -> None:
    _, told = made(tmp_path, MESSAGE)
    path = Path(told["packages"][0]["file"])
    code, told = made(tmp_path, path)
    assert code == 2
    assert "labbroker check" in told["unreadable"][0]["remedy"]


def test_where_the_settings_have_several_sources_one_must_be_named(tmp_path: Path) -> None:
    told = convert(MESSAGE, "--visits", VISITS, "--config", SETTINGS, "--out", tmp_path)
    assert told.returncode == 2
    assert "--source sunrise-lab" in told.stderr


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    arguments = ("--visits", VISITS, "--config", SETTINGS, "--source", "sunrise-lab")
    told = convert(MESSAGE, *arguments, "--out", tmp_path / "file")
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert "folder" in told.stderr


@pytest.mark.parametrize(
    ("language", "made_word", "sent"),
    [("en", "1 record(s)", "Nothing was sent."), ("zh-TW", "1 筆醫令", "尚未上傳任何資料。")],
)
def test_people_read_what_was_made_and_that_nothing_was_sent(
    tmp_path: Path, language: str, made_word: str, sent: str
) -> None:
    arguments = ("--visits", VISITS, "--config", SETTINGS, "--source", "sunrise-lab")
    told = convert(MESSAGE, *arguments, "--out", tmp_path, language=language)
    assert told.returncode == 0
    assert made_word in told.stdout
    assert told.stdout.rstrip().endswith(sent)
    assert "submitted" not in told.stdout
    assert "已上傳" not in told.stdout
