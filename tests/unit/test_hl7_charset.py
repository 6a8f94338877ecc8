from __future__ import annotations

import pytest

from adapters.hl7.charset import (
    UndecodablePayload,
    UnknownCharset,
    codec_of,
    decode_payload,
    split_header,
)

NAME = "許功蓋^育"
"""Ends in bytes that are ER7 delimiters: 功 a backslash, 蓋 a bar, 育 a bar."""


def payload(declared: str, name: str = NAME) -> str:
    return f"MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.5.1||||||{declared}\rPID|1||X||{name}\r"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("utf8", "utf-8"),
        ("BIG-5", "cp950"),
        ("Big5", "cp950"),
        ("GB 18030-2000", "gb18030"),
        ("GBK", "gb18030"),
    ],
)
def test_the_declared_charset_decodes_chinese(declared: str, codec: str) -> None:
    text = payload(declared)
    assert decode_payload(text.encode(codec)) == (text, codec)


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("8859/1", "iso8859-1"), ("8859/15", "iso8859-15"), ("ISO 8859-1", "iso8859-1")],
)
def test_the_declared_charset_decodes_latin(declared: str, codec: str) -> None:
    text = payload(declared, "Müller^Jörg")
    assert decode_payload(text.encode(codec)) == (text, codec)


def test_the_profile_speaks_where_the_message_is_silent() -> None:
    text = payload("")
    assert decode_payload(text.encode("cp950"), "big5") == (text, "cp950")
    with pytest.raises(UndecodablePayload):
        decode_payload(text.encode("cp950"), "utf-8")


def test_the_message_is_believed_before_the_profile() -> None:
    text = payload("UNICODE UTF-8")
    assert decode_payload(text.encode(), "big5")[0] == text


def test_repetitions_of_msh_18_are_tried_in_turn() -> None:
    text = payload("ASCII~BIG-5")
    assert decode_payload(text.encode("cp950")) == (text, "cp950")


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_wide_characters_are_seen_by_their_bytes(codec: str) -> None:
    text = payload("UNICODE UTF-16")
    assert decode_payload(text.encode(codec))[0] == text


def test_a_byte_order_mark_is_no_character_of_the_message() -> None:
    text = payload("")
    assert decode_payload(b"\xef\xbb\xbf" + text.encode(), "big5")[0] == text


def test_a_header_that_reads_byte_by_byte_is_not_utf_16_whatever_it_says() -> None:
    text = payload("UNICODE UTF-16")
    assert decode_payload(text.encode()) == (text, "utf-8")


def test_the_header_itself_may_hold_delimiter_bytes() -> None:
    text = payload("BIG-5").replace("LIS", "四季^育功")
    assert decode_payload(text.encode("cp950"), "utf-8") == (text, "cp950")
    fields, codec = split_header(text.encode("cp950").partition(b"\r")[0])
    assert (fields[2], fields[9], codec) == ("四季^育功", "1", "cp950")


def test_a_wrong_byte_is_refused_with_its_place_and_without_any_text() -> None:
    raw = payload("UNICODE UTF-8").encode() + b"OBX|1|ST|||\xff\r"
    with pytest.raises(UndecodablePayload) as refused:
        decode_payload(raw)
    assert refused.value.code == "hl7-undecodable"
    assert refused.value.parameters["offset"] == raw.index(b"\xff")
    assert refused.value.parameters["charset"] == "utf-8"
    assert "許" not in str(refused.value)
    assert "第" in refused.value.sentence("zh")


def test_ascii_is_ascii() -> None:
    with pytest.raises(UndecodablePayload):
        decode_payload(payload("ASCII").encode())


def test_control_bytes_are_no_latin_1() -> None:
    with pytest.raises(UndecodablePayload) as refused:
        decode_payload(payload("8859/1", "\x93quoted\x94").encode("latin-1"))
    assert refused.value.parameters["charset"] == "iso8859-1"


def test_private_characters_of_big5_are_refused() -> None:
    with pytest.raises(UndecodablePayload):
        decode_payload(payload("BIG-5").encode("cp950") + b"NTE|1||\xfa\x40\r")


def test_an_unknown_charset_matters_only_beyond_ascii() -> None:
    ascii_only = payload("KLINGON", "WANG")
    assert decode_payload(ascii_only.encode())[0] == ascii_only
    with pytest.raises(UnknownCharset) as refused:
        decode_payload(payload("KLINGON").encode())
    assert refused.value.code == "hl7-unknown-charset"


def test_a_codec_that_is_no_charset_cannot_be_declared() -> None:
    for name in ("unicode_escape", "hex", "rot13", "utf-7", "punycode", "idna", ""):
        assert codec_of(name) is None


def test_a_header_in_any_bytes_is_split_somehow() -> None:
    fields, codec = split_header(b"MSH|^~\\&|\xff\xfe\x81|LAB")
    assert "|".join(fields).encode(codec) == b"MSH|^~\\&|\xff\xfe\x81|LAB"
