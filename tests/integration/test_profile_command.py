"""``labbroker profile``, and the how-to page: samples of each kind, never seen before, are
connected by the commands as they are written there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import main
from broker.config import load_settings
from broker.config.problems import InvalidSettings
from mapping.file_profile_toml import parse_file_profile
from tests.folder.tables import (
    HEADER,
    NATIONAL_ID,
    OTHER_ID,
    ROWS,
    csv_file,
    dbf_file,
    fixed_file,
    xls_file,
    xlsx_file,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "connect-a-lab-by-files.md"

ODD_HEADER = (
    "送檢單位代碼,身份證,病患姓名,出生年月日,檢體條碼,檢驗碼,檢驗名稱,"
    "報告值,單位,正常值範圍,報告日,報告時間"
)
ODD = [
    ODD_HEADER.split(","),
    f"3599999901,{NATIONAL_ID},王小明,65/04/01,B00001,GLU,血糖,92,mg/dL,70-100,115/08/14,14:05".split(
        ","
    ),
    f"3599999901,{OTHER_ID},陳小華,73/05/12,B00002,GLU,血糖,141,mg/dL,70-100,115/08/14,14:10".split(
        ","
    ),
]
SECTIONS = [
    ["", "身份證字號", "病患姓名", "出生日期", "性別", "檢驗單工號", "報告日期", "報告時間"],
    ["***", NATIONAL_ID, "王小明", "1976/4/1", "男", "L0001234", "2026/8/14", "14:05"],
    ["GLU", "飯前血糖", "", "92", "", "mg/dL", "70-100"],
    ["CHO", "膽固醇", "", "201", "H", "mg/dL", "<200"],
    ["***", OTHER_ID, "陳小華", "1984/5/12", "女", "L0001235", "2026/8/14", "14:15"],
    ["GLU", "飯前血糖", "", "101", "H", "mg/dL", "70-100"],
]
FIELDS = ("PATID", "BIRTH", "HOSPID", "CODE", "ITEM", "RESULT", "UNIT", "NORMAL", "RPTDATE")
WIDTHS = (11, 8, 11, 8, 20, 10, 10, 12, 14)
DBF = dbf_file(
    [(name, "C", width) for name, width in zip(FIELDS, WIDTHS, strict=True)],
    [[cell.encode("cp950") for cell in row] for row in ROWS],
)
SAMPLES: dict[str, tuple[bytes, int]] = {
    "sample.csv": (csv_file(ODD), 2),
    "sample.tsv": (csv_file(ODD, "utf-8", "\t"), 2),
    "sample.xlsx": (xlsx_file(SECTIONS), 3),
    "titled.xlsx": (xlsx_file([["日昇檢驗所"], ["列印 115/08/14"], HEADER, *ROWS]), 3),
    "sample.xls": (xls_file(ODD), 2),
    "sample.dbf": (DBF, 3),
    "sample.txt": (fixed_file(ROWS, WIDTHS), 3),
    "headless.csv": (csv_file(ODD[1:]), 2),
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("LABBROKER_LANG", "en")

    def call(*argv: str) -> tuple[int, dict[str, Any]]:
        code = main([*argv, "--json"])
        captured = capsys.readouterr()
        told: dict[str, Any] = json.loads(captured.out) if captured.out else {"error": captured.err}
        return code, told

    return call


@pytest.mark.parametrize("name", SAMPLES)
def test_a_proposed_profile_reads_its_sample_whole(
    name: str, tmp_path: Path, run: Callable[..., Any]
) -> None:
    raw, results = SAMPLES[name]
    sample, profile = tmp_path / name, tmp_path / "lab.toml"
    sample.write_bytes(raw)
    _, told = run("profile", "suggest", str(sample), "--out", str(profile))
    assert told["missing"] == []
    assert told["read"]["results"] == results
    last = told["read"]["rows"][-1]
    assert last["value"] == ("141" if results == 2 else "101")
    assert last["item_code"] == "GLU"
    assert last["unit"] == "mg/dL"
    assert last["reported_at"].startswith("2026-08-14 14:1")
    code, tried = run("profile", "try", str(profile), str(sample))
    assert (code, tried["read"]) == (0, told["read"])
    # What it is made of is in the file itself, to be corrected by hand.
    parse_file_profile(tomllib.loads(profile.read_text(encoding="utf-8")))


def test_no_patient_is_written_into_a_profile(tmp_path: Path, run: Callable[..., Any]) -> None:
    for name, (raw, _) in SAMPLES.items():
        (tmp_path / name).write_bytes(raw)
        _, told = run("profile", "suggest", str(tmp_path / name))
        for secret in (NATIONAL_ID, OTHER_ID, "王小明", "陳小華", "1976", "B00001", "L0001234"):
            assert secret not in told["profile"]
            assert secret not in json.dumps(told["doubts"], ensure_ascii=False)


def test_sure_columns_carry_no_doubt_and_guessed_ones_do(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "usual.csv").write_bytes(csv_file([HEADER, *ROWS]))
    code, told = run("profile", "suggest", str(tmp_path / "usual.csv"))
    assert (code, told["doubts"]) == (0, {})
    (tmp_path / "odd.csv").write_bytes(csv_file(ODD))
    code, told = run("profile", "suggest", str(tmp_path / "odd.csv"))
    assert code == 1
    assert "columns.national_id" in told["doubts"]
    assert "檢驗碼" in told["doubts"]["columns.item_code"]


def test_one_column_for_each_examination_is_seen(tmp_path: Path, run: Callable[..., Any]) -> None:
    rows = [
        ["身分證字號", "生日", "報告日期", "GLU", "CHOL"],
        [NATIONAL_ID, "1976/04/01", "2026/08/14", "92", "180"],
        [OTHER_ID, "1984/05/12", "2026/08/14", "101", ""],
    ]
    (tmp_path / "wide.csv").write_bytes(csv_file(rows, "utf-8"))
    _, told = run("profile", "suggest", str(tmp_path / "wide.csv"))
    assert [row["item_code"] for row in told["read"]["rows"]] == ["GLU", "CHOL", "GLU"]


def test_what_needs_no_profile_or_holds_no_table_is_said(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "a.hl7").write_bytes(b"MSH|^~\\&|A|B|||20260814||ORU^R01|1|P|2.5\r")
    code, told = run("profile", "suggest", str(tmp_path / "a.hl7"))
    assert (code, "says itself" in told["error"]) == (2, True)
    (tmp_path / "letter.txt").write_bytes("敬啟者\r\n您好，報告如附件。\r\n".encode())
    code, told = run("profile", "suggest", str(tmp_path / "letter.txt"))
    assert (code, "No table" in told["error"]) == (2, True)


def test_a_profile_that_is_there_is_not_overwritten(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "a.csv").write_bytes(csv_file([HEADER, *ROWS]))
    (tmp_path / "lab.toml").write_text("mine")
    code, _ = run(
        "profile", "suggest", str(tmp_path / "a.csv"), "--out", str(tmp_path / "lab.toml")
    )
    assert code == 2
    assert (tmp_path / "lab.toml").read_text() == "mine"


def test_a_row_that_does_not_fit_is_told_with_its_number(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    (tmp_path / "a.csv").write_bytes(csv_file([HEADER, *ROWS]))
    run("profile", "suggest", str(tmp_path / "a.csv"), "--out", str(tmp_path / "lab.toml"))
    (tmp_path / "b.csv").write_bytes(csv_file([HEADER, ROWS[0], ROWS[1][:-1], ROWS[2]]))
    code, told = run("profile", "try", str(tmp_path / "lab.toml"), str(tmp_path / "b.csv"))
    assert code == 1
    assert [(each["code"], each["place"]) for each in told["read"]["findings"]] == [
        ("csv-ragged-row", "row 3")
    ]
    assert told["read"]["results"] == 2


def test_the_settings_name_what_is_wrong_in_the_profile_of_a_source(tmp_path: Path) -> None:
    file = tmp_path / "labbroker.toml"
    file.write_text('[[source]]\nid = "a"\nfile_profile = "lab.toml"\n', encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"labbroker\.toml line 3"):
        load_settings(file, {})
    columns = '[columns]\nnational_id = "ID"\nitem_code = "CODE"\n'
    (tmp_path / "lab.toml").write_text(f'{columns}valu = "V"\n', encoding="utf-8")
    with pytest.raises(InvalidSettings) as caught:
        load_settings(file, {})
    (problem,) = caught.value.problems
    assert "columns.valu" in problem.remedy()
    (tmp_path / "lab.toml").write_text(f'{columns}value = "V"\n', encoding="utf-8")
    layout = load_settings(file, {}).profiles["a"].file_layout
    assert layout.columns["value"] == ("V",)


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["sample.csv", "sample.xlsx", "sample.dbf", "sample.txt", "oru.hl7", "bundle.json"]
)
def test_the_page_connects_a_sample_of_each_kind(name: str, tmp_path: Path) -> None:
    examples = {"oru.hl7": "cbc.hl7", "bundle.json": "glucose.fhir.json"}
    needs_profile = name not in examples
    raw = SAMPLES[name][0] if needs_profile else (ROOT / "examples" / examples[name]).read_bytes()
    (tmp_path / name).write_bytes(raw)
    (settings,) = blocks("toml")
    if not needs_profile:
        settings = settings.replace("file_profile", "# file_profile")
    (tmp_path / "labbroker.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "labbroker").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m broker.cli.main "$@"\n', encoding="utf-8"
    )
    (tmp_path / "labbroker").chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LABBROKER_LANG": "en",
    }
    commands = [each.replace("sample.xlsx", name).strip() for each in blocks("sh")]
    told = {}
    for command in commands:
        if "profile" in command and not needs_profile:
            continue
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        told[command] = done
    last = told[commands[-1]]
    assert last.returncode in (0, 1), last.stderr
    assert "NHI record" in last.stdout
    if needs_profile:
        assert "09005C" in last.stdout
        assert told[commands[2]].returncode == 0, told[commands[2]].stdout
