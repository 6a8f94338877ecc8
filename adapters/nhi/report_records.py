"""From the printed lines of one record to its fields.

A long text continues on further lines that nothing marks as such. So the lines are laid against
the rows of the layout in the way that fits best: a continuation has text only under free text
that filled its column on the line before, and no flag; a row's coded fields look like themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from adapters.nhi.report_columns import Measure
from adapters.nhi.report_layout import SHAPES
from mapping.verdict import CheckedRecord

Cells = Sequence[str]
Rows = tuple[tuple[str, ...], ...]

_CODE = re.compile(r"[0-9A-D][0-9]")
# A code that the format of today does not have; read only where a field is marked as wrong.
_ANY_CODE = re.compile(r"[0-9A-Z]{1,3}")
UNREAD_CODE = "??"
"""The code of a record with a marked field whose code cannot be read."""
_NEVER = float("-inf")
_ROWS_BEFORE_TEXT = 3


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Reads blocks of one report. ``candidates``: layouts to try; the best fit wins."""

    candidates: tuple[Rows, ...]
    widths: tuple[int, ...]
    measure: Measure

    def read(self, block: Sequence[Cells]) -> tuple[tuple[CheckedRecord, ...], bool]:
        """One record for each error code of ``block`` (one in all for a correct record), and
        whether all lines found their row. Otherwise the first rows, which hold the key, are read
        alone."""
        codes, body = _split_codes(block)
        rows = self.candidates[0]
        if len(self.candidates) == 1 and len(body) == len(rows) and _is_within(body, rows):
            # A line for each row is the only way to lay them.
            values, flagged = _plain_values(body, rows)
            marked = bool(flagged) or _is_marked(block[-1:])
            return _told(codes, values, flagged, marked=marked), True
        plans = [(*self._fit(body, rows), rows) for rows in self.candidates]
        score, plan, rows = max(plans, key=lambda entry: entry[0])
        whole = score > _NEVER
        if not whole:
            rows = self.candidates[0]
            plan = list(range(min(len(body), _ROWS_BEFORE_TEXT)))
        values, flagged = self._values(body, plan, rows)
        return _told(codes, values, flagged, marked=_is_marked(block)), whole

    def _fit(self, body: Sequence[Cells], rows: Rows) -> tuple[float, list[int]]:
        """The best score, and the row of each line."""
        if not body or len(body) < len(rows):
            return _NEVER, []
        best = [_NEVER] * len(rows)
        best[0] = _row_score(body[0], rows[0])
        steps: list[list[bool]] = []
        for index in range(1, len(body)):
            following = [_NEVER] * len(rows)
            began = [False] * len(rows)
            for number in range(min(index + 1, len(rows))):
                stay = enter = _NEVER
                if best[number] > _NEVER:
                    stay = best[number] + self._continuation_score(
                        body[index], body[index - 1], rows[number]
                    )
                if number and best[number - 1] > _NEVER:
                    enter = best[number - 1] + _row_score(body[index], rows[number])
                began[number] = enter >= stay
                following[number] = max(enter, stay)
            best = following
            steps.append(began)
        number = len(rows) - 1
        plan = [number]
        for began in reversed(steps):
            number -= began[number]
            plan.append(number)
        return best[-1], plan[::-1]

    def _continuation_score(self, cells: Cells, before: Cells, row: tuple[str, ...]) -> float:
        score, some = 0.0, False
        for column, cell in enumerate(cells):
            text = cell[1:].strip()
            if not cell.strip():
                continue
            previous = before[column]
            if cell[:1] == "*" or column >= len(row) or row[column] in SHAPES:
                return _NEVER
            if not previous[1:].strip():
                return _NEVER
            some = some or bool(text)
            score += 1 if self._is_full(previous, column) else -4
            score -= 8 * (cell[:1] != " ")
        return score if some else _NEVER

    def _is_full(self, cell: str, column: int) -> bool:
        """Not even another full-width character would have found room."""
        return self.measure.length(cell.rstrip()) >= self.widths[column] - (
            self.measure is Measure.BYTES
        )

    def _values(
        self, body: Sequence[Cells], plan: Sequence[int], rows: Rows
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        pieces: dict[str, list[str]] = {}
        columns: dict[str, int] = {}
        flagged: list[str] = []
        for cells, number in zip(body, plan, strict=False):
            for column, (tag, cell) in enumerate(zip(rows[number], cells, strict=False)):
                columns[tag] = column
                pieces.setdefault(tag, []).append(cell[1:])
                if cell[:1] == "*":
                    flagged.append(tag)
        values = {tag: self._join(texts, columns[tag]) for tag, texts in pieces.items()}
        return {tag: value for tag, value in values.items() if value}, tuple(flagged)

    def _join(self, pieces: Sequence[str], column: int) -> str:
        width = self.widths[column] - 1
        joined = ""
        for piece, following in pairwise((*pieces, "")):
            text = piece.rstrip(" ")
            missing = width - self.measure.length(text)
            # A single blank at the end is what a full-width character could not use.
            if following.strip() and (missing != 1 or following[0].isascii()):
                text += " " * missing
            joined += text
        return joined.strip()


def _told(
    codes: tuple[str, ...], values: dict[str, str], flagged: tuple[str, ...], *, marked: bool
) -> tuple[CheckedRecord, ...]:
    if not codes:
        codes = (UNREAD_CODE,) if marked else ("",)
    return tuple(CheckedRecord(values, flagged, code, values.get("r1", "")) for code in codes)


def _is_within(body: Sequence[Cells], rows: Rows) -> bool:
    """Whether no line has more cells than its row has fields."""
    return not any(
        cell.strip() for cells, row in zip(body, rows, strict=True) for cell in cells[len(row) :]
    )


def _plain_values(body: Sequence[Cells], rows: Rows) -> tuple[dict[str, str], tuple[str, ...]]:
    """What each row's one line says."""
    values: dict[str, str] = {}
    flagged: list[str] = []
    for cells, row in zip(body, rows, strict=True):
        for tag, cell in zip(row, cells, strict=False):
            text = cell[1:].strip()
            if text:
                values[tag] = text
            if cell[:1] == "*":
                flagged.append(tag)
    return values, tuple(flagged)


def _row_score(cells: Cells, row: tuple[str, ...]) -> float:
    score = 0.0
    for column, cell in enumerate(cells):
        text = cell[1:].strip()
        if not cell.strip():
            continue
        if column >= len(row):
            return _NEVER
        shape = SHAPES.get(row[column])
        flagged = cell[:1] == "*"
        if shape is not None and text:
            score += 2 if shape.fullmatch(text) else 0 if flagged else -6
        score -= 8 * (cell[:1] not in (" ", "*"))
    return score


def _split_codes(block: Sequence[Cells]) -> tuple[tuple[str, ...], Sequence[Cells]]:
    """The error codes and the lines before them; the last line holds them, if any line does."""
    if not block:
        return (), block
    words = " ".join(block[-1]).replace("*", " ").replace(",", " ").split()
    if not words:
        return (), block[:-1]
    shape = _ANY_CODE if _is_marked(block[:-1]) else _CODE
    if all(shape.fullmatch(word) for word in words):
        return tuple(dict.fromkeys(words)), block[:-1]
    return (), block


def _is_marked(block: Sequence[Cells]) -> bool:
    """Whether NHI marks a field: then the record is wrong, whatever else is printed of it."""
    return any(cell[:1] == "*" for cells in block for cell in cells)


def blocks_of(lines: Sequence[str]) -> Iterator[tuple[list[str], bool]]:
    """The lines between separators, each with whether a separator ends it."""
    block: list[str] = []
    for line in lines:
        if _is_separator(line):
            yield block, True
            block = []
        else:
            block.append(line)
    yield block, False


def _is_separator(line: str) -> bool:
    """133 hyphens; a tail of blanks and other page widths are let pass."""
    return line.startswith("-") and len(line.rstrip()) >= 100 and not line.rstrip().strip("-")
