"""What stays of a patient before it is asked who it is."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access.masking import masked_date, masked_id, masked_name


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("王小明", "王○明"),
        ("王明", "王○"),
        ("王", "○"),
        ("測試^一郎", "測○○郎"),
        ("夏曼．藍波安", "夏○○○○安"),
        ("", ""),
    ],
)
def test_a_name_keeps_its_ends(name: str, masked: str) -> None:
    assert masked_name(name) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [("A123456789", "A1••••••89"), ("X1", "••"), ("", ""), ("12345", "12•45")],
)
def test_an_id_keeps_its_ends(text: str, masked: str) -> None:
    assert masked_id(text) == masked


def test_a_birth_date_keeps_its_year() -> None:
    assert masked_date(date(1960, 5, 17)) == "1960-••-••"
    assert masked_date(None) == ""


@given(st.text(st.characters(exclude_characters="○•^"), min_size=1, max_size=30))
def test_nothing_is_shown_whole(text: str) -> None:
    if text.strip():
        assert masked_name(text) != text.strip()
    assert masked_id(text) != text
