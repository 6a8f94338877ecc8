"""A strict look at a message by hl7apy, for ``labbroker check`` only.

Not on the way of results: hl7apy takes about 45 ms for a 20-line message, refuses a quarter of
real messages, and raises exceptions of many classes; each becomes a finding here.
"""

from __future__ import annotations

import warnings
from typing import Final

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message, parse_segment

from adapters.hl7.charset import decode_payload
from adapters.hl7.er7 import Message, parse_er7
from mapping.errors import UnreadablePayload
from mapping.finding import Finding, Severity

_LARGEST_PAYLOAD: Final = 256 * 1024
_MOST_SEGMENTS: Final = 400
_MOST_FINDINGS: Final = 100
_LONGEST_REASON: Final = 300
_VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8",
                    "2.8.1", "2.8.2")  # fmt: skip


def conformance_findings(raw: bytes, charset: str = "utf-8") -> tuple[Finding, ...]:
    """What does not conform to the version that the message declares, segment by segment, and
    whether its segments stand in the order of its message structure.

    Never raises. Information only: such findings do not stop a result. ``Finding.value`` may
    hold patient data.
    """
    if len(raw) > _LARGEST_PAYLOAD:
        return (_unchecked(f"larger than {_LARGEST_PAYLOAD // 1024} KiB"),)
    try:
        text, codec = decode_payload(raw, charset)
        messages = parse_er7(text, codec).messages
    except UnreadablePayload as error:
        return (_unchecked(error.code),)
    findings: list[Finding] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for message in messages:
            findings += _check(message)
    return tuple(findings[:_MOST_FINDINGS])


def _check(message: Message) -> list[Finding]:
    header = message.segments[0]
    version = header.text(12)
    if version not in _VERSIONS:
        return [_unchecked("MSH-12 names no version that hl7apy knows", header.place(12))]
    if len(message.segments) > _MOST_SEGMENTS:
        return [_unchecked(f"more than {_MOST_SEGMENTS} segments", header.place())]
    delimiters = message.delimiters
    characters = {
        "SEGMENT": "\r",
        "FIELD": delimiters.field,
        "COMPONENT": delimiters.component,
        "SUBCOMPONENT": delimiters.subcomponent,
        "REPETITION": delimiters.repetition,
        "ESCAPE": delimiters.escape,
    }
    findings: list[Finding] = []
    written = [segment.written() for segment in message.segments]
    # hl7apy refuses the fifth character that v2.7 allows in MSH-2 (its issue 96 and others).
    written[0] = written[0].replace(
        delimiters.encoding_characters, delimiters.encoding_characters[:4], 1
    )
    for segment, text in zip(message.segments, written, strict=True):
        try:
            parse_segment(
                text,
                version=version,
                encoding_chars=characters,
                validation_level=VALIDATION_LEVEL.STRICT,
            ).validate()
        except Exception as error:  # noqa: BLE001  hl7apy raises whatever its internals do
            findings.append(_nonconformant(segment.place(), version, error))
    if findings:
        return findings
    try:
        parse_message(
            "\r".join(written) + "\r", validation_level=VALIDATION_LEVEL.STRICT
        ).validate()
    except Exception as error:  # noqa: BLE001
        findings.append(_nonconformant(header.place(), version, error))
    return findings


def _nonconformant(place: str, version: str, error: Exception) -> Finding:
    return Finding(
        "hl7-nonconformant",
        place=place,
        value=str(error)[:_LONGEST_REASON] or type(error).__name__,
        severity=Severity.INFORMATION,
        parameters=(("version", version),),
    )


def _unchecked(reason: str, place: str = "") -> Finding:
    return Finding(
        "hl7-conformance-unchecked",
        place=place,
        severity=Severity.INFORMATION,
        parameters=(("reason", reason),),
    )
