"""Where the columns of a file of fixed width begin, as far as the blanks between them tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date

_LINES = 300
_ROC = 1911


def column_ranges(lines: Sequence[bytes]) -> list[tuple[int, int]]:
    """Ranges of bytes from 0, each to the beginning of the next: a column begins where some line
    has text behind bytes that are blank in all lines."""
    sample = [line.rstrip() for line in lines[:_LINES] if line.strip()]
    width = max(map(len, sample), default=0)
    blank = [all(line[at : at + 1] in (b" ", b"") for line in sample) for at in range(width)]
    starts = [at for at in range(width) if not blank[at] and (at == 0 or blank[at - 1])]
    return list(zip(starts, [*starts[1:], width], strict=True))


def split_ranges(
    lines: Sequence[bytes], ranges: Sequence[tuple[int, int]], today: date
) -> list[tuple[int, int]]:
    """``ranges`` with those parted whose columns stand close together, as far as their shape tells:
    a national id, a date or a recent time (ROC), an institution code, in all lines."""
    sample = [line for line in lines[:_LINES] if line.strip()]
    pieces = _pieces(today)
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        start = first
        while True:
            cells = [cell for line in sample if (cell := line[start:last].rstrip())]
            width = next((n for shape, n in pieces if cells and all(map(shape.match, cells))), 0)
            if not width or start + width >= last or all(len(cell) <= width for cell in cells):
                break
            found.append((start, start + width))
            start += width
        found.append((start, last))
    return found


def _pieces(today: date) -> tuple[tuple[re.Pattern[bytes], int], ...]:
    """Shapes and widths, the most telling first."""
    years = "|".join(f"{today.year - back - _ROC:03}" for back in range(3))
    day = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    time = r"(?:[01][0-9]|2[0-3])[0-5][0-9]"
    shapes = (
        (r"[A-Z][12A-D89][0-9]{8}", 10),
        (rf"(?:{years}){day}{time}[0-5][0-9](?![0-9])", 13),
        (rf"(?:{years}){day}{time}", 11),
        (rf"[01][0-9]{{2}}{day}", 7),
        (r"[0-9A-Z]{2}[0-9]{8}(?![0-9])", 10),
    )
    return tuple((re.compile(shape.encode()), width) for shape, width in shapes)


def is_fixed_width(lines: Sequence[bytes]) -> bool:
    """Whether the lines are mostly of one length, or line up in several columns."""
    sample = [line.rstrip(b"\r\n\x1a") for line in lines[:_LINES] if line.strip()]
    if len(sample) < 2:
        return False
    _, most = Counter(map(len, sample)).most_common(1)[0]
    return most * 10 >= len(sample) * 8 or len(column_ranges(sample)) >= 4
