"""What was found right before: a file says the same things of its orders again and again.

A record is known to be right when a record that differs from it only in values that no rule sets
against another value was right, and those values are right by themselves. Whatever is not known
is left to the rules; of what is wrong nothing is ever remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import getitem, itemgetter
from typing import Any, NamedTuple, TypeAlias

from mapping.national_id import is_valid_national_id
from mapping.record import Fields, PlacedFields, UploadRecord, plain_values
from mapping.rules.plan import FieldPlan, RecordPlan, RememberedCheck

ALONE = frozenset(
    {
        *("h5", "h9", "h10", "h17", "h18", "h19", "h21", "h22", "h28", "h29", "h30"),
        *("r4", "r6-1", "r6-2", "r7", "r9", "r10", "r11", "r13", "r14"),
        *(f"r8-{number}" for number in range(1, 10)),
    }
)
"""No rule sets the value of these against another one; only that they are there may matter, and
that dates are not in the future. Where an order's results are words, r4 is told apart."""
_SHORTENED = frozenset({"h7", "h16", "h20"})  # whether Z000, the day, the day
_PAST = frozenset({"h5", "h10", "h11", "h20", "h21", "r10", "r14"})
_NEEDED = frozenset({"h1", "h5", "h7", "h9", "h15", "h20"})
_MOST = 4096

_Texts: TypeAlias = tuple[str, ...]
_Pick: TypeAlias = Callable[[_Texts], _Texts]
_Checks: TypeAlias = tuple[RememberedCheck, ...]


class _RowShape(NamedTuple):
    """Rows with the same tags: ``key`` takes out what decides, r1 first; ``right`` holds the keys
    of rows that were right."""

    key: _Pick
    past: _Pick
    checks: _Checks
    right: set[_Texts]


class _HeaderShape(NamedTuple):
    """Headers with the same tags; ``right`` gives the checks and rows for each key."""

    key: _Pick
    past: _Pick
    at: tuple[int, int, int, int]
    """Where h7, h16, h20 and h9 stand."""
    right: dict[tuple[Any, ...], tuple[_Checks, dict[_Texts, _RowShape]]]


class CleanRecords:
    """The right records of the daily layout seen so far in one context. ``today`` is a ROC day."""

    def __init__(self, today: str) -> None:
        self._today = today
        self._headers: dict[tuple[bool, _Texts], _HeaderShape] = {}
        self._rows: dict[tuple[Any, ...], dict[_Texts, _RowShape]] = {}

    def knows(self, record: UploadRecord) -> bool:
        """Whether the rules would find nothing in ``record``; ``False`` where it is not known."""
        header = record.header
        tags, texts = _parts(header)
        shape = self._headers.get((type(header) is PlacedFields, tags))
        if shape is None:
            return False
        key, past, (serial, uploaded, collected, person), right = shape
        is_open = texts[serial] == "Z000"
        known = right.get((key(texts), is_open, texts[uploaded][:7], texts[collected][:7]))
        if known is None:
            return False
        checks, row_shapes = known
        today = self._today
        if (
            any(map(getitem, checks, texts))
            or max(past(texts))[:7] > today
            or not is_valid_national_id(texts[person])
        ):
            return False
        numbers = set()
        for row in record.rows:
            tags, texts = _parts(row)
            row_shape = row_shapes.get(tags)
            if row_shape is None:
                return False
            key, past, checks, right_rows = row_shape
            found = key(texts)
            if (
                found not in right_rows
                or any(map(getitem, checks, texts))
                or max(past(texts))[:7] > today
            ):
                return False
            numbers.add(found[0])
        return len(numbers) == len(record.rows) > 0

    def learn(self, record: UploadRecord, plan: RecordPlan, with_results: bool) -> None:
        """Remember ``record``, in which the rules found nothing. ``with_results``: some results
        of this order are checked against a list of words."""
        tags, texts = _parts(record.header)
        if not _NEEDED.issubset(tags):
            return
        is_read = type(record.header) is PlacedFields
        if len(self._headers) >= _MOST or len(self._rows) >= _MOST:
            self._headers.clear()
            self._rows.clear()
        shape = self._headers.get((is_read, tags))
        if shape is None:
            shape = self._headers[is_read, tags] = _header_shape(tags)
        order = (is_read, id(plan.row), record.value("h1"), record.value("h15"))
        row_shapes = self._rows.setdefault(order, {})
        for row in record.rows:
            row_tags, row_texts = _parts(row)
            if row_tags not in row_shapes:
                made = _row_shape(row_tags, plan.row, with_results)
                if made is None:
                    return
                row_shapes[row_tags] = made
            right_rows = row_shapes[row_tags].right
            if len(right_rows) >= _MOST:
                right_rows.clear()
            right_rows.add(row_shapes[row_tags].key(row_texts))
        if len(shape.right) >= _MOST:
            shape.right.clear()
        shape.right[_header_key(shape, texts)] = (_checks(tags, plan.header), row_shapes)


def _parts(fields: Fields) -> tuple[_Texts, _Texts]:
    if type(fields) is PlacedFields:
        return fields.tags, fields.texts
    plain = plain_values(fields)
    return tuple(plain), tuple(plain.values())


def _header_key(shape: _HeaderShape, texts: _Texts) -> tuple[Any, ...]:
    serial, uploaded, collected, _ = shape.at
    return (
        shape.key(texts),
        texts[serial] == "Z000",
        texts[uploaded][:7],
        texts[collected][:7],
    )


def _header_shape(tags: _Texts) -> _HeaderShape:
    key = [tag for tag in tags if tag not in ALONE and tag not in _SHORTENED]
    # Before sealing there is no h16; h20 is told apart by its day anyhow.
    uploaded = tags.index("h16" if "h16" in tags else "h20")
    at = (tags.index("h7"), uploaded, tags.index("h20"), tags.index("h9"))
    return _HeaderShape(_pick(tags, key), _pick(tags, _past(tags)), at, {})


def _row_shape(tags: _Texts, plan: FieldPlan, with_results: bool) -> _RowShape | None:
    past = _past(tags)
    if "r1" not in tags or not past:
        return None
    key = [tag for tag in tags if tag not in ALONE or (tag == "r4" and with_results)]
    key.sort(key=lambda tag: tag != "r1")
    return _RowShape(_pick(tags, key), _pick(tags, past), _checks(tags, plan), set())


def _past(tags: _Texts) -> list[str]:
    return [tag for tag in tags if tag in _PAST]


def _checks(tags: _Texts, plan: FieldPlan) -> _Checks:
    return tuple(plan.checks[tag] for tag in tags)


def _pick(tags: _Texts, wanted: list[str]) -> _Pick:
    """Takes the texts of ``wanted`` out of those of ``tags``."""
    places = [tags.index(tag) for tag in wanted]
    # Of a single place ``itemgetter`` would give a text instead of a tuple.
    return itemgetter(*places, places[-1])
