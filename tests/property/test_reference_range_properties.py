"""Whatever a lab writes as a reference: nothing is gained, nothing is changed."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from mapping.reference_range import parse_reference_range, range_unit
from mapping.values import is_outside, outside_by_range, parse_decimal, parse_quantity, positivity

NUMBERS = st.from_regex(r"[+-]?([0-9]{1,5}(\.[0-9]{0,3})?|\.[0-9]{1,3})", fullmatch=True)
PIECES = st.sampled_from(
    [
        "-",
        " - ",
        "~",
        "～",
        " to ",
        "<",
        "＜",
        "<=",
        "≦",
        ">",
        "≧",
        "[",
        "]",
        "(",
        ")",
        "/",
        " ",
        "M:",
        "F:",
        "男:",
        "女",
        "mg/dL",
        "%",
        "無",
        "Negative",
        '""',
        "^",
        ",",
        "；",
        "１",
        "1e3",
    ]
)
LIKE_RANGES = st.lists(st.one_of(NUMBERS, PIECES), max_size=8).map("".join)
TEXTS = st.one_of(LIKE_RANGES, st.text(max_size=40))
SEXES = st.sampled_from(["", "M", "F"])


@given(TEXTS, SEXES)
@example("M:13-17 F:12-15", "M")
@example("[＜200][]", "")
def test_every_bound_and_text_is_a_piece_of_what_was_sent(raw: str, sex: str) -> None:
    found = parse_reference_range(raw, sex)
    assert found.raw == raw
    for part in (found.low, found.high, found.text, range_unit(found)):
        assert part in raw


@given(TEXTS, SEXES)
def test_a_reference_is_bounds_or_text_and_never_both(raw: str, sex: str) -> None:
    found = parse_reference_range(raw, sex)
    assert not (found.text and (found.low or found.high))
    for bound in (found.low, found.high):
        assert not bound or parse_quantity(bound) is not None


@given(TEXTS, SEXES)
def test_what_says_something_is_never_lost(raw: str, sex: str) -> None:
    found = parse_reference_range(raw, sex)
    if any(character.isalnum() for character in raw):
        assert found.low or found.high or found.text


@given(TEXTS)
def test_a_lone_bound_keeps_its_comparator(raw: str) -> None:
    found = parse_reference_range(raw)
    if bool(found.low) != bool(found.high) and "[" not in raw:
        quantity = parse_quantity(found.low or found.high)
        assert quantity is not None
        assert quantity.comparator[0] == ("<" if found.high else ">")


@given(NUMBERS, NUMBERS, st.sampled_from(["-", " - ", "～", " to "]))
def test_two_numbers_in_order_are_two_bounds(one: str, other: str, between: str) -> None:
    low, high = sorted((one, other), key=Decimal)
    found = parse_reference_range(f"{low}{between}{high}")
    assert (found.low, found.high) == (low, high)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_comparison_agrees_with_arithmetic(value: str, one: str, other: str) -> None:
    low, high = sorted((one, other), key=Decimal)
    outside = outside_by_range(value, parse_reference_range(f"{low}-{high}"))
    if Decimal(low) == Decimal(high):
        assert outside is None
    else:
        assert outside is not (Decimal(low) <= Decimal(value) <= Decimal(high))


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_censored_value_is_judged_only_where_every_value_it_may_be_agrees(
    limit: str, possible: str, one: str, other: str
) -> None:
    low, high = sorted((one, other), key=Decimal)
    reference = parse_reference_range(f"{low}-{high}")
    outside = outside_by_range(f"<{limit}", reference)
    if outside is not None and Decimal(possible) < Decimal(limit):
        assert outside_by_range(possible, reference) is outside


@given(st.text(max_size=30))
def test_only_ascii_decimals_are_numbers(text: str) -> None:
    number = parse_decimal(text)
    if number is not None:
        assert set(text) <= set("0123456789.+- ")
        assert number.is_finite()


@given(st.text(max_size=60), TEXTS, st.lists(st.text(max_size=4), max_size=3))
def test_no_text_makes_a_judgement_fail(value: str, raw: str, flags: list[str]) -> None:
    assert is_outside(value, parse_reference_range(raw), tuple(flags)) in (True, False, None)
    assert positivity(value) in ("", "0", "1", "U", "X")
