from __future__ import annotations

import pytest

from mapping.units import is_accepted, same_unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mg/dL", "MG/DL"),
        ("10^3/uL", "10*3/uL"),
        ("x10^3/µL", "10^3/ uL"),
        ("μIU/mL", "uIU/mL"),
        ("％", "%"),
        ("", ""),
    ],
)
def test_two_spellings_of_one_unit_are_the_same(one: str, other: str) -> None:
    assert same_unit(one, other)


@pytest.mark.parametrize(("one", "other"), [("mg/dL", "mg/L"), ("g/dL", "mg/dL"), ("%", "")])
def test_different_units_are_never_the_same(one: str, other: str) -> None:
    assert not same_unit(one, other)


def test_an_empty_official_list_accepts_every_unit() -> None:
    assert is_accepted("furlong", ())
    assert is_accepted("MG/DL", ("mg/dL",))
    assert not is_accepted("mg/L", ("mg/dL",))
