"""What all tables are once they are open: rows of texts, whatever kind of file they came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Rows: TypeAlias = Iterator[tuple[int, list[str], str]]
"""``(number, cells, fault)``. Rows count from 1 as a person sees them. ``fault`` is ``""``, or the
code of a finding for which the row cannot be used."""

UNCOMPUTED = "table-formula-uncomputed"
CELL_ERROR = "table-cell-error"
CUT_CHARACTER = "table-cut-character"
