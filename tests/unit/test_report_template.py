"""The headings of an NGS report are compared loosely: the official samples differ themselves."""

from __future__ import annotations

import pytest

from mapping.rules.report_template import template_findings

HEADINGS = (
    "#診斷(Diagnosis) :",
    "＃檢體種類(Specimen Type) :",
    "＃檢測項目 (Test Name):",
    "＃定序儀名稱及型號（Sequencing Instrument Name and Product Number）：",
    "＃檢測實驗室地點(Test Lab)",
    "＃檢測結果 (Result)(含基因名稱與變異) :",
    "＃檢測基因列表 (Gene List) :",
)


def missing(text: str) -> str:
    found = list(template_findings({"r8-1": text}, "rdata[1]"))
    return dict(found[0].parameters)["headings"] if found else ""


def test_a_report_with_all_headings_is_whole() -> None:
    assert missing("\n".join(f"{heading} x" for heading in HEADINGS)) == ""


def test_headings_may_stand_in_one_line() -> None:
    assert missing(" x ".join(HEADINGS)) == ""


def test_english_headings_of_their_own_are_headings() -> None:
    lines = ("DIAGNOSIS:", "Specimen type", "test name", "Sequencing Instrument", "Test Lab:")
    assert missing("\n".join((*lines, "Result:", "Gene List:"))) == ""


@pytest.mark.parametrize("place", range(len(HEADINGS)))
def test_a_heading_that_is_missing_is_named(place: int) -> None:
    rest = [f"{heading} x" for number, heading in enumerate(HEADINGS) if number != place]
    named = missing("\n".join(rest))
    assert named
    assert "、" not in named


def test_a_heading_may_stand_in_a_continued_field() -> None:
    half = len(HEADINGS) // 2
    row = {"r8-1": "\n".join(HEADINGS[:half]) + "\n", "r8-2": "\n".join(HEADINGS[half:])}
    assert list(template_findings(row, "rdata[1]")) == []


def test_a_row_without_text_is_another_checks_business() -> None:
    assert list(template_findings({"r1": "1"}, "rdata[1]")) == []
