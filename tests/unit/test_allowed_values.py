"""Where a value is not allowed, the finding says which ones are, in both languages."""

from __future__ import annotations

import pytest

from mapping.editions.field_pages import field_page
from mapping.finding import Finding
from mapping.record import Field, Fields, UploadRecord
from mapping.rules import check_record
from mapping.upload_xml import read_upload
from tests.golden.build import CONTEXT, FOLDER


def changed(name: str, row: int, tag: str, value: str) -> UploadRecord:
    """The golden file ``name`` with one field changed; ``row`` 0 is the header."""
    with (FOLDER / f"{name}.xml").open("rb") as file:
        (record,) = read_upload(file)
    levels: list[Fields] = [record.header, *record.rows]
    levels[row] = {**levels[row], tag: Field(value, "test")}
    return UploadRecord(levels[0], tuple(levels[1:]))


def finding(name: str, row: int, tag: str, value: str, code: str) -> Finding:
    record = changed(name, row, tag, value)
    (found,) = (each for each in check_record(record, CONTEXT) if each.code == code)
    return found


@pytest.mark.parametrize(
    ("name", "row", "tag", "value", "code", "allowed"),
    [
        ("knee-replacement", 4, "r3", "L6A", "03", "L/R + 1 + 1/2/3/4/5"),
        ("hip-replacement", 4, "r3", "L51", "03", "L/R + 5 + 5/A/B/C/D/E/F"),
        ("knee-replacement", 3, "r4", "6", "08", "1-5"),
        ("height", 0, "h3", "99", "03", "11, 12, 13, 14, 15, 19, 21, 22, 29, 50"),
        ("height", 0, "h6", "99", "21", "00, 01, 02"),
        ("eye-ground", 1, "r7", "9", "03", "1"),
        ("hepatitis-c", 1, "r4-1", "5", "03", "0"),
    ],
    ids=["knee", "hip", "ASA", "kind", "visit type", "report code", "positivity"],
)
def test_the_remedy_lists_what_is_allowed(
    name: str, row: int, tag: str, value: str, code: str, allowed: str
) -> None:
    found = finding(name, row, tag, value, code)
    assert allowed in found.remedy("en")
    assert f"：{allowed}" in found.remedy("zh")


def test_a_verdict_of_nhi_knows_no_list_and_reads_well_without_it() -> None:
    told = Finding("03", "r3", "rdata[4]", "L6A")
    assert told.remedy("en") == (
        "Use a code of this field; `labbroker explain r3` lists what they mean."
    )
    assert told.remedy("zh") == "請改用該欄位的代碼；以 `labbroker explain r3` 查詢代碼意義。"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_of_r3_has_the_whole_table_of_implants(language: str) -> None:
    page = field_page("r3", "zh" if language == "zh" else "en")
    for line in ("64164B: L/R + 1 + 1/2/3/4/5", "64201B: L/R + 7 + 5/A/B/C/D/E/F"):
        assert line in page
    assert ("內髕骨側入路" if language == "zh" else "midvastus") in page
