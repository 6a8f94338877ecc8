"""Reads the CSV tables beside this module: ``#`` lines with the source, a header, the rows."""

from __future__ import annotations

import csv
from importlib import resources


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of ``mapping/catalogue/<name>.csv`` without its comment lines."""
    text = (resources.files("mapping") / "catalogue" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if line[:1] != "#"))


def split_cell(cell: str) -> tuple[str, ...]:
    """The values of a cell, which are separated by ``|``."""
    return tuple(cell.split("|")) if cell else ()
