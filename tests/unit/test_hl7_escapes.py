from __future__ import annotations

import pytest

from adapters.hl7.escapes import Delimiters, escape, refused_escapes, unescape

STANDARD = Delimiters()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"10\S\3/uL", "10^3/uL"),
        (r"A\F\B\R\C\T\D", "A|B~C&D"),
        (r"C:\E\path", "C:\\path"),
        (r"\E\S\E\ ", r"\S\ "),
        (r"one\.br\two", "one\ntwo"),
        (r"one\.sp2\two", "one\n\ntwo"),
        (r"a\.sk3\b", "a   b"),
        (r"\.in+4\text\.fi\ ", "text "),
        (r"very \H\high\N\ value", "very high value"),
        (r"\X41\\X4243\ ", "ABC "),
        (r"line\X0D0A\next\X0A\last", "line\nnext\nlast"),
        (r"\XE8A180\ ", "血 "),
    ],
)
def test_sequences_are_decoded(written: str, text: str) -> None:
    assert unescape(written, STANDARD) == text


@pytest.mark.parametrize(
    "written",
    [r"C:\temp\file", "a\\", "\\", r"\Zlocal\ ", r"\C2842\ ", r"a\b\ ", r"\X4\ ", r"\P\ "],
)
def test_what_is_no_known_sequence_stays_as_it_is(written: str) -> None:
    assert unescape(written, STANDARD) == written


def test_an_unpaired_backslash_does_not_swallow_the_sequence_after_it() -> None:
    assert unescape(r"a\b\S\c", STANDARD) == r"a\b^c"


def test_decoding_happens_once() -> None:
    assert unescape(r"\E\X41\E\ ", STANDARD) == r"\X41\ "
    assert unescape(r"\X5C\F\X5C\ ", STANDARD) == "\\F\\ "


@pytest.mark.parametrize("written", [r"\X00\ ", r"\X0B\ ", r"\X411C\ ", r"\X7F\ ", r"\XFF\ "])
def test_control_bytes_in_hexadecimal_are_refused_and_told(written: str) -> None:
    assert unescape(written, STANDARD) == written
    assert refused_escapes(written, STANDARD) == (written.strip(),)


def test_hexadecimal_bytes_are_in_the_charset_of_the_message() -> None:
    assert unescape(r"\XA6E5\ ", STANDARD, "cp950") == "血 "
    assert refused_escapes(r"\XA6E5\ ", STANDARD, "utf-8") == (r"\XA6E5" + "\\",)


def test_the_truncation_character_is_escaped_as_p() -> None:
    assert unescape(r"\P\ ", Delimiters(truncation="#")) == "# "


def test_other_delimiters_are_used_as_declared() -> None:
    other = Delimiters("!", "@", "*", "$", "%")
    assert unescape("a$S$b$F$c", other) == "a@b!c"
    assert unescape(r"a\S\b", other) == r"a\S\b"


def test_without_an_escape_character_nothing_is_decoded_and_nothing_can_be_escaped() -> None:
    bare = Delimiters(escape="", subcomponent="")
    assert unescape(r"\F\ ", bare) == r"\F\ "
    assert refused_escapes(r"\X00\ ", bare) == ()
    assert escape("plain", bare) == "plain"
    with pytest.raises(ValueError, match="no escape character"):
        escape("a|b", bare)


def test_line_ends_are_written_as_br() -> None:
    assert escape("a\r\nb\nc|", STANDARD) == r"a\.br\b\.br\c\F" + "\\"
