"""Cuts printed lines into cells by the ruler of the report.

The ruler is counted in bytes of CP950, as a Big5 printer counts: a full-width character takes
two. Whether the real printer counts characters instead is not public, so both are tried: the right
measure leaves the gaps between columns blank and lets values begin right behind their flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

_RULER = re.compile(r" *=+(?: +=+)+ *")
_RUN = re.compile(r"=+")


class Measure(Enum):
    """What one column of the ruler holds."""

    BYTES = "bytes"
    CHARACTERS = "characters"

    def length(self, text: str) -> int:
        """Columns that ``text`` takes."""
        return cp950_columns(text) if self is Measure.BYTES else len(text)


def cp950_columns(text: str) -> int:
    """Two for each character beyond ASCII, one for a byte without meaning."""
    if text.isascii():
        return len(text)
    return 2 * len(text) - len(_NARROW.findall(text))


_NARROW = re.compile("[\x00-\x7f\udc80-\udcff]")
# Each full-width character is followed by a filler: positions then count bytes.
_FILLER = "\x00"
_AFTER_WIDE = re.compile("(?<=[^\x00-\x7f\udc80-\udcff])")


def is_ruler(line: str) -> bool:
    """Runs of ``=`` and blanks, two runs at least."""
    return _RULER.fullmatch(line) is not None


@dataclass(frozen=True, slots=True)
class Columns:
    """``spans`` are (start, end) of each run of the ruler; the last cell is open to the right."""

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of_ruler(cls, line: str) -> Columns:
        """The columns of a ruler line."""
        return cls(tuple(match.span() for match in _RUN.finditer(line)))

    def widths(self) -> tuple[int, ...]:
        """Width of each column, flag character included."""
        return tuple(end - start for start, end in self.spans)

    def cut(self, line: str, measure: Measure) -> tuple[str, ...] | None:
        """The cells, flag character first; None when the line does not fit the columns.

        A ``*`` in the blank before a cell counts as its flag.
        """
        if measure is Measure.BYTES and not line.isascii():
            line = _AFTER_WIDE.sub(_FILLER, line)
        found = _plain_line(self.spans).match(line.ljust(self.spans[-1][0]))
        if found is None:
            return self._cut(line)
        cells = found.groups()
        if _FILLER not in line:
            return cells
        if any(cell.startswith(_FILLER) for cell in cells):
            return None
        return tuple(cell.replace(_FILLER, "") for cell in cells)

    def _cut(self, line: str) -> tuple[str, ...] | None:
        if line[: max(self.spans[0][0] - 1, 0)].strip():
            return None
        cells = []
        previous_end = max(self.spans[0][0] - 1, 0)
        for start, end in self.spans:
            cell = line[start:] if end == self.spans[-1][1] else line[start:end]
            gap = line[previous_end:start].strip(" ")
            if gap not in ("", "*") or cell.startswith(_FILLER):
                return None
            if gap and cell[:1] in ("", " "):
                cell = "*" + cell[1:]
            previous_end = end
            cells.append(cell.replace(_FILLER, ""))
        return tuple(cells)


@lru_cache(maxsize=64)
def _plain_line(spans: tuple[tuple[int, int], ...]) -> re.Pattern[str]:
    """Matches a line with nothing between its cells, each cell a group."""
    parts = [f" {{{spans[0][0]}}}"]
    for (start, end), (following, _) in pairwise((*spans, (spans[-1][1], 0))):
        if (start, end) == spans[-1]:
            parts.append("(.*)")
        else:
            parts.append(f"(.{{{end - start}}}) {{{following - end}}}")
    return re.compile("".join(parts), re.DOTALL)


def likelier_measure(lines: Iterable[str], columns: Columns) -> Measure:
    """The measure by which the cells of all lines stand better in their columns; bytes when
    equal."""
    misfits = dict.fromkeys(Measure, 0)
    for line in lines:
        if not line.isascii():
            for measure in Measure:
                misfits[measure] += _misfits(columns.cut(line, measure))
    return min(Measure, key=lambda measure: misfits[measure])


def _misfits(cells: tuple[str, ...] | None) -> int:
    """Cells whose value does not begin right behind the flag; many for a line that is not cut."""
    if cells is None:
        return 10
    return sum(
        cell[:1] not in (" ", "*") or cell[1:2] in (" ", "*") for cell in cells if cell.strip(" *")
    )
