"""Text that fits the upload file: CP950 bytes, XML specials full-width, lengths by two counts.

SPEC114 names five characters that must be sent full-width in the free texts (pp. 7-14). The
file is Big5 as Taiwan's Windows writes it, CP950. Python's ``cp950`` codec silently folds nine
characters onto look-alikes when it encodes (``•`` becomes ``‧``); here a character counts as
encodable only when it comes back as itself. Private-use characters (造字) are never encodable:
only the sender's own computer knows their shape. The euro sign is (0xA3E1).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from mapping.catalogue.tables import read_table
from mapping.finding import Finding

TEXT_TAGS = frozenset(
    ("h22", "r2", "r3", "r4", "r5", "r6-1", "r6-2", "r7", "r11", *(f"r8-{n}" for n in range(1, 10)))
)
"""The fields in which the five XML specials go full-width (SPEC114 pp. 7-14)."""

XML_SPECIALS = {"<": "＜", ">": "＞", "&": "＆", '"': "”", "'": "’"}
"""U+FF02 and U+FF07 are not in Big5, so the quotation marks that are stand for them."""

_XML_SPECIALS = str.maketrans(XML_SPECIALS)
_SPECIAL = frozenset(XML_SPECIALS)


def fit_text(text: str, tag: str) -> tuple[str, tuple[Finding, ...]]:
    """``text`` as field ``tag`` may carry it, and a finding for each character that it cannot.

    Applies the full-width rule, then the substitution table, then canonical equivalence
    (Unicode NFC of the single character). A character that still has no code stays where it is
    and gives one ``unencodable-character`` finding with its code point: never dropped, never
    replaced by a question mark.
    """
    if tag in TEXT_TAGS and not _SPECIAL.isdisjoint(text):
        text = text.translate(_XML_SPECIALS)
    if text.isascii() and text.isprintable():
        return text, ()
    text = _substitute(text, tag)
    return text, tuple(unencodable_finding(character, tag, text) for character in unencodable(text))


def unencodable(text: str) -> tuple[str, ...]:
    """The distinct characters of ``text`` that the upload file cannot carry, in their order."""
    if is_encodable(text):
        return ()
    return tuple(dict.fromkeys(char for char in text if char not in _encodable()))


def is_encodable(text: str) -> bool:
    """Whether every character comes back from the upload file as itself."""
    return (text.isascii() and text.isprintable()) or _all_encodable()(text) is not None


def unencodable_finding(character: str, tag: str, value: str, place: str = "") -> Finding:
    """The finding that names a character as ``U+XXXX``."""
    name = unicodedata.name(character, "unnamed")
    return Finding(
        "unencodable-character",
        field=tag,
        place=place,
        value=value,
        parameters=(("character", f"U+{ord(character):04X}"), ("name", name)),
    )


def encode(text: str) -> bytes:
    """CP950 bytes. Raises ``ValueError`` without the text when a character has no code."""
    try:
        data = text.encode("cp950")
    except UnicodeEncodeError as error:
        raise ValueError(f"U+{ord(text[error.start]):04X} has no CP950 code") from None
    if len(data) != len(text) and data.decode("cp950") != text:
        folded = next(char for char in unencodable(text) if char.isprintable())
        raise ValueError(f"U+{ord(folded):04X} has no CP950 code of its own")
    return data


def cp950_length(text: str) -> int:
    """Bytes in the file; a character without a code counts as two."""
    return len(text) if text.isascii() else sum(1 if char < "\x80" else 2 for char in text)


def official_length(text: str) -> int:
    """The count of SPEC114 p. 2: a Chinese or full-width character is 4, ASCII 1."""
    return len(text) if text.isascii() else sum(1 if char < "\x80" else 4 for char in text)


@cache
def _encodable() -> frozenset[str]:
    """Tab, line feed, ASCII and the double-byte characters that CP950 gives back unchanged."""
    single = ("\t", "\n", *map(chr, range(0x20, 0x80)))
    double = set()
    for lead in range(0x81, 0xFF):
        for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            try:
                double.add(bytes((lead, trail)).decode("cp950"))
            except UnicodeDecodeError:
                continue
    return frozenset(single) | double


@cache
def _all_encodable() -> Callable[[str], object]:
    # A set of characters in a pattern is one bitmap: checking a text is one call.
    return re.compile(f"[{re.escape(''.join(sorted(_encodable())))}]*").fullmatch


def _substitute(text: str, tag: str) -> str:
    pattern, outputs = _substitutions(tag == "r5")
    text = pattern.sub(lambda match: outputs[match.group()], text)
    return "".join(map(_canonical, text)) if unencodable(text) else text


def _canonical(character: str) -> str:
    if is_encodable(character):
        return character
    same = unicodedata.normalize("NFC", character)
    return same if same != character and not unencodable(same) else character


@cache
def _substitutions(unit: bool) -> tuple[re.Pattern[str], dict[str, str]]:
    outputs = {
        _spelled(row["written"]): _spelled(row["output"])
        for row in read_table("substitutions")
        if not row["fields"] or unit
    }
    longest_first = sorted(outputs, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), outputs


def _spelled(cell: str) -> str:
    return re.sub(r"U\+([0-9A-F]{4,6}) ?", lambda match: chr(int(match.group(1), 16)), cell)
