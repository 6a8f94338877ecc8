"""Which face writes which character: Helvetica what is Latin, MSung-Light the rest. Every reader
of PDF knows both, so that no font file is embedded.

MSung-Light has the characters of Adobe-CNS1, which are those of CP950 and HKSCS and some five
thousand more. One that may be missing is followed by its number (``[U+20BB7]``): a reader without
it shows a box, and a unit or a name must not be guessed from a box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import CIDFont, UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import stringWidth

HAN = "MSung-Light"
LATIN = "Helvetica"
UNSURE = "缺字以 [U+…] 註明其 Unicode 碼。"
"""Said at the end of a document in which a character may be missing."""
_LATIN = re.compile("[\x20-\x7e\xa1-\xff]+")
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# MODIFIER LETTER MACRON: in CP950, and not in Adobe-CNS1 as readers map it.
_NOT_THERE = "\u02c9"


class _Sung(UnicodeCIDFont):  # type: ignore[misc]
    """reportlab 5.1 writes this face with a CMap of the simplified collection (UniGB-UCS2-H), which
    readers refuse or fill with other characters; this is the one of Adobe-CNS1, in UTF-16."""

    def __init__(self) -> None:
        super().__init__(HAN)
        CIDFont.__init__(self, HAN, "UniCNS-UCS2-H")
        self.name = self.fontName = HAN
        self.encodingName = self.encoding.name = "UniCNS-UTF16-H"


@lru_cache(maxsize=1)
def register_faces() -> None:
    """Make both known to reportlab."""
    pdfmetrics.registerFont(_Sung())
    for face in (HAN, LATIN):
        pdfmetrics.registerFontFamily(face, face, face, face, face)


def without_controls(text: str) -> str:
    """Control characters, which no face has, as boxes."""
    return _CONTROL.sub("\u25a1", text)


def is_latin(text: str) -> bool:
    """Whether Helvetica alone can write it."""
    return _LATIN.fullmatch(text) is not None


def is_sure(character: str) -> bool:
    """Whether every reader has the character, in one face or the other."""
    if _LATIN.fullmatch(character):
        return True
    if character == _NOT_THERE or "\ue000" <= character <= "\uf8ff":
        return False
    return _has("cp950", character) or _has("big5hkscs", character)


def runs(text: str) -> Iterator[tuple[str, str]]:
    """The text without controls as ``(face, part)``, in its order; unsure characters with their
    numbers."""
    at, shown = 0, without_controls(text)
    for match in _LATIN.finditer(shown):
        if match.start() > at:
            yield from _han(shown[at : match.start()])
        yield LATIN, match[0]
        at = match.end()
    if at < len(shown):
        yield from _han(shown[at:])


def is_all_sure(text: str) -> bool:
    """Whether no character of it may be missing."""
    return text.isascii() or all(_is_sure(each) for each in set(without_controls(text)) - {"\n"})


def width_of(text: str, size: float) -> float:
    """In points."""
    return sum(float(stringWidth(part, face, size)) for face, part in runs(text))


def _han(text: str) -> Iterator[tuple[str, str]]:
    part = ""
    for character in text:
        part += character
        if character != "\n" and not _is_sure(character):
            yield HAN, part
            yield LATIN, f"[U+{ord(character):04X}]"
            part = ""
    if part:
        yield HAN, part


@lru_cache(maxsize=4096)
def _is_sure(character: str) -> bool:
    return is_sure(character)


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
