"""What stays of a patient before it is asked who it is."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access.masking import masked_birth, masked_id, masked_name, masked_number


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("王小明", "王○明"),
        ("王明", "王○"),
        ("王", "王"),
        ("歐陽小明", "歐○○明"),
        ("CHEN, Mei", "C○○○ M○○"),
        ("夏曼．藍波安", "夏○○○○安"),
        ("", ""),
    ],
)
def test_a_name_keeps_its_ends(name: str, masked: str) -> None:
    assert masked_name(name) == masked


@pytest.mark.parametrize(
    ("national_id", "masked"),
    [("A123456789", "A12*****89"), ("A1", "A*"), ("", ""), ("A1234567890", "A**********")],
)
def test_an_id_keeps_three_and_two(national_id: str, masked: str) -> None:
    assert masked_id(national_id) == masked


def test_a_birth_date_keeps_its_year_and_a_number_its_end() -> None:
    assert masked_birth(date(1960, 5, 17)) == "1960-**-**"
    assert masked_birth(None) == ""
    assert masked_number("0912345678") == "********78"
    assert masked_number("123") == "***"


@given(st.text(min_size=3, max_size=30))
def test_no_name_of_three_letters_and_more_is_shown_whole(name: str) -> None:
    plain = name.strip()
    if len(plain) >= 3 and any(not each.isspace() and each != "," for each in plain):
        shown = masked_name(plain)
        assert shown != plain or set(plain[1:-1]) <= {"○"} or _is_single_letters(plain)


def _is_single_letters(name: str) -> bool:
    return all(len(word) <= 1 for word in name.replace(",", " ").split())
