from __future__ import annotations

import pytest

from adapters.hl7.acknowledgement import (
    ACCEPTED,
    NOT_HL7,
    NOT_STORED,
    TOO_LARGE,
    UNKNOWN_SOURCE,
    Reply,
    read_acknowledgement,
    write_acknowledgement,
)
from adapters.hl7.er7 import parse_er7
from adapters.hl7.framing import enclose
from adapters.hl7.header import read_header
from tests.hl7_samples import MSH, OBX, message, result, with_fields

AT = "20260321120000+0800"


def answer(raw: bytes, reply: Reply = ACCEPTED) -> bytes:
    return write_acknowledgement(read_header(raw), reply, AT, "OURS-1")


def test_sender_and_receiver_change_places() -> None:
    assert answer(result(OBX)).decode() == (
        rf"MSH|^~\&|BROKER|HOSP|LIS|LAB|{AT}||ACK^R01^ACK|OURS-1|P|2.5.1||||||UNICODE UTF-8"
        "\rMSA|AA|C-1\r"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ORU^R01^ORU_R01", "ACK^R01^ACK"),
        ("ORU^R01", "ACK^R01"),
        ("ORU", "ACK"),
        ("", "ACK"),
        ("ORU^", "ACK"),
    ],
)
def test_the_answer_names_the_event_as_the_message_did(kind: str, expected: str) -> None:
    raw = answer(message(with_fields(MSH, f9=kind)))
    assert raw.split(b"|")[8] == expected.encode()


def test_a_refusal_says_why_and_in_newer_versions_by_code() -> None:
    raw = answer(result(OBX), NOT_STORED).decode()
    assert "MSA|AE|C-1|Not stored, send again\r" in raw
    assert "ERR|||207^Application internal error^HL70357|E\r" in raw
    old = answer(message(with_fields(MSH, f12="2.3")), NOT_STORED).decode()
    assert "ERR" not in old
    assert old.split("|")[11] == "2.3"


def test_the_delimiters_of_the_sender_are_used() -> None:
    raw = b"MSH!@*$%!LIS!LAB!A!B!20260101!!ORU@R01!7!P!2.5\r"
    assert answer(raw, NOT_STORED).decode() == (
        f"MSH!@*$%!A!B!LIS!LAB!{AT}!!ACK@R01!OURS-1!P!2.5\r"
        "MSA!AE!7!Not stored, send again\rERR!!!207@Application internal error@HL70357!E\r"
    )


@pytest.mark.parametrize("encoding", ["cp950", "utf-8", "gb18030"])
def test_chinese_names_come_back_in_the_same_bytes(encoding: str) -> None:
    declared = {"cp950": "BIG-5", "utf-8": "UNICODE UTF-8", "gb18030": "GB 18030-2000"}[encoding]
    header = with_fields(MSH, f3="四季功", f4="育", f10="號-1", f18=declared)
    raw = answer(header.encode(encoding) + b"\r")
    (ack,) = parse_er7(raw.decode(encoding)).messages
    assert ack.segments[0].raw(5) == "四季功"
    assert ack.segments[0].raw(6) == "育"
    assert ack.segments[1].raw(2) == "號-1"


@pytest.mark.parametrize("control_id", ["", "\x01\x02", "A\x0bB", "x" * 200, "a\u200bb"])
def test_a_control_id_that_is_unsafe_is_not_echoed(control_id: str) -> None:
    raw = answer((with_fields(MSH, f10=control_id) + "\r").encode())
    assert raw.endswith(b"\rMSA|AA|\r")
    enclose(raw)


def test_a_control_id_that_is_unsafe_still_has_one_stable_text() -> None:
    headers = [
        read_header((with_fields(MSH, f10=text) + "\r").encode())
        for text in ("\x01", "\x01", "\x02")
    ]
    first, again, other = (header.control_id for header in headers if header is not None)
    assert first == again
    assert first != other
    assert first.startswith("sha256:")
    assert first.isprintable()


def test_header_fields_with_control_characters_are_not_echoed() -> None:
    raw = b"MSH|^~\\&|L\x0bS|LAB\x1c|A\x00|B|2026||ORU^R01|7|P|2.5\r"
    assert answer(raw) == f"MSH|^~\\&||B|||{AT}||ACK^R01|OURS-1|P|2.5\rMSA|AA|7\r".encode()


def test_a_batch_is_answered_by_its_file_header() -> None:
    raw = b"FHS|^~\\&|LIS|LAB|A|B|20260101||file.hl7||F-9\rMSH|^~\\&|X\r"
    assert answer(raw) == f"MSH|^~\\&|A|B|LIS|LAB|{AT}||ACK|OURS-1|P|2.5\rMSA|AA|F-9\r".encode()


def test_what_is_no_hl7_is_answered_without_an_echo() -> None:
    assert read_header(b"GET / HTTP/1.1") is None
    assert answer(b"GET / HTTP/1.1", NOT_HL7) == (
        f"MSH|^~\\&|||||{AT}||ACK|OURS-1|P|2.5\rMSA|AR||Not an HL7 v2 message\r".encode()
    )


@pytest.mark.parametrize(
    "raw",
    [b"", b"MSH", b"MS", b"MSHA", b"MSH\r", b"MSH\x0b", b"MSH ", b"PID|1", b"\xff\xfeM\0S\0H\0"],
)
def test_what_has_no_header_has_none(raw: bytes) -> None:
    assert read_header(raw) is None


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\r\n", b" ", b"\xef\xbb\xbf\n"])
def test_a_mark_or_blank_line_before_the_header_is_overlooked(lead: bytes) -> None:
    header = read_header(lead + result(OBX))
    assert header is not None
    assert header.echo_id == "C-1"


def test_a_header_ends_at_its_line_and_at_its_limit() -> None:
    header = read_header(result(OBX).replace(b"\r", b"\n"))
    assert header is not None
    assert header.fields[-1] == "UNICODE UTF-8"
    endless = read_header(b"MSH|^~\\&|" + b"x" * 10_000_000)
    assert endless is not None
    assert len(endless.fields[2]) < 5000


def test_names_for_telling_the_source_are_first_components() -> None:
    header = read_header(b"MSH|^~\\&|LIS^1.2.3^ISO|LAB||||\r")
    assert header is not None
    assert (header.name_in(3), header.name_in(4), header.name_in(99)) == ("LIS", "LAB", "")


def test_acknowledgements_are_read_back() -> None:
    assert read_acknowledgement(answer(result(OBX))) == ("AA", "C-1", "")
    assert read_acknowledgement(answer(result(OBX), UNKNOWN_SOURCE)) == (
        "AR",
        "C-1",
        "Unknown source",
    )
    assert read_acknowledgement(b"MSH|^~\\&|A\nMSA|CA|9\n") == ("CA", "9", "")
    assert read_acknowledgement(b"MSH|^~\\&|A\r") is None
    assert read_acknowledgement(b"\x06") is None


def test_every_reply_has_a_code_that_senders_know() -> None:
    replies = [ACCEPTED, NOT_STORED, NOT_HL7, TOO_LARGE, UNKNOWN_SOURCE]
    assert [reply.code for reply in replies] == ["AA", "AE", "AR", "AR", "AR"]
