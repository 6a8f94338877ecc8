"""What the command line says of files that it cannot use: what, where and what to do, in the
reader's language."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from broker.cli.main import main
from mapping.finding import IN_FILE, Finding, told_once
from mapping.place_words import chinese_place

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SETTINGS = ("--config", str(EXAMPLES / "labbroker.toml"))
SOURCE = (*SETTINGS, "--source", "sunrise-files")
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LABBROKER_LANG", request.param)
    return str(request.param)


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = main([str(each) for each in arguments])
    told = capsys.readouterr()
    return code, told.out + told.err


def golden(name: str) -> str:
    return (ROOT / "tests" / "golden" / f"{name}.xml").read_bytes().decode("cp950")


@pytest.mark.parametrize(
    ("content", "english", "chinese"),
    [
        (b"", "is empty", "空檔案"),
        (b" \r\n\t\r\n", "is empty", "空檔案"),
        (b"<!DOCTYPE a><patient></patient>", "DOCTYPE", "DOCTYPE"),
        (b"<PATIENT></PATIENT>", "the root is <PATIENT>", "根元素為 <PATIENT>"),
        (b"<patient><HDATA></HDATA></patient>", "in <HDATA>", "以 <HDATA> 標示"),
        (b"<patient><hdata><h1>1</h1>", "ends too early", "檔案不完整"),
    ],
    ids=["empty", "blank", "doctype", "capital root", "capital records", "cut off"],
)
def test_check_says_why_a_file_is_none(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    language: str,
    content: bytes,
    english: str,
    chinese: str,
) -> None:
    file = tmp_path / "upload.xml"
    file.write_bytes(content)
    code, told = said(capsys, "check", file)
    assert code == 2
    assert (chinese if language == "zh" else english) in told


def test_a_tag_in_capitals_is_told_with_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    file = tmp_path / "upload.xml"
    text = golden("height").replace("<h15>", "<H15>").replace("</h15>", "</H15>")
    file.write_bytes(text.encode("cp950"))
    code, told = said(capsys, "check", file)
    assert code == 1
    assert "field-in-capitals (hdata[1] H15)" in told
    assert "<h15>" in told


def test_a_file_that_is_not_there_and_a_folder_are_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    for command in (("check",), ("convert", *SOURCE, "--out", tmp_path / "out")):
        _, told = said(capsys, *command, tmp_path / "none.csv")
        assert ("檔案或資料夾不存在" if language == "zh" else "no such file or folder") in told
        assert "Error" not in told
        _, told = said(capsys, *command, tmp_path)
        assert ("資料夾，不是檔案" if language == "zh" else "a folder, not a file") in told
        assert ("--recursive" in told) == (command == ("check",))


def test_verdict_says_what_is_wrong_with_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    from broker.store.engine import open_writer

    settings = tmp_path / "labbroker.toml"
    settings.write_text(f'data_dir = "{tmp_path / "var"}"\n', encoding="utf-8")
    open_writer(tmp_path / "var").dispose()
    (tmp_path / "empty.txt").write_bytes(b"")
    for name, english, chinese in (
        ("none.txt", "no such file or folder", "檔案或資料夾不存在"),
        (".", "a folder, not a file", "資料夾，不是檔案"),
        ("empty.txt", "is empty", "空檔案"),
    ):
        code, told = said(capsys, "verdict", tmp_path / name, "--config", settings)
        assert code == 2
        assert (chinese if language == "zh" else english) in told
        assert "Error" not in told


def test_monthly_says_what_to_name_after_claims(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    wanted = ("monthly", "--institution", "3501234567", "--month", "2025-02", *SETTINGS)
    code, told = said(capsys, *wanted, "--out", tmp_path, "--claims", tmp_path / "none")
    assert code == 2
    assert "--claims" in told
    assert "[lists]" not in told
    assert ("檔案或資料夾不存在" if language == "zh" else "no such file or folder") in told


def test_a_broken_quotation_mark_has_a_remedy_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    text = (EXAMPLES / "results.csv").read_bytes().replace(b"Hexokinase", b'"Hexokinase')
    file = tmp_path / "results.csv"
    file.write_bytes(text)
    code, told = said(capsys, "check", file, *SOURCE)
    assert code == 2
    assert ("寫兩次" if language == "zh" else "written twice") in told
    assert ("標題列" if language == "zh" else "header") not in told


def test_convert_says_that_a_file_of_visits_holds_none_and_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    results = EXAMPLES / "results.csv"
    code, told = said(
        capsys, "convert", results, "--visits", results, *SOURCE, "--out", tmp_path / "out"
    )
    assert code == 1
    if language == "zh":
        assert "以 --visits 指定，但其中沒有就醫資料，內容為 1 份檢驗結果報告（csv）" in told
        assert "未讀到任何就醫資料" in told
    else:
        assert "holds no visits but 1 report(s) of laboratory results (csv)" in told
        assert "No visits were read" in told
    assert "1 筆保留" in told or "1 held" in told


def test_convert_and_check_say_that_an_upload_file_holds_no_visits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    upload, results = ROOT / "tests/golden/height.xml", EXAMPLES / "results.csv"
    code, told = said(
        capsys, "convert", results, "--visits", upload, *SOURCE, "--out", tmp_path / "out"
    )
    assert code == 2
    assert ("其中沒有就醫資料" if language == "zh" else "It holds no visits") in told
    code, told = said(capsys, "check", results, "--visits", upload, *SOURCE)
    assert code == 2
    assert ("沒有就醫資料" if language == "zh" else "holds no visits") in told


def test_check_takes_visits_as_a_table_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    visits = tmp_path / "visits.csv"
    visits.write_text(
        "醫事機構代碼,身分證號,出生日期,健保卡過卡日期時間,就醫類別,就醫序號,醫令代碼\n"
        "3599999901,B223456782,0850115,1140303093000,01,0007,09005C\n",
        encoding="utf-8-sig",
    )
    code, told = said(capsys, "check", EXAMPLES / "results.csv", "--visits", visits, *SOURCE)
    assert code == 0, told
    assert "h7=0007" in told


def test_convert_tells_each_finding_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    text = (EXAMPLES / "results.csv").read_bytes().decode("cp950").replace("Hexo", "Hexo😀")
    file = tmp_path / "results.csv"
    file.write_text(text, encoding="utf-8-sig")
    where = ("convert", file, "--visits", EXAMPLES / "visits.xml", *SOURCE, "--out", tmp_path)
    _, told = said(capsys, *where)
    assert told.count("unencodable-character") == 1
    assert ("第 2 列" if language == "zh" else "row 2") in told
    _, told = said(capsys, *where, "--json")
    (held,) = json.loads(told)["held"]
    assert [each["place"] for each in held["findings"]] == ["row 2"]


def test_the_same_word_of_two_rows_is_told_of_both() -> None:
    source = [Finding("x", "r4", f"row {number}", "v") for number in (2, 3)]
    record = [Finding("x", "r4", f"rdata[{number}]", "v") for number in (1, 2)]
    other = Finding("x", "r4", "rdata[3]", "w")
    assert told_once([*source, *record, other]) == [*source, other]
    assert told_once(record) == record


def test_explain_names_all_unknown_codes_and_prints_the_known_ones(
    capsys: pytest.CaptureFixture[str], language: str
) -> None:
    code, told = said(capsys, "explain", "17", "h31", "A3")
    assert code == 2
    assert "17, h31" in told
    assert "條碼英數字格式錯誤" in told


def test_remedies_for_a_finished_file_speak_of_that_file_and_not_of_our_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    text = golden("glucose")
    text = re.sub(r"<r6-[12]>[^<]*</r6-[12]>\r\n", "", text)
    text = re.sub(r"<r2>[^<]*</r2>", "<r2>Sugar</r2>", text)
    file = tmp_path / "TOTFA.xml"
    file.write_bytes(text.encode("cp950"))
    _, told = said(capsys, "check", file)
    assert "14 (hdata[1]/rdata[1] r6-1)" in told
    assert "item-name-differs" in told
    for word in ("profile", "來源設定", "Seal", "重新封裝"):
        assert word not in told
    assert "飯前血糖" in told


def test_a_remedy_of_our_own_records_stays_what_it_was() -> None:
    ours = Finding("14", "r6-1", "rdata[1]")
    theirs = Finding("14", "r6-1", "rdata[1]", parameters=(IN_FILE,))
    assert "profile" in ours.remedy("en")
    assert "profile" not in theirs.remedy("en")


@pytest.mark.parametrize(
    ("place", "chinese"),
    [
        ("row 7", "第 7 列"),
        ("line 12", "第 12 行"),
        ("results.csv row 3", "results.csv 第 3 列"),
        ("start of file", "檔案開頭"),
        ("hdata[1]/rdata[2]", "hdata[1]/rdata[2]"),
        ("OBX[3]-5", "OBX[3]-5"),
        ("crow 3", "crow 3"),
    ],
)
def test_a_place_is_told_in_chinese(place: str, chinese: str) -> None:
    assert chinese_place(place) == chinese


def test_chinese_output_has_no_english_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "zh")
    sound = golden("glucose")
    files = {
        "twice.xml": sound.replace("<h9>", "<h9>A</h9><h9>", 1),
        "bare.xml": sound.replace("<r4>", "<r4><", 1),
        "cut.xml": sound[: len(sound) // 2],
        "text.xml": sound.replace("<h9>", "lost<h9>", 1),
        "tail.xml": sound.replace("</patient>", "<x/></patient>"),
        "html.xml": "<html></html>",
        "results.csv": '身分證號,檢驗項目,檢驗值\n"A,b,c\n',
        "empty.zip": "",
        "damaged.zip": "PK\x03\x04 nothing",
        "broken.hl7": "MSH|",
        "broken.json": '{"resourceType": "Bundle"',
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode("cp950"))
        _, told = said(capsys, "check", tmp_path / name)
        for line in told.replace(str(tmp_path), "").splitlines():
            words = re.findall(r"[A-Za-z][a-z]+(?: [a-z]+){2,}", line)
            assert not words, (name, line)
            assert "  " not in line.strip(), (name, line)
