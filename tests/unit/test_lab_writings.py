"""Values, units and ranges as laboratories write them, through the conversion to r4 … r12.

Each row is what the laboratory wrote and what NHI is told. No character is added or lost but the
five XML signs, which the format wants full-width (SPEC114 pp. 7-14).
"""

from __future__ import annotations

import pytest

from mapping.codes import split_orders
from mapping.convert import convert
from mapping.reference_range import parse_reference_range
from mapping.report import ReferenceRange
from tests.unit.conversion_examples import (
    CLINIC_UPLOADS,
    PROFILE,
    RECEIVED,
    line,
    report,
    visit,
)

TAGS = ("r4", "r5", "r6-1", "r6-2", "r12", "r4-1")
GLUCOSE, HBSAG = "09005C", "14051C"

# value, unit, range → r4, r5, r6-1, r6-2, r12, r4-1
WRITINGS = [
    # numbers against the ranges that labs write
    ("92", "mg/dL", "70-100", "92", "mg/dL", "70", "100", "0", ""),
    ("69", "mg/dL", "70～100", "69", "mg/dL", "70", "100", "1", ""),
    ("100.0", "mg/dL", "70 ~ 100", "100.0", "mg/dL", "70", "100", "0", ""),
    ("101", "mg/dL", "70 to 100", "101", "mg/dL", "70", "100", "1", ""),
    ("92", "mg/dL", "(70-100)", "92", "mg/dL", "70", "100", "0", ""),
    ("92", "mg/dL", "[70][140]", "92", "mg/dL", "70", "140", "0", ""),
    ("141", "mg/dL", "[70] [140]", "141", "mg/dL", "70", "140", "1", ""),
    ("183", "mg/dL", "<200", "183", "mg/dL", "", "＜200", "0", ""),
    ("200", "mg/dL", "<200", "200", "mg/dL", "", "＜200", "1", ""),
    ("200", "mg/dL", "<=200", "200", "mg/dL", "", "＜=200", "0", ""),
    ("5.1", "mg/dL", "≦5.0", "5.1", "mg/dL", "", "≦5.0", "1", ""),
    ("60", "mL/min", ">=60", "60", "mL/min", "＞=60", "", "0", ""),
    ("59", "mL/min", "≧60", "59", "mL/min", "≧60", "", "1", ""),
    ("59", "mL/min", "≥60", "59", "mL/min", "≧60", "", "1", ""),
    ("3.2", "mIU/L", "0.4 - 4.0 mIU/L", "3.2", "mIU/L", "0.4", "4.0", "0", ""),
    ("-1", "mmol/L", "-2 - 3", "-1", "mmol/L", "-2", "3", "0", ""),
    # another unit inside the range: the bounds would be read in the wrong one
    ("3.2", "mIU/L", "0.4 - 4.0 mg/dL", "3.2", "mIU/L", "0.4 - 4.0 mg/dL", "", "", ""),
    # comparators in the value
    ("<0.1", "ng/mL", "0-4", "＜0.1", "ng/mL", "0", "4", "", ""),
    ("<0.1", "ng/mL", "<0.3", "＜0.1", "ng/mL", "", "＜0.3", "0", ""),
    (">1000", "ng/mL", "0-4", "＞1000", "ng/mL", "0", "4", "1", ""),
    (">1000", "", "<200", "＞1000", "", "", "＜200", "1", ""),
    ("≧500", "U/L", "10-40", "≧500", "U/L", "10", "40", "1", ""),
    # by sex; the patient of the example is a woman
    ("12.5", "g/dL", "M:13-17 F:12-15", "12.5", "g/dL", "12", "15", "0", ""),
    ("12.5", "g/dL", "男:13-17;女:12-15", "12.5", "g/dL", "12", "15", "0", ""),
    ("32", "U/L", "M:<40/F:<31", "32", "U/L", "", "＜31", "1", ""),
    ("32", "U/L", "Male <40, Female <31", "32", "U/L", "", "＜31", "1", ""),
    ("12.5", "g/dL", "Adult 12-16 Child 11-14",
     "12.5", "g/dL", "Adult 12-16 Child 11-14", "", "", ""),
    # qualitative
    ("Negative", "", "Negative", "Negative", "", "Negative", "", "0", ""),
    ("Positive", "", "Negative", "Positive", "", "Negative", "", "", ""),
    ("(-)", "", "(-)", "(-)", "", "(-)", "", "0", ""),
    ("(-)", "", "(-)/(-)", "(-)", "", "(-)", "", "0", ""),
    ("2+", "", "(-)/(-)", "2+", "", "(-)", "", "", ""),
    ("Negative", "", "Negative / Negative", "Negative", "", "Negative", "", "0", ""),
    ("Negative", "", "[Negative][]", "Negative", "", "Negative", "", "0", ""),
    ("陰性", "無", "[無][無]", "陰性", "無", "無", "", "", ""),
    ("Yellow", "", "Yellow", "Yellow", "", "Yellow", "", "0", ""),
    ("陰", "無", "無", "陰", "無", "無", "", "", ""),
    # equal numbers are a range of one value or a lab's "none": kept, and nothing concluded
    ("5", "U/L", "0-0", "5", "U/L", "0", "0", "", ""),
    ("5", "U/L", "0/0", "5", "U/L", "0/0", "", "", ""),
    ("1.0", "", "0.92 ~ 1.68/0.92 ~ 1.68", "1.0", "", "0.92", "1.68", "0", ""),
    ("1.9", "", "[0.92 ~ 1.68][0.92 ~ 1.68]", "1.9", "", "0.92", "1.68", "1", ""),
    # titres are texts: neither compared nor computed
    ("1:80", "", "<1:40", "1:80", "", "＜1:40", "", "", ""),
    ("1:80", "titer", "1:40-1:160", "1:80", "titer", "1:40-1:160", "", "", ""),
    ("<1:20 (-)", "", "<1:20 (-)", "＜1:20 (-)", "", "＜1:20 (-)", "", "0", ""),
    ("1：320 (+)", "", "1：40 (-)", "1：320 (+)", "", "1：40 (-)", "", "", ""),
    ("80X(+)", "", "80X(-)", "80X(+)", "", "80X(-)", "", "", ""),
    # several lines, free text
    ("E. coli\n>100,000 CFU/mL", "", "No growth",
     "E. coli\n＞100,000 CFU/mL", "", "No growth", "", "", ""),
    ("92", "mg/dL", "Adult: 70-100\nChild: 60-100", "92", "mg/dL",
     "Adult: 70-100\nChild: 60-100", "", "", ""),
    ("92", "mg/dL", "70-100\n", "92", "mg/dL", "70", "100", "0", ""),
    ("WBC 5-10", "/HPF", "0-5", "WBC 5-10", "/HPF", "0", "5", "", ""),
    ("see comment", "", "70-100", "see comment", "", "70", "100", "", ""),
    # nothing given stays nothing
    ("92", "mg/dL", "", "92", "mg/dL", "", "", "", ""),
    ("92", "mg/dL", "-", "92", "mg/dL", "", "", "", ""),
    ("92", "mg/dL", "--", "92", "mg/dL", "", "", "", ""),
    ("92", "mg/dL", '""', "92", "mg/dL", "", "", "", ""),
    ("92", "mg/dL", "NA", "92", "mg/dL", "NA", "", "", ""),
    ("92", "mg/dL", "100-70", "92", "mg/dL", "100-70", "", "", ""),
    ("５.６", "mg/dL", "0-9", "５.６", "mg/dL", "0", "9", "", ""),
    ("5_6", "mg/dL", "0-9", "5_6", "mg/dL", "0", "9", "", ""),
    ("1e3", "mg/dL", "0-9", "1e3", "mg/dL", "0", "9", "", ""),
    ("1,200", "mg/dL", "0-9", "1,200", "mg/dL", "0", "9", "", ""),
    # units: their spelling is the lab's, only what Big5 lacks is substituted
    ("6.5", "x10^3/µL", "4.0-10.0 x10^3/uL", "6.5", "x10^3/μL", "4.0", "10.0", "0", ""),
    ("6.5", "10*3/uL", "4.0-10.0 10^3/uL", "6.5", "10*3/uL", "4.0", "10.0", "0", ""),
    ("1.02", "S/CO", "<1.00", "1.02", "S/CO", "", "＜1.00", "1", ""),
]  # fmt: skip

