r"""ER7 escape sequences, decoded exactly once (HL7 v2.5.1 chapter 2, section 2.7).

Delimiters ``\F\ \S\ \T\ \R\ \E\ \P\`` become their character; ``\.br\ \.sp\ \.ce\`` become line
ends and ``\.skN\`` blanks; the other formatting commands and ``\H\ \N\`` say nothing in plain
text and go; ``\Xdd..\`` becomes the characters of its bytes. A sequence that we do not know
stays as it was written: a single backslash in a text is no reason to lose a character.

Bytes of ``\X..\`` that are control characters are refused, apart from line ends, which many
senders write for ``\.br\``: what is refused stays as written and is reported by
:func:`refused_escapes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

_SEQUENCE: Final = (
    r"(?:(?P<letter>[FSTREPHN])"
    r"|X(?P<hexadecimal>(?:[0-9A-Fa-f]{2})+)"
    r"|\.(?P<command>br|sp|ce|sk|in|ti|fi|nf)(?P<count>[+-]?[0-9]{0,2}))"
)


class Delimiters(NamedTuple):
    """MSH-1 and MSH-2 of one message. ``escape``, ``subcomponent``, ``truncation`` may be ""."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as it is written."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


def unescape(text: str, delimiters: Delimiters, charset: str = "utf-8") -> str:
    r"""``text`` with its escape sequences decoded once; ``charset`` is that of ``\X..\`` bytes."""
    escape = delimiters.escape
    if not escape or escape not in text:
        return text
    return _pattern(escape).sub(_decoder(delimiters, charset), text)


def refused_escapes(text: str, delimiters: Delimiters, charset: str = "utf-8") -> tuple[str, ...]:
    r"""The ``\X..\`` sequences of ``text`` that :func:`unescape` leaves as they are."""
    if not delimiters.escape:
        return ()
    return tuple(
        found.group(0)
        for found in _pattern(delimiters.escape).finditer(text)
        if found["hexadecimal"] and _characters(found["hexadecimal"], charset) is None
    )


def escape(text: str, delimiters: Delimiters) -> str:
    r"""``text`` with delimiters escaped and line ends as ``\.br\``.

    Raises :class:`ValueError` when it holds a character that needs an escape and the message
    has no escape character.
    """
    table = _escape_table(delimiters)
    if not delimiters.escape and any(ord(character) in table for character in text):
        raise ValueError("the text holds a delimiter and the message has no escape character")
    return text.replace("\r\n", "\n").translate(table)


@lru_cache(maxsize=64)
def _pattern(escape_character: str) -> re.Pattern[str]:
    mark = re.escape(escape_character)
    return re.compile(mark + _SEQUENCE + mark)


@lru_cache(maxsize=64)
def _escape_table(delimiters: Delimiters) -> dict[int, str]:
    mark = delimiters.escape
    table = {ord(character): f"{mark}.br{mark}" for character in "\r\n"}
    for letter, character in _letters(delimiters).items():
        if character:
            table[ord(character)] = f"{mark}{letter}{mark}"
    return table


def _letters(delimiters: Delimiters) -> dict[str, str]:
    return {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": delimiters.truncation,
    }


@lru_cache(maxsize=64)
def _decoder(delimiters: Delimiters, charset: str) -> Callable[[re.Match[str]], str]:
    letters = {letter: character for letter, character in _letters(delimiters).items() if character}
    letters |= {"H": "", "N": ""}

    def decode(found: re.Match[str]) -> str:
        letter = found["letter"]
        if letter:
            return letters.get(letter, found[0])
        if found["hexadecimal"]:
            characters = _characters(found["hexadecimal"], charset)
            return found[0] if characters is None else characters
        return _formatting(found["command"], found["count"])

    return decode


def _formatting(command: str, count: str) -> str:
    if command in ("br", "ce"):
        return "\n"
    times = int(count) if count.strip("+-") else 1
    if command == "sp":
        return "\n" * max(times, 1)
    return " " * max(times, 0) if command == "sk" else ""


def _characters(digits: str, charset: str) -> str | None:
    try:
        text = bytes.fromhex(digits).decode(charset)
    except UnicodeDecodeError:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if any(ord(character) < 0x20 and character != "\n" for character in text):
        return None
    return None if any(0x7F <= ord(character) <= 0x9F for character in text) else text
