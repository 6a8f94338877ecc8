"""Files typed by hand from the official tables, through the command line: right ones, and one
planted error for each of the 46 codes of NHI's check report."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.cli.main import main

FOLDER = Path(__file__).parent / "by_hand"
CLINIC, LAB = "3501200000", "JY00000001"
NOW = datetime.now(ZoneInfo("Asia/Taipei"))
TODAY = f"{NOW.year - 1911:03d}{NOW.month:02d}{NOW.day:02d}"
CODES = (
    *("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15"),
    *("16", "21", "22", "23", "24", "25", "26", "27", "28", "30", "31", "37"),
    *("A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5", "B6", "B7"),
    *("C1", "C2", "C3", "D1", "D2", "D3"),
)
"""As the legend of the check report lists them; there is no 17-20, 29 and 32-36."""
NOT_RUN = {"26", "28", "31", "37"}
"""What needs a list of the operator's, and is said to be unchecked without it."""
GTIN, HIBC, MAKER = (
    "(01)04712345678900(17)991231(10)LOT7A",
    "+H124005842013021/99365LOT7C+",
    "06-28059912MNPYX2",
)


@dataclass(frozen=True)
class Planted:
    """``old`` becomes ``new`` in the first place of the file where it stands; then ``code`` must
    be found at ``field``, and no other error."""

    code: str
    report_type: int
    old: str
    new: str
    field: str
    number: int = 1
    """Which record of the file."""

    def plant(self, text: str) -> str:
        cut = len(text) if self.number == 1 else text.index("<hdata>", text.index("</hdata>"))
        head, tail = (text[:cut], text[cut:]) if self.number > 1 else ("", text)
        assert self.old in tail
        return head + tail.replace(self.old, self.new, 1)


SINGLE_FILE = (
    Planted("01", 1, "<h7>0012</h7>", "<h7>012</h7>", "h7"),
    Planted("02", 1, "<h1>1</h1>", "<h1>5</h1>", "h1"),
    Planted("03", 1, "<h3>11</h3>", "<h3>99</h3>", "h3"),
    Planted("04", 1, "<h10>0640701</h10>", "<h10>0641301</h10>", "h10"),
    Planted("05", 1, "<r4>120</r4>", "<r4>偏高</r4>", "r4", 2),
    Planted("06", 1, "<r4>120</r4>", "<r4>0</r4>", "r4", 2),
    Planted("07", 2, "<r7>1</r7>", "<r7>1</r7>\n<r8-2>正常</r8-2>", "r8-2", 2),
    Planted("08", 4, "<r4>3</r4>", "<r4>6</r4>", "r4"),
    Planted("09", 1, "<r4>120</r4>", "<r4>120.5</r4>", "r4", 2),
    Planted("10", 1, "<h4>{month}</h4>", "<h4>10001</h4>", "h4"),
    Planted("11", 1, "<h26>4</h26>", "<h24>a</h24>\n<h26>4</h26>", "h23"),
    Planted("12", 1, "<h26>4</h26>", "<h23>{today}</h23>\n<h26>4</h26>", "h24"),
    Planted("13", 1, "<h26>4", "<h23>0990101</h23>\n<h24>B</h24>\n<h26>4", "h23"),
    Planted("14", 1, "<r6-1>Nonreactive</r6-1>\n", "", "r6-1"),
    Planted("15", 2, "<h25>NJ</h25>\n", "", "h25"),
    Planted("16", 2, "<h25>NJ</h25>", "<h25>NZ</h25>", "h25"),
    Planted("21", 1, "<h6>01</h6>", "<h6>99</h6>", "h6"),
    Planted("22", 1, "<h16>{today}001500</h16>", "<h16>1140101001500</h16>", "h16"),
    Planted("23", 1, "<h7>0012</h7>", "<h7>Z000</h7>", "h7"),
    Planted("24", 1, "<h8>1</h8>", "<h8>3</h8>", "h8"),
    Planted("28", 3, "<h27>3501200000</h27>", "<h27>350120000-</h27>", "h27"),
    Planted("30", 3, "<h15>25003C</h15>", "<h15>09005C</h15>", "h1"),
    Planted("37", 2, "<h15>33070B</h15>", "<h15>33070b</h15>", "h15"),
    Planted("A1", 4, "(17)991231", "(17)99123", "r4"),
    Planted("A2", 4, "04712345678900", "04712345678901", "r4"),
    Planted("A3", 4, "LOT7A", "LOT７A", "r4"),
    Planted("A4", 4, "(17)991231", "(17)991331", "r4"),
    Planted("A5", 4, "(17)991231", "(17)200131", "r4"),
    Planted("A6", 4, "LOT7A", "LOT-7A", "r4"),
    Planted("B1", 4, "+H124005842013021/", "+H1241/", "r4"),
    Planted("B2", 4, "013021/", "01302A/", "r4"),
    Planted("B3", 4, "+H124", "+1124", "r4"),
    Planted("B4", 4, "/99365", "/99366", "r4"),
    Planted("B5", 4, "/99365", "/20001", "r4"),
    Planted("B6", 4, "/99365LOT7C", "", "r4"),
    Planted("B7", 4, "LOT7C+", "LOT7C5", "r4"),
    Planted("C1", 4, MAKER, "06-28", "r4"),
    Planted("C2", 4, MAKER, "06-2805*9912MNPYX2", "r4"),
    Planted("C3", 4, MAKER, "REF-7799-MNPYX", "r4"),
    Planted("D1", 4, MAKER, "#06-2805", "r4"),
    Planted("D2", 4, MAKER, ";".join([MAKER] * 19), "r4"),
    Planted("D3", 4, "<rdata>\n<r1>3</r1>\n<r2>ASA</r2>\n<r4>3</r4>\n</rdata>\n", "", "r1"),
)
WITH_A_LIST = (
    Planted("26", 1, "<h15>14051C</h15>", "<h15>14084C</h15>", "h15"),
    Planted("28", 3, "<h27>3501200000</h27>", "<h27>3501200009</h27>", "h27"),
    Planted("31", 4, "<h20>{today}000300</h20>", "<h20>{today}000400</h20>", "h20"),
    Planted("37", 2, "<h15>33070B</h15>", "<h15>33071B</h15>", "h15"),
)
BY_OTHER_MEANS = ("25", "27")
"""25: the same order twice in one file. 27: two files with one serial."""


