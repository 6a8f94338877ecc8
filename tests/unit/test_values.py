from __future__ import annotations

from decimal import Decimal

import pytest

from mapping.reference_range import parse_reference_range
from mapping.report import ReferenceRange
from mapping.values import is_outside, parse_decimal, parse_quantity, positivity


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", "5"), ("5.60", "5.60"), ("-0.5", "-0.5"), ("+1", "1"), (".4", ".4"), (" 7 ", "7")],
)
def test_plain_ascii_decimals_are_numbers(text: str, number: str) -> None:
    assert parse_decimal(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5_6",
        "５.６",
        "1e3",
        "1E400",
        "nan",
        "inf",
        "Infinity",
        "1,200",
        "5.6.7",
        "0x1f",
        "5 6",
        "--5",
        ".",
        "+",
        "<5",
        "5%",
        "٣",
        "²",
        "5\n",
        "1\xa0",
    ],
)
def test_everything_else_is_not_a_number(text: str) -> None:
    assert parse_decimal(text) is None


@pytest.mark.parametrize(
    ("text", "comparator", "number"),
    [
        ("<0.1", "<", "0.1"),
        (">=60", ">=", "60"),
        ("≦5.0", "<=", "5.0"),
        ("＜ 200", "<", "200"),
        ("＞＝3", ">=", "3"),
        ("12", "", "12"),
    ],
)
def test_comparators_are_read_in_all_their_forms(text: str, comparator: str, number: str) -> None:
    assert parse_quantity(text) == (comparator, Decimal(number))


@pytest.mark.parametrize("text", ["<", "<<5", "5<", "<abc", "= 5", "~5", "<1e3"])
def test_half_comparisons_are_no_quantity(text: str) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(
    ("value", "raw", "outside"),
    [
        ("85", "70-100", False),
        ("70", "70-100", False),
        ("100", "70-100", False),
        ("69.9", "70-100", True),
        ("100.1", "70-100", True),
        ("200", "<200", True),
        ("199", "<200", False),
        ("5.0", "≦5.0", False),
        ("60", ">=60", False),
        ("60", ">60", True),
        ("<0.1", "0.4-4.0", True),
        ("<0.4", "0.4-4.0", True),
        ("<=0.4", "0.4-4.0", None),
        ("<3", "<5", False),
        ("<5", "<5", False),
        ("<=5", "<5", None),
        ("<0.1", "0-4", None),
        (">1000", "0-4", True),
        (">3", "0-4", None),
        (">60", ">60", False),
        ("5", "0-0", None),
        ("abc", "0-4", None),
        ("1e3", "0-4", None),
        ("5", "", None),
        ("5", "Negative", None),
        ("Negative", "Negative", False),
        ("NEGATIVE ", "Negative", False),
        ("Positive", "Negative", None),
        ("-3", "-2 - 2", True),
    ],
)
def test_numbers_are_compared_with_the_bounds(value: str, raw: str, outside: bool | None) -> None:
    assert is_outside(value, parse_reference_range(raw)) is outside


@pytest.mark.parametrize("flag", ["H", "HH", "L", "LL", "A", "AA", "POS", "h", "↑"])
def test_the_labs_flag_goes_before_the_numbers(flag: str) -> None:
    within = parse_reference_range("70-100")
    assert is_outside("85", within, (flag,)) is True
    assert is_outside("850", within, ("N",)) is False


@pytest.mark.parametrize("flags", [(), ("",), ('""',), ("N/A",), ("S",), ("U",), ("<",)])
def test_flags_that_do_not_speak_of_the_reference_leave_it_to_the_numbers(
    flags: tuple[str, ...],
) -> None:
    assert is_outside("850", parse_reference_range("70-100"), flags) is True
    assert is_outside("850", ReferenceRange(), flags) is None


def test_flags_that_contradict_each_other_leave_it_to_the_numbers() -> None:
    assert is_outside("85", parse_reference_range("70-100"), ("H", "N")) is False


def test_a_comparator_on_the_wrong_side_decides_nothing() -> None:
    assert is_outside("150", ReferenceRange(low="<200")) is None
    assert is_outside("150", ReferenceRange(high=">200")) is None


def test_a_bound_that_is_no_number_decides_nothing() -> None:
    assert is_outside("150", ReferenceRange(low="abc", high="200")) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("陰性", "0"),
        ("陰", "0"),
        ("Negative", "0"),
        ("Non-Reactive", "0"),
        ("Nonreactive (0.05)", "0"),
        ("Not  detected", "0"),
        ("(-)", "0"),
        ("陽性", "1"),
        ("POSITIVE", "1"),
        ("Reactive(12.3)", "1"),
        ("陽性（＞100）", ""),
        ("(+)", "1"),
        ("Equivocal", "U"),
        ("N/A", "X"),
        ("", ""),
        ("-", ""),
        ("0", ""),
        ("0.05", ""),
        ("1+", ""),
        ("weak positive", ""),
        ("not positive", ""),
        ("弱陽性", ""),
    ],
)
def test_positivity_is_told_only_from_plain_words(text: str, answer: str) -> None:
    assert positivity(text) == answer