# value → r4-1 of an order that must carry it
POSITIVITY = [
    ("Positive", "1"), ("POSITIVE", "1"), ("陽性", "1"), ("陽", "1"), ("(+)", "1"), ("+", "1"),
    ("Reactive (12.3)", "1"), ("陽性(+)", "1"), ("Positive (+)", "1"), ("Detected", "1"),
    ("Negative", "0"), ("陰性", "0"), ("陰", "0"), ("(-)", "0"), ("Non-reactive", "0"),
    ("Nonreactive(0.05)", "0"), ("陰性(-)", "0"), ("陰性（-）", "0"), ("Target Not Detected", "0"),
    ("Equivocal", "U"), ("灰色地帶", "U"), ("N/A", "X"),
    # left to a person
    ("0.05", ""), ("<0.1", ""), ("1+", ""), ("±", ""), ("(±)", ""), ("弱陽性", ""), ("偽陽性", ""),
    ("weak positive", ""), ("1:80", ""), ("陰性(+)", ""), ("Positive (-)", ""), ("-", ""),
    ("陰性\n陽性", ""), ("see comment", ""),
]  # fmt: skip


def told(order_code: str, value: str, unit: str, reference: ReferenceRange) -> tuple[str, ...]:
    sent = report(line("X", value, unit, reference=reference), service=order_code)
    (order,) = split_orders(sent, PROFILE).orders
    visited = visit(order_code)
    result = convert(sent, order, visited, visited.orders[0], CLINIC_UPLOADS, PROFILE, RECEIVED)
    (row,) = result.record.rows
    return tuple(row[tag].value if tag in row else "" for tag in TAGS)


