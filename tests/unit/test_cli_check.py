"""``labbroker check`` tells what a file is, which records would come of it, and all findings."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.ports.intake import Media
from broker.cli import file_check, local_file
from broker.cli.check_json import check_as_json, finding_texts
from broker.cli.check_text import check_as_text
from broker.cli.file_check import check_file
from broker.cli.main import main
from broker.cli.record_preview import PreviewContext
from mapping.editions.edition import edition_on
from mapping.finding import Finding, Severity
from mapping.package_file import write_package
from mapping.profile import SourceProfile
from mapping.upload_xml import write_upload
from tests.unit.upload_samples import UPLOAD_DAY, valid_record

CLINIC, LAB = "3501200000", "JY00000001"
PATIENT = "A123456789"
STEM = "35012345671140204001"

MESSAGE = "\r".join(
    [
        "MSH|^~\\&|LIS|LAB|BROKER|CLINIC|20250303102000||ORU^R01|1|P|2.5|||||TWN|UNICODE UTF-8",
        f"PID|1||{PATIENT}^^^^NI||王^小明||19750701|F",
        f"ORC|RE|P1|F1||||||||||||||||||{CLINIC}",
        "OBR|1|P1|F1|BIO^Biochemistry^L|||20250302091500|||||||||||||||20250303102000||LAB|F",
        "OBX|1|NM|09005C^Glucose AC^NHI||105|mg/dL|70-100|H|||F|||20250302091500||||HK",
        "OBX|2|NM|XYZ^Mystery^L||1||||||F",
        "",
    ]
)
SETTINGS = f"""
[[source]]
id = "lab"
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
default_method = "Hexokinase"
default_specimen = "Serum"
[source.codes]
XYZ = ""
[[agreement]]
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
route = "clinic"
"""
VISITS = f"""<?xml version="1.0" encoding="Big5"?>
<RECS><REC><MSH><A00>1</A00><A01>1</A01><A02>1.0</A02></MSH><MB><MB1>
<A11>000012345678</A11><A12>{PATIENT}</A12><A13>0640701</A13><A14>{CLINIC}</A14>
<A15>B123456780</A15><A17>1140302090000</A17><A18>0012</A18><A19>1</A19><A23>01</A23>
</MB1><MB2><A71>1140302090500</A71><A72>3</A72><A73>09005C</A73><A77>1</A77><A78>04</A78></MB2>
</MB></REC></RECS>
""".replace("\n", "")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")


@pytest.fixture
def message(tmp_path: Path) -> Path:
    file = tmp_path / "result.hl7"
    file.write_text(MESSAGE, encoding="utf-8", newline="")
    return file


def checked(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, list[dict[str, Any]]]:
    code = main(["check", "--json", *map(str, arguments)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def codes(result: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in result["findings"]}


def test_a_message_is_told_with_its_results_records_and_findings(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (result,) = checked(capsys, message)
    assert code == 1
    assert result["file"] == str(message)
    assert (result["kind"], result["message"]) == ("hl7v2", "ORU^R01")
    assert result["error"] is None
    (report,) = result["reports"]
    assert [each["value"] for each in report["observations"]] == ["105", "1"]
    (record,) = result["records"]
    assert record["order_code"] == "09005C"
    assert record["fields"]["h15"]["value"] == "09005C"
    (row,) = record["rows"]
    assert (row["r4"]["value"], row["r5"]["value"]) == ("105", "mg/dL")
    assert (row["r6-1"]["value"], row["r6-2"]["value"]) == ("70", "100")
    (unmapped,) = (each for each in result["findings"] if each["code"] == "unmapped-code")
    assert unmapped["severity"] == "error"
    assert "XYZ" in unmapped["message"]
    assert unmapped["remedy"]
    assert unmapped["place"]


def test_what_only_the_visit_knows_is_named_as_needed_never_invented(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, (result,) = checked(capsys, message)
    (record,) = result["records"]
    for tag in ("h2", "h3", "h5", "h6", "h7", "h8", "h9", "h10", "h11"):
        assert record["needs"][tag] == "visit"
        assert tag not in record["fields"]
    assert record["needs"]["h26"] == "agreement"
    assert record["needs"]["r14"] == "receipt"
    assert record["needs"]["h16"] == "sealing"
    shown = [*record["fields"].values(), *record["rows"][0].values()]
    assert not [each for each in shown if each["origin"].startswith(("visit", "agreement"))]
    assert not [each for each in result["findings"] if each["field"] in record["needs"]]


def test_with_visits_and_settings_the_record_is_whole(
    message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "visits.xml").write_text(VISITS, encoding="cp950")
    (tmp_path / "labbroker.toml").write_text(SETTINGS, encoding="utf-8")
    code, (result,) = checked(
        capsys,
        *(message, "--visits", tmp_path / "visits.xml", "--config", tmp_path / "labbroker.toml"),
    )
    (record,) = result["records"]
    fields = {tag: field["value"] for tag, field in record["fields"].items()}
    assert (fields["h2"], fields["h7"], fields["h9"]) == (CLINIC, "0012", PATIENT)
    assert fields["h5"] == "1140302090000"
    assert record["needs"] == {"h16": "sealing", "r14": "receipt"}
    assert "unmapped-code" not in codes(result)
    assert {each["severity"] for each in result["findings"]} <= {"information"}
    assert code == 0


def test_the_visits_themselves_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "visits.xml").write_text(VISITS, encoding="cp950")
    code, (result,) = checked(capsys, tmp_path / "visits.xml")
    assert (code, result["kind"], result["visits"]) == (0, "ic-card-xml", 1)


def upload_file(tmp_path: Path, name: str, *records: Any) -> Path:
    file = tmp_path / name
    with file.open("wb") as out:
        if name.endswith(".zip"):
            write_package(records, STEM, out)
        else:
            write_upload(records, out, edition_on(UPLOAD_DAY))
    return file


@pytest.mark.parametrize("name", [f"{STEM}.zip", f"{STEM}.xml", "TOTFA.xml"])
def test_a_finished_upload_is_checked_by_the_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    good = valid_record({"h16": "1140204091500"})
    bad = valid_record({"h16": "1140204091500", "h7": "12", "h9": "B123456780"})
    code, (result,) = checked(capsys, upload_file(tmp_path, name, good, bad, good))
    assert code == 1
    assert result["kind"] == ("nhi-zip" if name.endswith("zip") else "nhi-xml")
    assert len(result["records"]) == 3
    found = {(each["code"], each["field"], each["place"]) for each in result["findings"]}
    assert ("01", "h7", "hdata[2]") in found
    assert ("25", "h15", "hdata[3]") in found
    assert "22" not in codes(result)


def test_an_upload_whose_name_and_content_differ_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = upload_file(tmp_path, f"{STEM}.zip", valid_record({"h16": "1140205091500"}))
    _, (result,) = checked(capsys, file)
    assert "22" in codes(result)


def test_an_upload_that_breaks_off_tells_the_records_before_and_the_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = upload_file(tmp_path, f"{STEM}.xml", valid_record(), valid_record())
    file.write_bytes(file.read_bytes()[:-60])
    code, (result,) = checked(capsys, file)
    assert code == 2
    assert result["error"]["message"]
    assert result["error"]["remedy"]


def test_information_alone_is_clean() -> None:
    result = file_check.FileCheck("x")
    assert result.exit_code == 0
    result.add_findings([Finding("waiting-final", severity=Severity.INFORMATION)])
    assert result.exit_code == 0
    result.add_findings([Finding("waiting-final", severity=Severity.WARNING)])
    assert result.exit_code == 1


@pytest.mark.parametrize("raw", [b"", b"\x00" * 100, b"hello", b"\xff\xfe", b"PK\x03\x04", b"{}"])
def test_what_no_reader_knows_is_unreadable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: bytes
) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(raw)
    code, (result,) = checked(capsys, file)
    assert code == 2
    assert result["error"]["code"] != "internal"
    assert result["error"]["message"]
    assert result["error"]["remedy"]


def test_one_unreadable_file_does_not_stop_the_others(
    message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (first, second) = checked(capsys, tmp_path / "none", message)
    assert code == 2
    assert first["error"]["code"] == "file-not-readable"
    assert second["error"] is None


def test_a_folder_is_refused_unless_recursive(
    message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (result,) = checked(capsys, tmp_path)
    assert (code, result["error"]["code"]) == (2, "not-a-file")
    assert "--recursive" in result["error"]["remedy"]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.hl7").write_bytes(message.read_bytes())
    code, results = checked(capsys, tmp_path, "--recursive")
    assert code == 1
    assert [Path(each["file"]).name for each in results] == ["result.hl7", "b.hl7"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, (result,) = checked(capsys, tmp_path / "pipe")
    assert (code, result["error"]["code"]) == (2, "not-a-file")


def test_a_file_over_the_limit_is_refused(
    message: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_file, "LARGEST_FILE", 100)
    code, (result,) = checked(capsys, message)
    assert (code, result["error"]["code"]) == (2, "file-too-large")


def test_standard_input_is_a_file_called_dash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MESSAGE.encode())))
    _, (result,) = checked(capsys, "-")
    assert (result["file"], result["kind"]) == ("-", "hl7v2")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), ValueError(PATIENT)])
def test_a_fault_of_the_reader_is_an_internal_error_without_its_text(
    message: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(raw: bytes, profile: SourceProfile) -> None:
        raise error

    monkeypatch.setattr(file_check, "READERS", {Media.HL7V2: fail})
    code, (result,) = checked(capsys, message)
    assert code == 2
    assert result["error"]["code"] == "internal"
    assert type(error).__name__ in result["error"]["place"]
    assert PATIENT not in json.dumps(result)


def test_strict_adds_the_conformance_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.hl7"
    without_status = MESSAGE.replace("||1||||||F", "||1")
    file.write_text(without_status, encoding="utf-8", newline="")
    _, (plain,) = checked(capsys, file)
    _, (strict,) = checked(capsys, file, "--strict")
    assert strict["error"] is None
    added = codes(strict) - codes(plain)
    assert any(code.startswith("hl7") for code in added)


def test_an_unknown_source_names_the_known_ones(
    message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labbroker.toml").write_text(SETTINGS, encoding="utf-8")
    arguments = ["--config", str(tmp_path / "labbroker.toml"), "--source", "bal"]
    assert main(["check", str(message), *arguments]) == 2
    assert "The settings know: lab" in capsys.readouterr().err


def test_people_read_the_same_in_their_language(
    message: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["check", str(message)])
    english = capsys.readouterr().out
    assert "HL7 v2, ORU^R01: 1 report(s), 1 NHI record(s)" in english
    assert "105 mg/dL [70 – 100] *" in english
    assert "needs the visit: h2 h3 h5 h6 h7 h8 h9 h10 h11" in english
    assert "error unmapped-code" in english
    monkeypatch.setenv("LABBROKER_LANG", "zh-TW")
    main(["check", str(message)])
    chinese = capsys.readouterr().out
    assert "待就醫資料: h2 h3" in chinese
    assert "錯誤 unmapped-code" in chinese


def test_a_finding_without_its_text_is_shown_by_its_code() -> None:
    assert finding_texts(Finding("no-such-code"), "en") == ("no-such-code", "")


PIECES = st.sampled_from([each.encode() for each in MESSAGE.split("\r")]) | st.binary(max_size=40)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=8), st.sampled_from([b"\r", b"\n", b""]))
def test_whatever_the_bytes_there_is_an_answer(pieces: list[bytes], ending: bytes) -> None:
    context = PreviewContext(SourceProfile(source_id="check"))
    result = check_file("x.hl7", lambda: ending.join(pieces), context)
    assert result.error is None or result.error.code != "internal", result.fault_place
    assert json.loads(check_as_json(result, "en"))["file"] == "x.hl7"
    assert check_as_text(result, "zh")
