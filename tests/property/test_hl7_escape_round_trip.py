from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7.er7 import parse_er7, write_er7
from adapters.hl7.escapes import Delimiters, escape, unescape

texts = st.text(
    st.one_of(
        st.sampled_from("|^~\\&#.XbrFSTREPHN0A\n功育回才許"),
        st.characters(exclude_categories=["Cs", "Cc"]),
    )
)
delimiters = st.sampled_from(
    [Delimiters(), Delimiters(truncation="#"), Delimiters("!", "@", "*", "$", "%")]
)


@given(texts, delimiters)
def test_what_is_escaped_comes_back(text: str, marks: Delimiters) -> None:
    assert unescape(escape(text, marks), marks) == text


@given(texts)
def test_an_escaped_text_is_one_field_of_one_segment(text: str) -> None:
    written = f"MSH|^~\\&|LIS\rZZZ|{escape(text, Delimiters())}|end\r"
    (message,) = parse_er7(written).messages
    assert len(message.segments) == 2
    assert message.segments[1].whole(1) == ("" if text == '""' else text)
    assert message.segments[1].raw(2) == "end"


@given(st.lists(st.text("ABC|^~\\&#\"' 功1", max_size=30), max_size=6))
def test_writing_back_is_identical(fields: list[str]) -> None:
    written = "MSH|^~\\&|LIS\r" + "".join(f"ZZ{at}|{text}\r" for at, text in enumerate(fields))
    (message,) = parse_er7(written).messages
    assert write_er7(message.segments) == written
