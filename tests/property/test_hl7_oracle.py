"""Our ER7 reader against hl7apy on generated segments of ORU^R01: the same values in every place.

Where the two differ on purpose, ``DIFFERENCES`` says so with the reason and an example; the
property allows for these and for nothing else.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hl7.er7 import Message, parse_er7
from adapters.hl7.escapes import Delimiters, escape, unescape


class Difference(NamedTuple):
    segment: str
    theirs: str
    """The segment as hl7apy gives it back, or the value of its last field."""
    ours: str
    reason: str


DIFFERENCES = {
    "escapes": Difference(
        r"NTE|1||a\S\b",
        r"a\S\b",
        "a^b",
        "hl7apy leaves escape sequences as written; we decode them once, after splitting",
    ),
    "null": Difference(
        'NTE|1||""',
        '""',
        "",
        'HL7\'s null "" is a text of two quotation marks to hl7apy; to us the value is empty',
    ),
    "leading zeros": Difference(
        "NTE|00",
        "0",
        "00",
        "hl7apy makes a number of a set id; we change no character",
    ),
    "components beyond the type": Difference(
        "OBR|||||||^^^0",
        "^^0",
        "^^^0",
        "hl7apy moves a component that its version does not define to the first place after the "
        "defined ones; we leave every value where it was written",
    ),
}

# Field → the most components that its type has in v2.5.1, so that none is moved by hl7apy.
FIELDS = {
    "PID": {2: 4, 3: 4, 5: 4, 7: 1, 8: 1, 19: 1},
    "ORC": {1: 1, 2: 4, 3: 4, 9: 1, 12: 4},
    "OBR": {2: 4, 3: 4, 4: 4, 7: 1, 14: 1, 15: 4, 16: 4, 22: 1, 25: 1},
    "OBX": {3: 4, 4: 1, 6: 4, 8: 1, 11: 1, 14: 1, 17: 4},
    "NTE": {3: 1},
}
HEADER = r"MSH|^~\&|LIS|LAB|BROKER|HOSP|20260321230233||ORU^R01^ORU_R01|C-1|P|2.5.1"
STANDARD = Delimiters()
EMPTY_ENDS = re.compile(r"&+(?=\^|$)|[&^]+$")

texts = st.text(st.sampled_from("aZ09 .-<>=/%µ功育回才許\"'|^~\\&"), max_size=8).map(
    lambda text: escape(text.strip(), STANDARD)
)
components = st.lists(texts, min_size=1, max_size=3).map("&".join)


@st.composite
def segments(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(FIELDS)))
    parts = [name] + [""] * max(FIELDS[name])
    for number in draw(st.sets(st.sampled_from(sorted(FIELDS[name])), min_size=1, max_size=4)):
        most = FIELDS[name][number]
        repetition = st.lists(components, min_size=1, max_size=most).map("^".join)
        parts[number] = "~".join(draw(st.lists(repetition, min_size=1, max_size=3)))
    return "|".join(parts)


def read(text: str) -> Message:
    (message,) = parse_er7(f"{HEADER}\r{text}\r").messages
    return message


def their_fields(text: str) -> dict[int, list[str]]:
    """``{field: its repetitions as ER7}`` as hl7apy has them."""
    fields: dict[int, list[str]] = {}
    parsed = parse_segment(text, version="2.5.1", validation_level=VALIDATION_LEVEL.TOLERANT)
    for field in parsed.children:
        number = int(re.findall(r"[0-9]+$", field.name)[0])
        fields.setdefault(number, []).append(field.to_er7())
    return fields


@settings(max_examples=120, deadline=None)
@given(segments())
def test_every_value_of_hl7apy_is_ours_apart_from_known_differences(text: str) -> None:
    message = read(text)
    segment = message.segments[1]
    for number, repetitions in their_fields(text).items():
        written = segment.repetitions(number)
        for order, repetition in enumerate(repetitions):
            mine = written[order] if order < len(written) else ""
            for at, component in enumerate(repetition.split("^"), start=1):
                for under, value in enumerate(component.split("&"), start=1):
                    expected = "" if value == '""' else unescape(value, STANDARD)
                    assert message.part(mine, at, under) == expected
                    if order == 0:
                        assert segment.text(number, at, under) == expected


@settings(max_examples=120, deadline=None)
@given(segments())
def test_every_value_of_ours_is_in_hl7apy(text: str) -> None:
    segment = read(text).segments[1]
    theirs = their_fields(text)
    for number in range(1, len(segment) + 1):
        mine = [EMPTY_ENDS.sub("", part) for part in segment.repetitions(number)]
        if any(mine):
            assert [EMPTY_ENDS.sub("", part) for part in theirs[number]] == mine


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_every_difference_is_real_and_has_a_reason(name: str) -> None:
    example = DIFFERENCES[name]
    number = example.segment.count("|")
    assert their_fields(example.segment)[number] == [example.theirs]
    assert read(example.segment).segments[1].whole(number) == example.ours
    assert len(example.reason) > 40
