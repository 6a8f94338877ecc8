"""What two JSON readers might read differently is refused, with its place."""

from __future__ import annotations

import pytest

from adapters.fhir.errors import (
    DuplicateKey,
    IllegalCharacter,
    MalformedJson,
    NotANumber,
    NotUtf8,
    PayloadTooLarge,
    TooDeep,
)
from adapters.fhir.literals import literal_text
from adapters.fhir.strict_json import MAX_DEPTH, read_json
from mapping.errors import UnreadablePayload


@pytest.mark.parametrize(
    "text", ["13.20", "0.0", "-0", "-0.50", "1e2", "1E-22", "1.0e+3", "12345678901234567890", "7"]
)
def test_a_number_keeps_its_text(text: str) -> None:
    assert literal_text(read_json(f"[{text}]".encode())[0]) == text


@pytest.mark.parametrize(
    ("raw", "error", "place"),
    [
        (b'{"a": 1,\n "b": {"c": 2, "c": 3}}', DuplicateKey, "line 2, column 16"),
        (b'{"a": 1, "\\u0061": 2}', DuplicateKey, "line 1, column 10"),
        (b"[NaN]", NotANumber, "line 1, column 2"),
        (b"[1, -Infinity]", NotANumber, "line 1, column 5"),
        (b"[1e99999999999999999999]", NotANumber, "line 1, column 2"),
        (b'{"a": ["x", "\\ud800"]}', IllegalCharacter, "a[1]"),
        (b'{"a": "\\u0000"}', IllegalCharacter, "a"),
        (b'{"\\udfff": 1}', IllegalCharacter, "property 1"),
        (b'{"a": "\xff"}', NotUtf8, "byte 8"),
        (b"\xff\xfe[\x00]\x00", NotUtf8, "byte 1"),
        (b'{"a": 1,}', MalformedJson, "line 1, column 9"),
        (b"[1] 2", MalformedJson, "line 1, column 5"),
        (b'["\x01"]', MalformedJson, "line 1, column 3"),
        (b"[+1]", MalformedJson, "line 1, column 2"),
        (b"", MalformedJson, "line 1, column 1"),
    ],
)
def test_what_is_not_plain_json_is_refused_with_its_place(
    raw: bytes, error: type[UnreadablePayload], place: str
) -> None:
    with pytest.raises(error) as caught:
        read_json(raw)
    assert caught.value.parameters["place"] == place
    assert caught.value.sentence("zh") != caught.value.sentence("en")
    assert caught.value.remedy("zh")


def test_one_byte_order_mark_is_passed_over() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": "\xe8\xa1\x80"}') == {"a": "血"}


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read_json(b'["\\ud83d\\ude00\\n"]') == ["😀\n"]


def test_more_bytes_than_the_limit_are_not_read() -> None:
    assert read_json(b"[10]", limit=4) == [10]
    with pytest.raises(PayloadTooLarge):
        read_json(b"[100]", limit=4)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_found_before_parsing(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deepest = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    read_json(deepest.encode())
    with pytest.raises(TooDeep):
        read_json(f"[{deepest}]".encode())
    with pytest.raises(TooDeep):
        read_json((opening * 200_000).encode())


def test_brackets_in_texts_and_side_by_side_are_no_depth() -> None:
    flat = '["' + "[{" * 500 + '", "\\"[[[", ' + "[]," * 500 + "{}]"
    assert len(read_json(flat.encode())) == 503
