from __future__ import annotations

import pytest

from mapping.national_id import is_valid_national_id

LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


def with_check_digit(first_nine: str) -> str:
    """The id whose tenth character makes the published sum divisible by ten."""
    number = {letter: index + 10 for index, letter in enumerate(LETTERS)}
    place = number[first_nine[0]]
    second = number[first_nine[1]] % 10 if first_nine[1].isalpha() else int(first_nine[1])
    digits = [second, *map(int, first_nine[2:])]
    total = place // 10 + place % 10 * 9
    total += sum(weight * digit for weight, digit in zip(range(8, 0, -1), digits, strict=True))
    return f"{first_nine}{-total % 10}"


def test_the_known_example_is_valid() -> None:
    assert is_valid_national_id("A123456789")


@pytest.mark.parametrize(
    "first_nine",
    ["A12345678", "Z29999952", "F81234567", "O91234567", "AC0000000", "FD1234567", "IB7654321"],
)
def test_each_form_has_exactly_one_right_check_digit(first_nine: str) -> None:
    right = with_check_digit(first_nine)
    valid = [digit for digit in "0123456789" if is_valid_national_id(first_nine + digit)]
    assert valid == [right[-1]]


@pytest.mark.parametrize("letter", LETTERS)
def test_every_place_letter_is_known(letter: str) -> None:
    assert is_valid_national_id(with_check_digit(f"{letter}20000000"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A12345678",
        "A1234567890",
        "a123456789",
        "A323456789",
        "AE00000009",
        "１123456789",
        "A12345678９",
        "A1234 6789",
        "1234567890",
        "JY12345678",
    ],
)
def test_other_shapes_are_invalid(text: str) -> None:
    assert not is_valid_national_id(text)
