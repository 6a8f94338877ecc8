"""Long report texts: one text over r7 or r8-1 and its continuations r8-2 … r8-9.

SPEC114 pp. 13-14: each of the nine fields holds 4000 bytes. How a Chinese character counts is
told twice there, four bytes by its own rule (p. 2) and two in the file (CP950).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mapping.big5 import cp950_length, official_length

FIELD_LIMIT = 4000
_CONTINUED = tuple(f"r8-{number}" for number in range(2, 10))
NARRATIVE_TYPES = frozenset(("2", "3"))
"""Report types (h1) whose result is one text: imaging and pathology."""
_TAGS = {"2": ("r7", *_CONTINUED), "3": ("r8-1", *_CONTINUED)}
# How far back from the end of a full field a break between two visible characters is looked for.
_SEARCHED = 200


def text_tags(report_type: str) -> tuple[str, ...]:
    """The nine fields of report type 2 or 3 in their order; empty for the other types."""
    return _TAGS.get(report_type, ())


def split_text(text: str, report_type: str) -> dict[str, str] | None:
    """``text`` over the fields of report type ``"2"`` or ``"3"``; ``None`` when it does not fit.

    Each part keeps the official count where the whole fits by it, else the CP950 count (the
    checks then warn of the official one). Parts break between two characters, if possible where
    neither is white space, so that a reader who trims fields loses nothing. The parts joined are
    the text.
    """
    tags = text_tags(report_type)
    if len(text) * 4 <= FIELD_LIMIT:
        return {tags[0]: text} if text else {}
    for measure in (official_length, cp950_length):
        for searched in (_SEARCHED, 0):
            parts = _parts(text, measure, searched)
            if len(parts) <= len(tags):
                return dict(zip(tags, parts, strict=False))
    return None


def joined_text(values: Mapping[str, str]) -> str:
    """The whole text of a row by its values (by tag)."""
    tags = ("r7" if values.get("r7") else "r8-1", *_CONTINUED)
    return "".join(values.get(tag, "") for tag in tags)


def _parts(text: str, measure: Callable[[str], int], searched: int) -> list[str]:
    parts = []
    while text:
        end = _fitting(text, measure)
        if end < len(text):
            end = _better_break(text, end, searched)
        parts.append(text[:end])
        text = text[end:]
    return parts


def _fitting(text: str, measure: Callable[[str], int]) -> int:
    """How many characters of ``text`` one field holds."""
    wide = measure("一")
    room, end = FIELD_LIMIT, 0
    for character in text[:FIELD_LIMIT]:
        room -= 1 if character < "\x80" else wide
        if room < 0:
            break
        end += 1
    return end


def _better_break(text: str, end: int, searched: int) -> int:
    for place in range(end, max(0, end - searched), -1):
        if not (text[place - 1].isspace() or text[place].isspace()):
            return place
    return end
