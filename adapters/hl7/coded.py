"""Coded elements of HL7 v2 (CE, CWE, CNE): one field, up to three codings and a text.

Components (HL7 v2.5.1 section 2.A.13; the third triplet since v2.7): identifier ^ text ^ system
^ alternate identifier ^ alternate text ^ alternate system … ^ 9 original text ^ 10, 11, 12
second alternate.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeAlias, TypeVar

from adapters.hl7.escapes import Delimiters, unescape
from mapping.report import Coding

_Result = TypeVar("_Result")
_Read: TypeAlias = Callable[[str, Delimiters, str], _Result]

_TRIPLETS: Final = (0, 3, 9)
_READABLE: Final = (1, 8, 4, 0, 3)
_UNESCAPED_POWER: Final = re.compile(r"\s*(?:[xX×*]\s?)?10\^[0-9]{1,2}\s*/[^\^~]*")
_LONGEST_REMEMBERED: Final = 256


def _remembered(read: _Read[_Result]) -> _Read[_Result]:
    """``read`` with a cache: codes and units recur all day. Long fields stay out of memory."""
    cached = lru_cache(maxsize=4096)(read)

    @wraps(read)
    def reader(raw: str, delimiters: Delimiters, charset: str) -> _Result:
        return (cached if len(raw) <= _LONGEST_REMEMBERED else read)(raw, delimiters, charset)

    return reader


@_remembered
def read_codings(raw: str, delimiters: Delimiters, charset: str) -> tuple[Coding, ...]:
    """The codings of the first repetition of a field as written, those without code and name
    left out."""
    parts = _components(raw, delimiters, charset)
    triplets = (parts[start : start + 3] for start in _TRIPLETS)
    padded = ((*triplet, "", "", "")[:3] for triplet in triplets)
    return tuple(Coding(*triplet) for triplet in padded if triplet[0] or triplet[1])


@_remembered
def read_coded_text(raw: str, delimiters: Delimiters, charset: str) -> str:
    """What a person would read: the text, else the original text, the alternate text, the
    code, the alternate code."""
    parts = _components(raw, delimiters, charset)
    readable = (parts[position] for position in _READABLE if position < len(parts))
    return next((part for part in readable if part), "")


@_remembered
def read_unit(raw: str, delimiters: Delimiters, charset: str) -> str:
    """OBX-6: the unit's identifier (``mg/dL^milligram per decilitre^UCUM``), or its text where
    only that is sent (``^umol/L``) or the identifier is a mere number (``266016^mmHg``).

    A power of ten whose ``^`` the sender did not escape (``10^3/uL``) is one unit, as sent."""
    if delimiters.component == "^" and (power := _UNESCAPED_POWER.match(raw)):
        return unescape(power.group(), delimiters, charset).strip()
    code, text = (*_components(raw, delimiters, charset), "")[:2]
    return text if text and (not code or code.isdigit()) else code


def _components(raw: str, delimiters: Delimiters, charset: str) -> list[str]:
    first = raw.partition(delimiters.repetition)[0]
    parts = [
        unescape(part, delimiters, charset).strip() for part in first.split(delimiters.component)
    ]
    return ["" if part == '""' else part for part in parts]
