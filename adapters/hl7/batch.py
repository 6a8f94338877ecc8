"""The messages of a payload, each decoded on its own where the whole is no text.

One bad byte in one message of a batch must not cost the others: they belong to other people.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, NamedTuple

from adapters.hl7.charset import (
    UndecodablePayload,
    UnknownCharset,
    declared_charsets,
    decode_payload,
)
from adapters.hl7.er7 import Er7Payload, parse_er7
from mapping.finding import Finding

# No character set that is read byte by byte has CR, LF or the frame marks as a second byte.
_HEAD: Final = re.compile(rb"(?:\A|[\r\n\x0b\x1c])[ \t]*(?=MSH[^A-Za-z0-9])")
_LOST: Final = "MSH"
"""A header without delimiters: it keeps the count of the messages and is read as none."""


class Messages(NamedTuple):
    """``findings`` has an error for each message that cannot be decoded, with its byte."""

    payload: Er7Payload
    text: str
    findings: list[Finding]


def read_messages(raw: bytes, fallback: str) -> Messages:
    """The messages of ``raw``; ``fallback`` is the profile's charset.

    Raises ``UndecodablePayload``, ``UnknownCharset`` or ``NotEr7`` where nothing of the payload
    can be read.
    """
    try:
        text, codec = decode_payload(raw, fallback)
    except UndecodablePayload:
        starts = [found.end() for found in _HEAD.finditer(raw)]
        if len(starts) < 2:
            raise
        return _read_apart(raw, starts, fallback)
    return Messages(parse_er7(text, _escapes_by(codec)), text, [])


def _read_apart(raw: bytes, starts: list[int], fallback: str) -> Messages:
    usual = next(iter(declared_charsets(raw, fallback)), fallback)
    failures: list[UndecodablePayload | UnknownCharset] = []
    findings: list[Finding] = []
    texts: list[str] = []
    codecs: list[str] = []
    try:
        texts.append(decode_payload(raw[: starts[0]], usual)[0])
    except (UndecodablePayload, UnknownCharset):
        findings.append(Finding("hl7-outside-message", place="line 1"))
    for start, stop in zip(starts, [*starts[1:], len(raw)], strict=True):
        try:
            text, codec = decode_payload(raw[start:stop], usual)
        except (UndecodablePayload, UnknownCharset) as error:
            failures.append(error)
            findings.append(_undecodable(len(codecs) + 1, start, error))
            text, codec = _LOST, ""
        texts.append(text if text[-1] in "\r\n" else text + "\r")
        codecs.append(codec)
    if all(not codec for codec in codecs):
        raise failures[0]
    whole = "".join(texts)
    payload = parse_er7(whole)
    for message in payload.messages:
        # MSH[2]/
        message.charset = _escapes_by(codecs[int(message.place_prefix[4:-2]) - 1])
    lost = {f"MSH[{number}]" for number, codec in enumerate(codecs, start=1) if not codec}
    unreadable = tuple(place for place in payload.unreadable if place not in lost)
    return Messages(replace(payload, unreadable=unreadable), whole, findings)


def _undecodable(ordinal: int, start: int, error: UndecodablePayload | UnknownCharset) -> Finding:
    offset = start + error.offset if isinstance(error, UndecodablePayload) else start
    parameters = (("charset", error.charset), ("offset", str(offset)))
    return Finding("hl7-message-undecodable", place=f"MSH[{ordinal}]", parameters=parameters)


def _escapes_by(codec: str) -> str:
    """The codec of ``\\X..\\`` bytes: a message in ASCII may have UTF-8 in them."""
    return codec if codec not in ("ascii", "") else "utf-8"
