"""Names of upload files: what is nearly a package name, and a ZIP named unlike its XML."""

from __future__ import annotations

import pytest

from mapping.rules import name_findings


def found(file: str, inner: str = "") -> list[tuple[str, str]]:
    return [(each.code, each.value) for each in name_findings(file, inner)]


@pytest.mark.parametrize(
    "file", ["TOTFA.xml", "35012345671140204001.zip", "a/b/upload-2.xml", "-", "0980203.zip"]
)
def test_a_package_name_and_a_free_name_are_both_right(file: str) -> None:
    assert found(file) == []


@pytest.mark.parametrize(
    ("stem", "meant"),
    [
        ("350123456711402041", "35012345671140204001"),
        ("3501234567114020412", "35012345671140204012"),
        ("35012345671140204", "35012345671140204001"),
        ("3501234567114020400012", "35012345671140204012"),
        ("35012345671140204-001", "35012345671140204001"),
        ("3501234567114020412345", "35012345671140204001"),
        ("35012345671140204000", "35012345671140204001"),
        ("jy000000011140204001", "JY000000011140204001"),
    ],
    ids=["one digit", "two digits", "none", "five digits", "hyphen", "over 999", "zero", "small"],
)
def test_what_is_nearly_a_package_name_is_told_with_the_right_one(stem: str, meant: str) -> None:
    (finding,) = name_findings(f"{stem}.zip", stem)
    assert (finding.code, finding.value) == ("package-name-form", stem)
    assert meant in finding.remedy("en")
    assert meant in finding.remedy("zh")
    assert "檔名錯誤" in finding.remedy("zh")


def test_a_package_and_its_xml_of_other_names_are_code_22() -> None:
    (finding,) = name_findings("35012345671140204001.zip", "TOTFA")
    assert finding.code == "22"
    assert "上傳檔名與檔案內容不符" in finding.message("zh")
    assert found("TOTFA.zip", "35012345671140204001")[0][0] == "22"


def test_free_names_that_differ_are_a_warning() -> None:
    assert found("upload.zip", "TOTFA") == [("package-stem-differs", "upload")]
    assert found("totfa.zip", "TOTFA") == []