@pytest.mark.parametrize("writing", WRITINGS, ids=lambda row: f"{row[0]!r} {row[1]} {row[2]!r}")
def test_what_a_laboratory_writes_is_told_as_written(writing: tuple[str, ...]) -> None:
    value, unit, reference, *expected = writing
    assert told(GLUCOSE, value, unit, parse_reference_range(reference, "F")) == tuple(expected)


@pytest.mark.parametrize(("value", "answer"), POSITIVITY)
def test_positivity_is_told_where_the_word_is_plain(value: str, answer: str) -> None:
    assert told(HBSAG, value, "無", ReferenceRange(text="無"))[-1] == answer


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [
        ("70", "100", ("70", "100")),
        ("70", "", ("70", "")),
        ("", "100", ("", "100")),
        ("0", "0", ("0", "0")),
        ("(-)", "(-)", ("(-)", "")),
        ("無", "無", ("無", "")),
        ("", "Negative", ("Negative", "")),
        ("0.92 ~ 1.68", "0.92 ~ 1.68", ("0.92", "1.68")),
        ("6.4 - 8.3", "", ("6.4", "8.3")),
        ("<200", "", ("", "＜200")),
        ("", "≧60", ("≧60", "")),
        ("-", "5", ("", "5")),
        ("Negative", "Trace", ("Negative", "Trace")),
        ("-", "-", ("", "")),
    ],
)
def test_a_field_for_each_side_is_put_where_the_format_wants_it(
    low: str, high: str, written: tuple[str, str]
) -> None:
    sent = ReferenceRange(low, high, raw=f"{low} - {high}")
    assert told(GLUCOSE, "92", "mg/dL", sent)[2:4] == written


def test_no_digit_is_told_that_the_laboratory_did_not_send() -> None:
    for value, unit, reference, *expected in WRITINGS:
        sent = f"{value} {unit} {reference}"
        r4, r5, low, high, _, _ = expected
        for text in (r4, r5, low, high):
            digits = "".join(char for char in text if char.isdigit())
            assert all(char in sent for char in digits), text
