from __future__ import annotations

import pytest

from mapping.reference_range import parse_reference_range, range_unit


@pytest.mark.parametrize(
    ("raw", "low", "high"),
    [
        ("70-100", "70", "100"),
        ("70～100", "70", "100"),
        ("7 ~ 40", "7", "40"),
        ("0.4 - 4.0 mIU/L", "0.4", "4.0"),
        ("0.0 - 5.6", "0.0", "5.6"),
        ("0 to 17", "0", "17"),
        ("-2 - 2", "-2", "2"),
        ("-2--1", "-2", "-1"),
        (".4-1.5", ".4", "1.5"),
        ("[70][140]", "70", "140"),
        ("[0.60] [1.20]", "0.60", "1.20"),
        ("[6.4 - 8.3][]", "6.4", "8.3"),
        ("[0.92 ~ 1.68][0.92 ~ 1.68]", "0.92", "1.68"),
        ("(70-100)", "70", "100"),
        ("4.0-10.0 10^3/uL", "4.0", "10.0"),
        ("0-5 /HPF", "0", "5"),
        ("37-47%", "37", "47"),
        ("150–400", "150", "400"),
        ("[70][]", "70", ""),
        ("[][140]", "", "140"),
        ("\u300070-100 ", "70", "100"),
    ],
)
def test_two_bounds_are_taken_as_they_are_written(raw: str, low: str, high: str) -> None:
    found = parse_reference_range(raw)
    assert (found.low, found.high, found.text, found.raw) == (low, high, "", raw)


@pytest.mark.parametrize(
    ("raw", "low", "high"),
    [
        ("<200", "", "<200"),
        ("< 200", "", "< 200"),
        ("＜200", "", "＜200"),
        ("≦5.0", "", "≦5.0"),
        ("<=5.0", "", "<=5.0"),
        ("≤5", "", "≤5"),
        (">=60", ">=60", ""),
        ("≧60", "≧60", ""),
        ("> 60 mL/min/1.73m2", "> 60", ""),
        ("<0.50 IU/mL", "", "<0.50"),
        ("[＜200][]", "", "＜200"),
        ("[][< 1.9]", "", "< 1.9"),
    ],
)
def test_a_one_sided_bound_goes_to_its_side_and_keeps_its_comparator(
    raw: str, low: str, high: str
) -> None:
    found = parse_reference_range(raw)
    assert (found.low, found.high, found.text) == (low, high, "")


@pytest.mark.parametrize(
    "raw",
    [
        "Negative",
        "(-)",
        "無",
        "NA",
        "阴性",
        "70_105",
        "4.50&5.90",
        "35-150^35^150",
        "0-1+",
        "100-70",
        "<10 = Negative",
        "<1 = Susceptible, >= 1 = Resistant",
        "轻：31-49，中：50-69，重：>70",
        "７０-１００",
        "1e3-2e3",
        "1,000-2,000",
        "70-100-200",
        "10-20 (fasting)",
        "< 1:40",
        "12-14 M",
    ],
)
def test_what_is_not_surely_a_range_stays_text(raw: str) -> None:
    found = parse_reference_range(raw)
    assert (found.low, found.high, found.text) == ("", "", raw)


@pytest.mark.parametrize("raw", ["", "  ", "-", "--", '""', "－", "[][]", "[-][-]"])
def test_signs_for_no_range_give_nothing(raw: str) -> None:
    found = parse_reference_range(raw)
    assert (found.low, found.high, found.text, found.raw) == ("", "", "", raw)


@pytest.mark.parametrize(
    ("raw", "text"), [("[無][無]", "無"), ("[Negative][]", "Negative"), ("[<5][>1]", "[<5][>1]")]
)
def test_words_shown_in_the_two_brackets_are_text(raw: str, text: str) -> None:
    found = parse_reference_range(raw)
    assert (found.low, found.high, found.text) == ("", "", text)


@pytest.mark.parametrize(
    "raw",
    [
        "M:13-17 F:12-15",
        "男:13-17 女:12-15",
        "男性 13-17；女性 12-15",
        "Male: 13-17, Female: 12-15",
        "F：12-15/M：13-17",
        "m 13-17 g/dL f 12-15 g/dL",
    ],
)
def test_the_patients_sex_chooses_the_range(raw: str) -> None:
    male, female = parse_reference_range(raw, "M"), parse_reference_range(raw, "F")
    assert (male.low, male.high, male.text) == ("13", "17", "")
    assert (female.low, female.high, female.text) == ("12", "15", "")
    assert parse_reference_range(raw).text == raw


def test_a_range_for_the_other_sex_alone_stays_text() -> None:
    assert parse_reference_range("M:13-17", "F").text == "M:13-17"
    assert parse_reference_range("M:13-17", "M").low == "13"


@pytest.mark.parametrize("raw", ["adult M:13-17 F:12-15", "M:13-17 F:12-15 G", "M:see note F:1-2"])
def test_ranges_by_sex_with_more_words_stay_text(raw: str) -> None:
    assert parse_reference_range(raw, "M").text == raw


@pytest.mark.parametrize(
    ("raw", "unit"),
    [
        ("0.4 - 4.0 mIU/L", "mIU/L"),
        ("<0.50 IU/mL", "IU/mL"),
        ("0-5 /HPF", "/HPF"),
        ("70-100", ""),
        ("(70-100)", ""),
        ("[70][140]", ""),
        ("Negative", ""),
        ("", ""),
    ],
)
def test_the_unit_inside_a_range_is_found(raw: str, unit: str) -> None:
    assert range_unit(parse_reference_range(raw)) == unit


def test_the_other_sexs_range_behind_a_bound_is_no_unit() -> None:
    for raw in ("M:<40/F:<31", "男:<40/女:<31", "M:<40 / F:<31"):
        found = parse_reference_range(raw, "M")
        assert (found.high, range_unit(found)) == ("<40", "")
