"""Upload records out of text that is written as programs write it: the fast way of reading.

The records of one writer come in a few shapes: the same elements in the same order. Each shape is
compiled once into one pattern that takes a whole level, header or row, in one step. A pattern
allows no reference, attribute, comment, empty tag or control character and no element twice;
text that fits none is for :mod:`mapping.upload_tree`, which reads the same values or says why not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from mapping.record import PlacedFields, UploadRecord

RECORD_END = "</hdata>"
_ROW_START = "<rdata>"
_STRUCTURE = frozenset(("patient", "hdata", "rdata"))
_SPACE = "[ \\t\\n]*"
_VALUE = "([^<>&\\r\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800\\ufffe\\uffff]*)"
_TAG = re.compile("<([a-z][a-z0-9-]*)>")
_MOST_SHAPES = 256
_MOST_RECENT = 6
_MOST_FIELDS = 99

_Match: TypeAlias = Callable[[str], re.Match[str] | None]


class RecordShapes:
    """The shapes of one file so far."""

    def __init__(self) -> None:
        self._header = _LevelShapes(f"{_SPACE}<hdata>{_SPACE}", "", opened=1)
        self._row = _LevelShapes(_SPACE, f"</rdata>{_SPACE}", opened=0)

    def read(self, block: str, number: int) -> UploadRecord | None:
        """The record of ``block``, all before its ``</hdata>``, or ``None`` when the block is
        not plainly one record."""
        head, *rest = block.split(_ROW_START)
        place = f"hdata[{number}]"
        header = self._header.read(head, place)
        if header is None:
            return None
        rows = []
        for index, text in enumerate(rest, start=1):
            row = self._row.read(text, f"{place}/rdata[{index}]")
            if row is None:
                return None
            rows.append(row)
        return UploadRecord(header, tuple(rows))


class _LevelShapes:
    """The shapes of one level; of those with as many signs ``<`` the one that matched last is
    tried first."""

    def __init__(self, start: str, end: str, opened: int) -> None:
        self._start, self._end, self._opened = start, end, opened
        self._recent: dict[int, list[tuple[tuple[str, ...], _Match]]] = {}
        self._known: dict[tuple[str, ...], _Match | None] = {}

    def read(self, text: str, place: str) -> PlacedFields | None:
        recent = self._recent.get(text.count("<"))
        if recent is not None:
            for tags, match in recent:
                found = match(text)
                if found is not None:
                    if recent[0][0] is not tags:
                        recent.insert(0, recent.pop(recent.index((tags, match))))
                    values = found.groups()
                    if "" in values:
                        return _without_empty(tags, values, place)
                    return PlacedFields(tags, values, place)
        return self._read_other(text, place)

    def _read_other(self, text: str, place: str) -> PlacedFields | None:
        tags = tuple(_TAG.findall(text))[self._opened :]
        match = self._known.get(tags)
        if match is None:
            if tags in self._known or len(self._known) >= _MOST_SHAPES:
                return None
            match = self._known[tags] = self._compiled(tags)
        found = match(text) if match is not None else None
        if match is None or found is None:
            return None
        recent = self._recent.setdefault(text.count("<"), [])
        recent.insert(0, (tags, match))
        del recent[_MOST_RECENT:]
        return _without_empty(tags, found.groups(), place)

    def _compiled(self, tags: tuple[str, ...]) -> _Match | None:
        if len(set(tags)) < len(tags) or not _STRUCTURE.isdisjoint(tags):
            return None
        if len(tags) > _MOST_FIELDS:
            return None
        fields = (f"<{tag}>{_VALUE}</{tag}>{_SPACE}" for tag in tags)
        return re.compile(self._start + "".join(fields) + self._end).fullmatch


def _without_empty(tags: tuple[str, ...], values: tuple[str, ...], place: str) -> PlacedFields:
    if "" in values:
        tags = tuple(tag for tag, value in zip(tags, values, strict=True) if value)
        values = tuple(filter(None, values))
    return PlacedFields(tags, values, place)