def filled(text: str) -> str:
    return text.replace("{today}", TODAY).replace("{month}", TODAY[:5])


def typed(report_type: int) -> str:
    return (FOLDER / f"type-{report_type}.xml").read_text(encoding="utf-8")


def written(folder: Path, report_type: int, text: str, serial: int = 1) -> Path:
    institution = LAB if report_type == 3 else CLINIC
    path = folder / f"{institution}{TODAY}{serial:03d}.xml"
    path.write_bytes(filled(text).replace("\n", "\r\n").encode("cp950"))
    return path


def checked(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        patch.setenv("LABBROKER_LANG", "en")
        code = main(["check", "--json", *map(str, arguments)])
    assert errors.getvalue() == ""
    return code, [json.loads(line) for line in output.getvalue().splitlines()]


def findings(told: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Everything but the notes, as code and field."""
    return [
        (each["code"], each["field"])
        for file in told
        for each in file["findings"]
        if each["severity"] != "information"
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Lists as an operator downloads or exports them: Big5, official column names."""
    day = TODAY
    lists = {
        "institutions.csv": "醫事機構代碼,醫事機構名稱\r\n"
        + f"{CLINIC},甲診所\r\n{LAB},乙醫事檢驗所\r\n",
        "fees.csv": "診療項目代碼,健保支付點數,生效起日,生效迄日\r\n"
        + "".join(f"{code},100,1090101,9991231\r\n" for code in ("14051C", "14084C", "23501C"))
        + "".join(f"{code},100,1090101,9991231\r\n" for code in ("25003C", "64162B", "33070B"))
        + "33071B,100,0990101,1000101\r\n",
        "claims.csv": "醫事機構代碼,費用年月,申報類別,身分證統一編號,就醫日期,入院年月日,"
        "醫令代碼,執行時間-起\r\n"
        + f"{CLINIC},{day[:5]},1,A223456781,{day},,14051C,\r\n"
        + f"{CLINIC},{day[:5]},1,A223456781,{day},,33070B,\r\n"
        + f"{CLINIC},{day[:5]},1,A223456781,{day},,33071B,\r\n"
        + f"{CLINIC},{day[:5]},1,A223456781,{day},,23501C,\r\n"
        + f"{CLINIC},{day[:5]},1,A223456781,,{day},64162B,{day}0003\r\n"
        + f"{LAB},{day[:5]},1,A223456781,{day},,25003C,\r\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_bytes(text.encode("cp950"))
    file = tmp_path / "labbroker.toml"
    file.write_text(
        '[lists]\ninstitutions = "institutions.csv"\norder_codes = "fees.csv"\n'
        'claims = "claims.csv"\n',
        encoding="utf-8",
    )
    return file


def test_every_code_of_the_check_report_has_its_planted_error() -> None:
    planted = {each.code for each in (*SINGLE_FILE, *WITH_A_LIST)} | set(BY_OTHER_MEANS)
    assert sorted(planted) == sorted(CODES)
    assert len(CODES) == 46
    assert {each.code for each in WITH_A_LIST} == NOT_RUN


@pytest.mark.parametrize("report_type", [1, 2, 3, 4])
def test_a_right_file_has_no_findings_and_says_what_was_not_checked(
    report_type: int, tmp_path: Path
) -> None:
    code, (told,) = checked(written(tmp_path, report_type, typed(report_type)))
    assert (code, told["error"], told["message"]) == (0, None, "daily")
    assert {each["code"] for each in told["findings"]} == {"check-not-run"}
    assert len(told["findings"]) == len(NOT_RUN)
    for nhi_code in NOT_RUN:
        assert any(nhi_code in each["message"] for each in told["findings"])


@pytest.mark.parametrize("report_type", [1, 2, 3, 4])
def test_with_all_lists_a_right_file_has_nothing_at_all(
    report_type: int, tmp_path: Path, settings: Path
) -> None:
    file = written(tmp_path, report_type, typed(report_type))
    code, (told,) = checked(file, "--config", settings)
    assert (code, told["findings"]) == (0, [])


@pytest.mark.parametrize("planted", SINGLE_FILE, ids=lambda planted: planted.code)
def test_a_planted_error_is_found_as_its_code_and_field(planted: Planted, tmp_path: Path) -> None:
    text = planted.plant(typed(planted.report_type))
    code, told = checked(written(tmp_path, planted.report_type, text))
    assert code == 1
    errors = [
        (each["code"], each["field"]) for each in told[0]["findings"] if each["severity"] == "error"
    ]
    assert set(errors) == {(planted.code, planted.field)}


@pytest.mark.parametrize("planted", WITH_A_LIST, ids=lambda planted: planted.code)
def test_what_needs_a_list_is_found_with_it_and_only_then(
    planted: Planted, tmp_path: Path, settings: Path
) -> None:
    text = planted.plant(typed(planted.report_type))
    file = written(tmp_path, planted.report_type, text)
    _, without = checked(file)
    assert (planted.code, planted.field) not in findings(without)
    code, told = checked(file, "--config", settings)
    assert code == 1
    errors = {
        (each["code"], each["field"]) for each in told[0]["findings"] if each["severity"] == "error"
    }
    assert errors == {(planted.code, planted.field)}


def test_the_same_order_twice_in_a_file_is_25(tmp_path: Path) -> None:
    text = typed(3)
    record = text[text.index("<hdata>") : text.index("</patient>")]
    code, told = checked(written(tmp_path, 3, text.replace(record, record * 2)))
    assert (code, findings(told)) == (1, [("25", "h15")])


def test_a_serial_that_was_used_before_is_27(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    files = (written(first, 1, typed(1)), written(second, 2, typed(2)))
    code, told = checked(*files)
    assert (code, findings(told)) == (1, [("27", "")])
    assert [each["code"] for each in told[1]["findings"] if each["severity"] == "error"] == ["27"]
    other = written(second, 2, typed(2), serial=2)
    assert findings(checked(files[0], other)[1]) == []


def test_a_month_that_no_claim_covers_is_said_to_be_unchecked(
    tmp_path: Path, settings: Path
) -> None:
    claims = tmp_path / "claims.csv"
    text = claims.read_bytes().decode("cp950").replace(f",{TODAY[:5]},1,", ",10001,1,")
    claims.write_bytes(text.encode("cp950"))
    code, (told,) = checked(written(tmp_path, 1, typed(1)), "--config", settings)
    assert code == 0
    assert [each["code"] for each in told["findings"]] == ["claim-not-covered"]
    assert TODAY[:5] in told["findings"][0]["message"]


def monthly(*changes: tuple[str, str]) -> str:
    text = (FOLDER / "monthly.xml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_right_monthly_file_is_told_apart_and_has_no_findings(
    tmp_path: Path, settings: Path
) -> None:
    code, (told,) = checked(written(tmp_path, 1, monthly()), "--config", settings)
    assert (code, told["message"], told["findings"]) == (0, "monthly", [])


@pytest.mark.parametrize(
    ("old", "new", "code", "field"),
    [
        ("<h5>1</h5>", "<h5>3</h5>", "03", "h5"),
        ("<h8>17</h8>", "<h8>0</h8>", "06", "h8"),
        ("<h17>2</h17>", "<h17>0</h17>", "06", "h17"),
        ("<h19>{today}", "<h19>1140101", "22", "h19"),
        ("<h26>0012</h26>", "<h26>Z000</h26>", "23", "h26"),
        ("<r6-1>Nonreactive</r6-1>\n", "", "14", "r6-1"),
        # Only in the imported claim.
        ("<h18>14051C</h18>", "<h18>14084C</h18>", "26", "h18"),
    ],
)
def test_a_planted_error_of_the_monthly_layout_is_found_under_its_own_tag(
    old: str, new: str, code: str, field: str, tmp_path: Path, settings: Path
) -> None:
    file = written(tmp_path, 1, monthly((old, new)))
    _, told = checked(file, "--config", settings)
    errors = {
        (each["code"], each["field"]) for each in told[0]["findings"] if each["severity"] == "error"
    }
    assert errors == {(code, field)}


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "Not checked here: 26, 31 (no claim list), 28 (no institution list), 37 (no fee"),
        ("zh-TW", "未檢核代碼：26、31（無申報清單）；28（無醫事機構清單）；37（無支付標準清單）。"),
    ],
)
def test_people_read_in_one_line_what_was_not_checked(
    language: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", language)
    output = io.StringIO()
    with redirect_stdout(output):
        assert main(["check", str(written(tmp_path, 2, typed(2)))]) == 0
    assert output.getvalue().count(line) == 1
    assert "check-not-run" not in output.getvalue()
