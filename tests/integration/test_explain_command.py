"""``labbroker explain`` prints what the reference page says, from the installed package alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.cli.main import main
from mapping.catalogue.code_pages import code_pages
from mapping.catalogue.tables import code_table


def explain(
    *arguments: str, language: str = "en", folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "broker.cli.main", "explain", *arguments],
        env={**kept, "LABBROKER_LANG": language, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        ("en", ("14  At least one of lower", "參考值下限", "Raised here: ", "Remedy: Ask the lab")),
        ("zh-TW", ("14  參考值下限、參考值上限至少需擇一填寫", "檢出條件：", "更正方式：請檢驗所")),
    ],
)
def test_the_page_of_a_code_is_printed_in_the_readers_language(
    tmp_path: Path, language: str, parts: tuple[str, ...]
) -> None:
    told = explain("14", language=language, folder=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    for part in parts:
        assert part in told.stdout


def test_every_code_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    codes = list(code_table("nhi-codes"))
    assert main(["explain", "--json", *codes]) == 0
    pages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [page["code"] for page in pages] == codes
    assert len(codes) == len(code_pages()) == 46
    assert all(page["official"] and page["raised"] and page["remedy"] for page in pages)


@pytest.mark.parametrize(("wanted", "code"), [("1", "01"), ("a3", "A3"), ("D3", "D3")])
def test_a_code_may_be_written_short_or_small(
    wanted: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", wanted]) == 0
    assert capsys.readouterr().out.startswith(f"{code}  ")


def test_our_own_findings_are_explained_with_their_parameters_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    assert main(["explain", "unmapped-code"]) == 0
    output = capsys.readouterr().out
    assert "‹place›" in output
    assert "{" not in output


def test_an_unknown_code_names_what_is_near(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    assert main(["explain", "unmaped-code"]) == 2
    assert "unmapped-code" in capsys.readouterr().err
    assert main(["explain", "17"]) == 2
    assert "There is no code 17" in capsys.readouterr().err


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 46
