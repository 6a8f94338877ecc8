from __future__ import annotations

from datetime import date

import pytest

from mapping.record import UploadRecord
from mapping.rules import RuleContext, check_package
from tests.unit.upload_samples import CONTEXT, valid_record

STEM = "35012345671140204007"


def sealed(**header: str) -> UploadRecord:
    return valid_record({"h16": "1140204090000"} | header)


def found(records: list[UploadRecord], stem: str = STEM, context: RuleContext = CONTEXT) -> object:
    return [(f.code, f.field, f.place) for f in check_package(records, stem, context)]


def test_a_right_package_has_no_finding() -> None:
    assert found([sealed(), sealed(h15="09005C")]) == []


def test_the_name_must_be_institution_day_and_serial() -> None:
    assert found([sealed()], "TOTFA") == [("22", "", "package")]
    assert found([sealed()], "35012345671140204000") == [("22", "", "package")]


def test_the_institution_must_be_that_of_the_name() -> None:
    assert found([sealed(), sealed(h2="3501234568")]) == [("22", "h2", "hdata[2]")]


def test_the_upload_day_must_be_that_of_the_name() -> None:
    assert found([sealed(h16="1140203090000")]) == [("22", "h16", "hdata[1]")]


def test_the_same_order_twice_is_a_duplicate_naming_the_first() -> None:
    records = [sealed(), sealed(h15="09005C"), sealed(h16="1140204100000", h11="1140202")]
    (finding,) = check_package(records, STEM, CONTEXT)
    assert (finding.code, finding.field, finding.place) == ("25", "h15", "hdata[3]")
    assert "hdata[1]" in finding.message("zh")


@pytest.mark.parametrize("tag", ["h5", "h7", "h9", "h20"])
def test_a_change_in_the_key_makes_another_order(tag: str) -> None:
    changed = {"h5": "1140203101113", "h7": "0002", "h9": "B123456780", "h20": "11402031015"}
    assert found([sealed(), sealed(**{tag: changed[tag]})]) == []


def test_a_serial_is_used_once() -> None:
    context = RuleContext(today=CONTEXT.today, used_serials=frozenset((7,)))
    assert found([sealed()], STEM, context) == [("27", "", "package")]
    assert found([sealed()], "35012345671140204008", context) == []


@pytest.mark.parametrize(
    ("today", "codes"),
    [
        (date(2025, 2, 4), []),
        (date(2025, 2, 5), []),
        (date(2025, 2, 6), ["stale-upload-date"]),
        (date(2025, 2, 3), ["stale-upload-date"]),
    ],
)
def test_the_upload_day_is_today_or_yesterday(today: date, codes: list[str]) -> None:
    context = RuleContext(today=today)
    assert [f.code for f in check_package([sealed()], STEM, context)] == codes
