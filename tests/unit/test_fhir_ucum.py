"""A printed unit and a UCUM code: the same, different, or not to be judged."""

from __future__ import annotations

import pytest

from adapters.fhir.ucum import contradicts


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("mg/dL", "mmol/L"),
        ("mg/dL", "mg/L"),
        ("mg/dl", "g/dL"),
        ("MG/DL", "mmol/L"),
        ("g/dL", "g/L"),
        ("%", "g/dL"),
        ("L/L", "%"),
        ("10^3/uL", "10*6/uL"),
        ("x10^9/L", "10*12/L"),
        ("µg/mL", "ng/mL"),
        ("uIU/mL", "[IU]/mL"),
        ("sec", "min"),
        ("/HPF", "/[LPF]"),
        ("kg/m2", "kg/m"),
        ("mmHg", "kPa"),
    ],
)
def test_two_different_units_contradict_each_other(unit: str, code: str) -> None:
    assert contradicts(unit, code)
    assert contradicts(code, unit)


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("mg/dL", "mg/dL"),
        ("mg/dl", "mg/dL"),
        ("MG/DL", "mg/dL"),
        ("Mg/dL", "mg/dL"),
        ("ng/mL", "ug/L"),
        ("10^3/uL", "10*3/uL"),
        ("x10^3/µL", "10*9/L"),
        ("10E3/uL", "10*3/uL"),
        ("U/L", "[IU]/L"),
        ("u/l", "U/L"),
        ("mIU/L", "m[IU]/L"),
        ("uIU/mL", "m[IU]/L"),
        ("mEq/L", "mmol/L"),
        ("mOsm/kg", "mmol/kg"),
        ("mm/hr", "mm/h"),
        ("秒", "s"),
        ("sec", "s"),
        ("mmHg", "mm[Hg]"),
        ("mg/g", "mg/g{creat}"),
        ("mL/min/1.73 m²", "mL/min/{1.73_m2}"),
        ("kg/m²", "kg/m2"),
        ("G/L", "10*9/L"),
        ("K/uL", "10*3/uL"),
        ("beats/minute", "/min"),
        ("copies/mL", "{copies}/mL"),
        ("INR", "{INR}"),
        ("%", "{ratio}"),
        ("/uL", "{cells}/uL"),
        ("cells/uL", "/uL"),
        ("titer", "1"),
        ("倍", ""),
        ("", "mg/dL"),
        ("///", "a/b/c"),
        ("x" * 500, "mg"),
    ],
)
def test_what_is_the_same_or_unknown_does_not(unit: str, code: str) -> None:
    assert not contradicts(unit, code)
    assert not contradicts(code, unit)
