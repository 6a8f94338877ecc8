from __future__ import annotations

import pytest

from mapping.record import Field, UploadRecord
from mapping.same_order import collection_day, contradicts, covers, same_collection


def taken(text: str, origin: str = "OBR[1].specimen.collected_at") -> UploadRecord:
    return UploadRecord({"h20": Field(text, origin)}, ())


def rows(*said: tuple[str, str, str, str], origin: str = "report-items") -> UploadRecord:
    """Rows of number, name, value and unit."""
    tags = ("r1", "r2", "r4", "r5")
    return UploadRecord(
        {}, tuple({t: Field(v, origin) for t, v in zip(tags, row, strict=True)} for row in said)
    )


HB = ("2", "Hb", "13.2", "g/dL")


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("1151119091037", "1151119091037", True),
        ("1151119091037", "11511190910", True),
        ("1151119091000", "11511190910", True),
        ("1151119091037", "11511190000", True),
        ("11511190000", "11511190910", True),
        ("1151119091037", "1151119091100", False),
        ("1151119091037", "11511190911", False),
        ("11511190000", "11511200000", False),
    ],
)
def test_times_agree_as_far_as_the_coarser_goes(one: str, other: str, agree: bool) -> None:
    assert same_collection(taken(one), taken(other)) is agree
    assert same_collection(taken(other), taken(one)) is agree


def test_an_assumed_time_contradicts_nothing() -> None:
    assumed = taken("1151119083110", "assumed:visit.card_at")
    assert collection_day(assumed) == ""
    assert same_collection(assumed, taken("1151201091000"))
    assert collection_day(taken("11511190000")) == "1151119"


@pytest.mark.parametrize(
    "row",
    [
        ("2", "Hb", "13.20", "g/dL"),
        ("2", "Hb", "13.2", "g/dl"),
        ("2", "Hb", "13.2", ""),
        ("4", "WBC", "6.5", ""),
    ],
)
def test_what_says_the_same_or_something_else_contradicts_nothing(
    row: tuple[str, str, str, str],
) -> None:
    assert not contradicts(rows(HB), rows(row))


@pytest.mark.parametrize(
    "row", [("2", "Hb", "13.3", "g/dL"), ("2", "Hb", "13.2", "g/L"), ("2", "Hb", "<13.2", "g/dL")]
)
def test_another_value_or_unit_of_one_row_is_a_contradiction(
    row: tuple[str, str, str, str],
) -> None:
    assert contradicts(rows(HB, ("4", "WBC", "6.5", "")), rows(row))


def test_counted_rows_are_known_by_their_names() -> None:
    earlier = rows(("1", "p-ANCA", "neg", ""), origin="sequence")
    assert not contradicts(earlier, rows(("1", "c-ANCA", "pos", ""), origin="sequence"))
    assert contradicts(earlier, rows(("2", "p-ANCA", "pos", ""), origin="sequence"))


def test_a_part_is_covered_and_more_than_was_known_is_not() -> None:
    both = rows(HB, ("4", "WBC", "6.5", ""))
    assert covers(both, rows(HB))
    assert not covers(rows(HB), both)
