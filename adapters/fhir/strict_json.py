"""Bytes → Python, refusing whatever two readers might read differently.

Rules: RFC 8259, R4 json.html, and the input rules of OWASP ASVS 5.0 chapter 1.5 (limits before
parsing, no duplicate keys, no extensions of the grammar).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from adapters.fhir.errors import (
    DuplicateKey,
    IllegalCharacter,
    MalformedJson,
    NotANumber,
    NotUtf8,
    PayloadTooLarge,
    TooDeep,
)
from adapters.fhir.literals import LiteralDecimal, read_integer

MAX_BYTES = 20_000_000
MAX_DEPTH = 100

_BOM = b"\xef\xbb\xbf"
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ROUND = bytes.maketrans(b"[]{}", b"()()")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"()")
_SUSPECT_ESCAPE = re.compile(r"\\u(?:00[01]|[dD][89a-fA-F])")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_TOKEN = re.compile(r'[{}\[\],]|"[^"\\]*+(?:\\.[^"\\]*+)*+"(?=\s*(:)?)', re.DOTALL)


class _Duplicate(Exception):
    pass


class _BadNumber(Exception):
    pass


def read_json(raw: bytes, limit: int = MAX_BYTES) -> Any:
    """The JSON value in ``raw``; numbers are ``int`` or ``LiteralDecimal``, never ``float``.

    Raises a subclass of :class:`mapping.errors.UnreadablePayload` with a place for: more than
    ``limit`` bytes, anything but UTF-8 (one byte order mark is passed over), nesting beyond
    ``MAX_DEPTH``, bad grammar, NaN and Infinity, duplicate keys, and characters that a FHIR
    string cannot hold (lone surrogates, controls other than TAB, LF, CR).
    """
    if len(raw) > limit:
        raise PayloadTooLarge(size=len(raw), limit=limit)
    if raw.startswith(_BOM):
        raw = raw[len(_BOM) :]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotUtf8(place=f"byte {error.start + 1}") from None
    _refuse_depth(raw)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(place=place, reason=error.msg.partition(":")[0]) from None
    except _BadNumber as error:
        raise NotANumber(place=_place(text, text.find(str(error)))) from None
    except _Duplicate:
        raise DuplicateKey(place=_place(text, _second_key(text))) from None
    if _SUSPECT_ESCAPE.search(text):
        for place, string in _strings(value, ""):
            if _FORBIDDEN.search(string):
                raise IllegalCharacter(place=place or "/")
    return value


def _refuse_depth(raw: bytes) -> None:
    """Find the depth before parsing: each pass takes the innermost brackets away."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    brackets = _STRINGS.sub(b"", raw).translate(_ROUND).translate(None, _NO_BRACKETS)
    for depth in range(MAX_DEPTH + 1):
        shorter = brackets.replace(b"()", b"")
        if len(shorter) == len(brackets):
            if shorter.count(b"(") + depth > MAX_DEPTH:
                break
            return
        brackets = shorter
    raise TooDeep(place="/", limit=MAX_DEPTH)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Duplicate
    return members


def _decimal(text: str) -> LiteralDecimal:
    try:
        return LiteralDecimal(text)
    except ArithmeticError:
        raise _BadNumber(text) from None


def _constant(text: str) -> NoReturn:
    raise _BadNumber(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_decimal,
    parse_int=read_integer,
    parse_constant=_constant,
    strict=True,
)


def _second_key(text: str) -> int:
    """The offset of the first property name that its object already has."""
    levels: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            levels.append(set())
        elif mark in "}]":
            levels.pop()
        elif token[1]:
            name = json.loads(mark)
            if name in levels[-1]:
                return token.start()
            levels[-1].add(name)
    return 0


def _place(text: str, offset: int) -> str:
    offset = max(offset, 0)
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for number, (name, item) in enumerate(value.items()):
            known = name.isascii() and name.isalnum()
            step = name if known else f"property {number + 1}"
            yield step, name
            yield from _strings(item, f"{path}.{step}" if path else step)
