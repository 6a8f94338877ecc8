from __future__ import annotations

import pytest

from adapters.hl7.er7 import Message, NotEr7, parse_er7, write_er7
from adapters.hl7.escapes import Delimiters

HEADER = "MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.5.1"


def only(text: str) -> Message:
    (message,) = parse_er7(text).messages
    return message


def test_header_fields_have_the_numbers_of_the_standard() -> None:
    header = only(HEADER + "\r").segments[0]
    assert [header.raw(at) for at in (1, 2, 3, 9, 12)] == [
        "|",
        "^~\\&",
        "LIS",
        "ORU^R01",
        "2.5.1",
    ]
    assert header.text(9, 2) == "R01"
    assert len(header) == 12


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n", "\n\n"])
def test_any_line_end_ends_a_segment(end: str) -> None:
    message = only(end.join([HEADER, "PID|1||X", "OBX|1|NM"]) + end)
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "OBX"]
    assert message.stray_lines == []


def test_a_file_with_block_marks_in_it_is_read() -> None:
    assert [s.name for s in only(f"\x0b{HEADER}\rPID|1\r\x1c\r").segments] == ["MSH", "PID"]


def test_indented_segments_are_read() -> None:
    assert [s.name for s in only(f"  {HEADER}\n    PID|1\n").segments] == ["MSH", "PID"]


def test_values_are_found_by_component_and_subcomponent() -> None:
    segment = only(f"{HEADER}\rZZZ|a^b&c^d~e^f|x\r").segments[1]
    assert segment.text(1) == "a"
    assert segment.text(1, 2) == "b"
    assert segment.text(1, 2, 2) == "c"
    assert segment.text(1, 3) == "d"
    assert segment.text(1, 4) == ""
    assert segment.text(1, 1, 2) == ""
    assert segment.text(2, 2) == ""
    assert segment.text(9) == ""
    assert segment.repetitions(1) == ["a^b&c^d", "e^f"]
    assert segment.components(1) == ["a", "b&c", "d"]
    assert segment.whole(1) == "a^b&c^d~e^f"


def test_the_null_of_hl7_reads_as_empty() -> None:
    segment = only(f'{HEADER}\rZZZ|""|""^x\r').segments[1]
    assert segment.text(1) == ""
    assert segment.whole(1) == ""
    assert segment.text(2) == ""
    assert segment.raw(1) == '""'


def test_escapes_are_decoded_after_splitting() -> None:
    segment = only(f"{HEADER}\rZZZ|a\\S\\b^c\\F\\d\r").segments[1]
    assert segment.text(1) == "a^b"
    assert segment.text(1, 2) == "c|d"


def test_other_delimiters_are_read_from_the_header() -> None:
    message = only("MSH!@*$%!LIS!LAB\rZZZ!a@b*c$S$d\r")
    assert message.delimiters == Delimiters("!", "@", "*", "$", "%")
    assert message.segments[1].text(1, 2) == "b"
    assert message.segments[1].decoded_repetitions(1) == ["a@b", "c@d"]


def test_five_encoding_characters_are_accepted() -> None:
    message = only("MSH|^~\\&#|LIS\rZZZ|a\\P\\b\r")
    assert message.delimiters.truncation == "#"
    assert message.segments[1].text(1) == "a#b"
    assert write_er7(message.segments) == "MSH|^~\\&#|LIS\rZZZ|a\\P\\b\r"


def test_a_short_msh_2_has_no_escape_and_no_subcomponent() -> None:
    message = only("MSH|^~|LIS\rZZZ|a&b\\F\\^c\r")
    assert message.segments[1].text(1) == "a&b\\F\\"
    assert message.segments[1].text(1, 1, 2) == ""


def test_an_empty_msh_2_means_the_recommended_characters() -> None:
    assert only("MSH||LIS\rZZZ|a^b\r").segments[1].text(1, 2) == "b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n",
        "hello",
        '{"resourceType":"Bundle"}',
        "MSH",
        "MSHello there",
        "MSH|AB|x",
        "PID|1\r",
    ],
)
def test_what_has_no_header_with_delimiters_is_refused(text: str) -> None:
    with pytest.raises(NotEr7) as refused:
        parse_er7(text)
    assert refused.value.code == "hl7-not-er7"
    assert refused.value.sentence("zh")
    assert refused.value.remedy("en")


def test_the_error_does_not_repeat_the_text() -> None:
    with pytest.raises(NotEr7) as refused:
        parse_er7("A123456789|王小明")
    assert "A123456789" not in str(refused.value)


