"""``labbroker check`` on upload files of any maker and any size."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.ports.intake import Media
from broker.cli.file_check import FileCheck
from broker.cli.main import main
from broker.cli.upload_check import check_upload
from mapping.editions.edition import Variant, edition_on
from mapping.monthly import stamp_monthly_upload_time, to_monthly
from mapping.record import UploadRecord
from mapping.upload_xml import write_upload
from tests.unit.test_monthly import KEYS, STAMPED_AT
from tests.unit.upload_samples import UPLOAD_DAY, valid_record

STAMP = {"h16": "1140204091500"}
HEADER = (
    "<h1>1</h1><h2>3501234567</h2><h3>11</h3><h4>11402</h4><h5>1140203101112</h5><h6>01</h6>"
    "<h7>{h7}</h7><h8>1</h8><h9>A123456789</h9><h10>0750101</h10><h11>1140203</h11>"
    "<h15>08011C</h15><h16>1140204091500</h16><h20>1140203101500</h20><h22>血液</h22><h26>4</h26>"
)
ROW = (
    "<rdata><r1>2</r1><r2>Hemoglobin 血色素</r2><r3>SLS-Hb</r3><r4>13.5</r4><r5>g/dL</r5>"
    "<r6-1>12.0</r6-1><r6-2>16.0</r6-2><r9>B123456780</r9><r10>1140203151112</r10></rdata>"
)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")


def check(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, list[dict[str, Any]]]:
    code = main(["check", *map(str, arguments)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def of_other_maker(body: str, encoding: str = "utf-8") -> bytes:
    declared = "UTF-8" if encoding == "utf-8" else "Big5"
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<patient>\n{body}\n</patient>\n'
    return text.encode(encoding)


def found(data: bytes, media: Media = Media.NHI_XML) -> list[tuple[str, str, str]]:
    """Code, field and place of what asks for action, in the order of the file."""
    result = FileCheck("TOTFA.xml")
    check_upload(io.BytesIO(data), media, UPLOAD_DAY, result)
    return [
        (each.code, each.field, each.place)
        for each in result.findings
        if each.severity != "information"
    ]


def test_a_file_of_another_maker_is_clean_whatever_its_line_ends_and_empty_elements() -> None:
    body = f"<hdata>{HEADER.format(h7='0001')}{ROW}</hdata>"
    spread = body.replace("><", ">\n\t<").replace("</h22>", "</h22>\n<h23></h23><h24/>")
    for text in (body, spread, spread.replace("\n", "\r\n"), spread.replace("\n", "\r")):
        assert found(of_other_maker(text, "cp950")) == []


def test_utf_8_is_read_and_said() -> None:
    body = f"<hdata>{HEADER.format(h7='0001')}{ROW}</hdata>"
    assert found(of_other_maker(body)) == [("upload-encoding-differs", "", "patient")]


def test_the_old_r6_and_elements_out_of_order_are_named_with_record_and_field() -> None:
    good = f"<hdata>{HEADER.format(h7='0001')}{ROW}</hdata>"
    old = ROW.replace("<r6-1>12.0</r6-1><r6-2>16.0</r6-2>", "<r6>12.0-16.0</r6>")
    swapped = HEADER.format(h7="0002").replace(
        "<h5>1140203101112</h5><h6>01</h6>", "<h6>01</h6><h5>1140203101112</h5>"
    )
    upside_down = ROW.replace("<r1>2</r1>", "").replace("<r9>", "<r1>3</r1><r9>")
    body = "".join(
        (
            good,
            f"<hdata>{swapped}{ROW}</hdata>",
            f"<hdata>{HEADER.format(h7='0003')}{old}</hdata>",
            f"<hdata>{HEADER.format(h7='0004')}{ROW}{upside_down}</hdata>",
        )
    )
    assert found(of_other_maker(body, "cp950")) == [
        ("element-out-of-order", "h5", "hdata[2]"),
        ("unknown-field", "r6", "hdata[3]/rdata[1]"),
        ("14", "r6-1", "hdata[3]/rdata[1]"),
        ("element-out-of-order", "r1", "hdata[4]/rdata[2]"),
        ("item-name-differs", "r2", "hdata[4]/rdata[2]"),
        ("unit-not-listed", "r5", "hdata[4]/rdata[2]"),
    ]


def test_each_planted_error_is_found_at_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = [HEADER.format(h7=f"{number:04d}") + ROW for number in range(1, 8)]
    planted = {
        2: ("<h7>0003</h7>", "<h7>3</h7>", "01", "h7"),
        4: ("<r4>13.5</r4>", "", "01", "r4"),
        5: ("<h6>01</h6>", "<h6>XX</h6>", "21", "h6"),
    }
    for index, (old, new, _, _) in planted.items():
        bodies[index] = bodies[index].replace(old, new)
    bodies.append(bodies[0])
    file = tmp_path / "35012345671140204001.xml"
    file.write_bytes(of_other_maker("".join(f"<hdata>{body}</hdata>" for body in bodies), "cp950"))
    code, (result,) = check(capsys, "--json", file)
    assert code == 1
    errors = {
        (each["code"], each["field"], each["place"].partition("/")[0])
        for each in result["findings"]
        if each["severity"] == "error" and each["code"] != "stale-upload-date"
    }
    assert errors == {
        *((code, tag, f"hdata[{index + 1}]") for index, (_, _, code, tag) in planted.items()),
        ("25", "h15", "hdata[8]"),
    }


def test_each_upload_of_a_zip_of_several_is_checked_and_the_zip_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, wrong = HEADER.format(h7="0001"), HEADER.format(h7="0001").replace("01</h6>", "ZZ</h6>")
    file = tmp_path / "two.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name, header in (("a.xml", right), ("b.xml", wrong)):
            archive.writestr(name, of_other_maker(f"<hdata>{header}{ROW}</hdata>"))
    code, (told,) = check(capsys, file, "--json")
    assert (code, told["record_count"]) == (1, 2)
    findings = {(finding["code"], finding["field"]) for finding in told["findings"]}
    assert ("nhi-zip-several", "") in findings
    assert ("21", "h6") in findings


def test_a_monthly_file_is_checked_by_its_own_table() -> None:
    records = [stamp_monthly_upload_time(to_monthly(valid_record(), KEYS), STAMPED_AT)]
    out = io.BytesIO()
    write_upload(records, out, edition_on(UPLOAD_DAY, Variant.MONTHLY))
    result = FileCheck("TOTFA.xml")
    check_upload(io.BytesIO(out.getvalue()), Media.NHI_XML, UPLOAD_DAY, result)
    assert (result.message, result.exit_code) == ("monthly", 0)
    assert result.records[0].order_code == "08011C"
    daily = io.BytesIO()
    write_upload([valid_record(STAMP)], daily, edition_on(UPLOAD_DAY))
    both = out.getvalue().replace(b"</patient>", b"") + daily.getvalue().partition(b"<patient>")[2]
    result = FileCheck("TOTFA.xml")
    check_upload(io.BytesIO(both), Media.NHI_XML, UPLOAD_DAY, result)
    assert result.message == "mixed"
    assert "nhi-mixed-layout" in {each.code for each in result.findings}


def test_only_the_first_findings_are_shown_and_all_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [valid_record({**STAMP, "h7": f"{number % 10}"}) for number in range(300)]
    file = tmp_path / "TOTFA.xml"
    with file.open("wb") as out:
        write_upload(bad, out, edition_on(UPLOAD_DAY))
    code, (result,) = check(capsys, "--json", "--limit", "7", file)
    assert code == 1
    assert (len(result["findings"]), len(result["records"])) == (7, 7)
    assert result["record_count"] == 300
    counted = {(each["code"], each["field"]): each["count"] for each in result["counts"]}
    assert counted["01", "h7"] == 300
    assert counted["25", "h15"] == 290
    main(["check", "--limit", "3", str(file)])
    text = capsys.readouterr().out
    assert "300 NHI record(s)" in text
    assert "300 × error 01 h7" in text
    assert len(text.splitlines()) < 120


def test_every_finding_is_one_line_as_it_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [valid_record({**STAMP, "h7": "12", "h9": f"A{number:09d}"}) for number in range(40)]
    file = tmp_path / "TOTFA.xml"
    with file.open("wb") as out:
        write_upload(records, out, edition_on(UPLOAD_DAY))
    code, lines = check(capsys, "--jsonl", file)
    *findings, summary = lines
    assert code == 1
    wrong = [each["place"] for each in findings if each["code"] == "01"]
    assert wrong == [f"hdata[{number}]" for number in range(1, 41)]
    assert all(each["file"] == str(file) and each["remedy"] for each in findings)
    assert summary["record_count"] == 40
    assert sum(each["count"] for each in summary["counts"]) == len(findings)


def test_a_limit_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--limit", "-1", "x"]) == 2
    assert main(["check", "--limit", "many", "x"]) == 2
    capsys.readouterr()


class GrowingUpload(io.RawIOBase):
    """An upload of ``count`` records that is never whole in memory."""

    def __init__(self, count: int) -> None:
        self._parts = self._pieces(count)
        self._left = b""

    def _pieces(self, count: int) -> Iterator[bytes]:
        yield b'<?xml version="1.0" encoding="Big5"?>\r\n<patient>\r\n'
        for number in range(count):
            header = HEADER.format(h7=f"{number % 9999 + 1:04d}")
            yield f"<hdata>{header}{ROW}</hdata>\r\n".encode("cp950")
        yield b"</patient>\r\n"

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        while len(self._left) < size and (part := next(self._parts, b"")):
            self._left += part
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def peak(count: int) -> int:
    result = FileCheck("TOTFA.xml", limit=50)
    tracemalloc.start()
    check_upload(GrowingUpload(count), Media.NHI_XML, UPLOAD_DAY, result)  # type: ignore[arg-type]
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.record_count == count
    return memory


def test_memory_does_not_grow_with_the_file() -> None:
    peak(100)
    small, large = peak(1_000), peak(9_000)
    # What stays of a record is its key, to find it twice; the file itself is 6 MB larger.
    assert large - small < 8_000 * 250


def test_records_that_came_from_reading_are_those_that_were_written() -> None:
    out = io.BytesIO()
    records: list[UploadRecord] = [valid_record(STAMP)] * 3
    write_upload(records, out, edition_on(UPLOAD_DAY))
    result = FileCheck("TOTFA.xml", limit=2)
    check_upload(io.BytesIO(out.getvalue()), Media.NHI_XML, UPLOAD_DAY, result)
    assert (len(result.records), result.record_count) == (2, 3)
