"""An upload record: one ``hdata`` with its ``rdata`` rows, each field with its provenance.

Fields are keyed by the tag of the format (``h15``, ``r6-1``); which tags exist, in which order,
how long and when required is the edition's data (``mapping/editions``), not this module's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Field:
    """A value as it will be uploaded and where it came from.

    ``origin`` names the place: ``OBX[3]-5``, ``visit.card_at``, ``profile.default_unit``,
    ``report-items``, ``agreement``, ``intake.received_at``. A value that was assumed rather than
    read starts with ``assumed:``.
    """

    value: str
    origin: str


Fields: TypeAlias = Mapping[str, Field]


class PlacedFields(Mapping[str, Field]):
    """Fields that were all read at one place: plain values, each a :class:`Field` when asked for.

    ``tags`` and ``texts`` go together, none empty; whoever reads a whole file needs no more.
    """

    __slots__ = ("_place", "_plain", "tags", "texts")

    def __init__(self, tags: tuple[str, ...], texts: tuple[str, ...], place: str) -> None:
        self.tags = tags
        self.texts = texts
        self._place = place
        self._plain: dict[str, str] | None = None

    @property
    def plain(self) -> dict[str, str]:
        """The values by tag; the caller must not change the answer."""
        if self._plain is None:
            self._plain = dict(zip(self.tags, self.texts, strict=True))
        return self._plain

    def __getitem__(self, tag: str) -> Field:
        return Field(self.plain[tag], self._place)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tags)

    def __len__(self) -> int:
        return len(self.tags)

    def __contains__(self, tag: object) -> bool:
        return tag in self.tags


def plain_values(fields: Fields) -> dict[str, str]:
    """The values that are not empty, by tag; the caller must not change the answer."""
    if type(fields) is PlacedFields:
        return fields.plain
    return {tag: field.value for tag, field in fields.items() if field.value}


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """``header`` holds h-tags; each of ``rows`` holds r-tags. Empty fields are absent."""

    header: Fields
    rows: tuple[Fields, ...]

    def value(self, tag: str) -> str:
        """The header value of ``tag``, or ``""``."""
        if type(self.header) is PlacedFields:
            return self.header.plain.get(tag, "")
        field = self.header.get(tag)
        return field.value if field else ""


CORRECTION_KEY = ("h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h15", "h20")
"""Records that agree in these are versions of one order (SPEC114 table 7, p. 51)."""


def correction_key(record: UploadRecord) -> tuple[str, ...]:
    """The twelve values by which NHI replaces an earlier upload of the same order."""
    return tuple(record.value(tag) for tag in CORRECTION_KEY)


def replace_header(record: UploadRecord, fields: Fields) -> UploadRecord:
    """A copy of ``record`` with ``fields`` set in its header."""
    return UploadRecord({**record.header, **fields}, record.rows)


def record_to_json(record: UploadRecord) -> dict[str, Any]:
    """A plain structure for storage: ``{"h": {tag: [value, origin]}, "r": [{…}, …]}``."""
    return {"h": _pairs(record.header), "r": [_pairs(row) for row in record.rows]}


def record_from_json(data: Mapping[str, Any]) -> UploadRecord:
    """The inverse of :func:`record_to_json`."""
    return UploadRecord(_fields(data["h"]), tuple(_fields(row) for row in data["r"]))


def _pairs(fields: Fields) -> dict[str, list[str]]:
    return {tag: [field.value, field.origin] for tag, field in fields.items()}


def _fields(pairs: Mapping[str, Iterable[str]]) -> dict[str, Field]:
    return {tag: Field(*pair) for tag, pair in pairs.items()}


def all_fields(record: UploadRecord) -> Iterator[tuple[int, str, Field]]:
    """Each field as ``(row, tag, field)``; row 0 is the header, rows count from 1."""
    for tag, field in record.header.items():
        yield 0, tag, field
    for index, row in enumerate(record.rows, start=1):
        for tag, field in row.items():
            yield index, tag, field
