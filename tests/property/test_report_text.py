"""Long report texts: however they are split, the parts are the text and each fits its field."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mapping.big5 import cp950_length, official_length
from mapping.report_text import FIELD_LIMIT, joined_text, split_text, text_tags

WORDS = st.sampled_from(
    ["檢", "a", " ", "\n", "功育", "normal. ", "　", "陰性反應" * 40, "x" * 900]
)
TEXTS = st.lists(WORDS, max_size=40).flatmap(
    lambda words: st.integers(1, 12).map(lambda times: "".join(words) * times)
)
TYPES = st.sampled_from(["2", "3"])


@given(TEXTS, TYPES)
def test_the_parts_joined_are_the_text(text: str, report_type: str) -> None:
    parts = split_text(text, report_type)
    if parts is None:
        assert cp950_length(text) > FIELD_LIMIT * 8
        return
    assert joined_text(parts) == text
    assert list(parts) == list(text_tags(report_type))[: len(parts)]
    assert all(parts.values())
    assert all(cp950_length(part) <= FIELD_LIMIT for part in parts.values())


@given(TEXTS, TYPES)
def test_the_official_count_is_kept_wherever_nine_fields_hold_the_text_by_it(
    text: str, report_type: str
) -> None:
    parts = split_text(text, report_type)
    # Nine full fields may each lack three bytes, since a character is not cut.
    if official_length(text) <= (FIELD_LIMIT - 3) * 9:
        assert parts is not None
        assert all(official_length(part) <= FIELD_LIMIT for part in parts.values())


def test_a_full_text_fits_to_the_last_byte_even_with_blanks_at_the_borders() -> None:
    text = (" " * 300 + "x" * 3700) * 9
    parts = split_text(text, "2")
    assert parts is not None
    assert joined_text(parts) == text
    assert split_text(text + "x", "2") is None


def test_a_break_avoids_white_space_where_it_can() -> None:
    parts = split_text("x" * 3990 + " " * 15 + "y" * 10, "3")
    assert parts is not None
    assert parts["r8-1"] == "x" * 3989
    assert parts["r8-2"] == "x" + " " * 15 + "y" * 10


def test_other_report_types_have_no_text_fields() -> None:
    assert text_tags("1") == ()
