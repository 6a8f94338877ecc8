"""Where the columns of a file of fixed width begin, as far as the blanks between them tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_LINES = 300


def column_ranges(lines: Sequence[bytes]) -> list[tuple[int, int]]:
    """Ranges of bytes from 0, each to the beginning of the next: a column begins where some line
    has text behind bytes that are blank in all lines."""
    sample = [line.rstrip() for line in lines[:_LINES] if line.strip()]
    width = max(map(len, sample), default=0)
    blank = [all(line[at : at + 1] in (b" ", b"") for line in sample) for at in range(width)]
    starts = [at for at in range(width) if not blank[at] and (at == 0 or blank[at - 1])]
    return list(zip(starts, [*starts[1:], width], strict=True))


def is_fixed_width(lines: Sequence[bytes]) -> bool:
    """Whether the lines are mostly of one length, or line up in several columns."""
    sample = [line.rstrip(b"\r\n\x1a") for line in lines[:_LINES] if line.strip()]
    if len(sample) < 2:
        return False
    _, most = Counter(map(len, sample)).most_common(1)[0]
    return most * 10 >= len(sample) * 8 or len(column_ranges(sample)) >= 4
