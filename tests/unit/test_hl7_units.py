"""OBX-6: the unit as the laboratory writes it."""

from __future__ import annotations

import pytest

from adapters.hl7.coded import read_unit
from adapters.hl7.escapes import Delimiters


@pytest.mark.parametrize(
    ("sent", "unit"),
    [
        ("mg/dL", "mg/dL"),
        ("mg/dL^milligram per decilitre^UCUM", "mg/dL"),
        ("^umol/L", "umol/L"),
        ("266016^mmHg", "mmHg"),
        (r"10\S\3/uL", "10^3/uL"),
        ("10^3/uL", "10^3/uL"),
        ("x10^9/L", "x10^9/L"),
        ("10^6/ uL", "10^6/ uL"),
        ("10^3/uL^thousand per microlitre^L", "10^3/uL"),
        ("10*3/uL^thousand^UCUM", "10*3/uL"),
        ("10^ten^L", "ten"),
        ("", ""),
    ],
)
def test_a_unit_is_taken_as_the_laboratory_writes_it(sent: str, unit: str) -> None:
    assert read_unit(sent, Delimiters(), "utf-8") == unit