def test_a_line_that_is_no_segment_stays_in_the_text_before_it() -> None:
    message = only(f"{HEADER}\nOBX|1|TX|C||first line\nsecond line\nthird|unit\n")
    assert message.segments[1].raw(5) == "first line\nsecond line\nthird"
    assert message.segments[1].raw(6) == "unit"
    assert message.stray_lines == ["OBX[1]", "OBX[1]"]
    assert message.refused_lines == []


def test_a_comment_takes_lines_too() -> None:
    message = only(f"{HEADER}\nNTE|1||first line\nNIL\n")
    assert message.segments[1].raw(3) == "first line\nNIL"


@pytest.mark.parametrize(
    ("segment", "line"),
    [
        ("OBX|1|NM|C||0.9", "99"),
        ("OBX|1|SN|C||^0.9", "99"),
        ("OBX|1|CE|C||NEG", "POS"),
        ("OBX|1|ST|C||NEG", "see note"),
        ("OBX|1|TX|C||text|unit", "third"),
        ("OBX|1|TX|C", "0.9"),
        ("OBX|1|NM|C||0.9|||||F", "MSHXXX"),
        ("OBX|1|NM|C||0.9", "ADD|9"),
        ("PID|1||A", "B"),
        ("NTE|1|L|text|RE", "more"),
    ],
)
def test_text_that_cannot_belong_to_the_segment_before_it_never_changes_it(
    segment: str, line: str
) -> None:
    message = only(f"{HEADER}\r{segment}\r{line}\r{line}\rZZZ|1\r")
    assert [s.written() for s in message.segments] == [HEADER, segment, "ZZZ|1"]
    assert message.refused_lines == [message.segments[1]]
    assert message.stray_lines == []


def test_a_segment_without_fields_is_no_text() -> None:
    message = only(f"{HEADER}\rPV1\rOBX|1|NM|C||0.9\rORC\r")
    assert [s.name for s in message.segments] == ["MSH", "PV1", "OBX", "ORC"]
    assert message.refused_lines == []


def test_a_document_may_come_in_lines() -> None:
    message = only(f"{HEADER}\rOBX|1|ED|C||^AP^^Base64^JVBE\nRi0x||||||F\r")
    assert message.refused_lines == []
    assert message.segments[1].raw(11) == "F"


def test_add_continues_the_last_field() -> None:
    message = only(f"{HEADER}\rOBX|1|TX|C||half of\rADD| a value|unit\r")
    assert message.segments[1].raw(5) == "half of a value"
    assert message.segments[1].raw(6) == "unit"
    assert [s.name for s in message.segments] == ["MSH", "OBX"]


def test_z_segments_are_kept_and_written_back() -> None:
    written = f"{HEADER}\rZPI|a^b&c~d\\E\\|\r"
    assert write_er7(only(written).segments) == written


def test_places_count_segments_by_name() -> None:
    segments = only(f"{HEADER}\rOBX|1\rNTE|1\rOBX|2\r").segments
    assert segments[3].place(5) == "OBX[2]-5"
    assert segments[0].place(9) == "MSH[1]-9"


def test_each_message_of_a_batch_has_its_own_delimiters_and_places() -> None:
    payload = parse_er7(
        f"FHS|^~\\&\rBHS|^~\\&\r{HEADER}\rPID|1\rMSH$*~\\&$X\rPID$a*b\rBTS|2\rFTS|1\r"
    )
    first, second = payload.messages
    assert first.segments[1].place(3) == "MSH[1]/PID[1]-3"
    assert second.segments[1].text(1, 2) == "b"
    assert second.segments[1].place() == "MSH[2]/PID[1]"
    assert second.segments[0].place(9) == "MSH[2]-9"
    assert payload.outside == ()


def test_a_broken_header_in_a_batch_costs_only_its_own_message() -> None:
    payload = parse_er7(f"{HEADER}\rPID|1\rMSH|ABCD|x\rPID|2||SOMEBODY\r{HEADER}\rPID|3\r")
    assert payload.unreadable == ("MSH[2]",)
    assert [m.segments[1].raw(1) for m in payload.messages] == ["1", "3"]
    assert all("SOMEBODY" not in write_er7(m.segments) for m in payload.messages)


def test_lines_before_the_first_header_are_told() -> None:
    assert parse_er7(f"# exported today\n\n{HEADER}\n").outside == ("line 1",)


def test_a_payload_of_countless_lines_is_refused() -> None:
    with pytest.raises(NotEr7, match="more than"):
        parse_er7(HEADER + "\rZ" * 60_000)
