"""Where in a TOML text a table or key stands, so that an error can name the line."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*[.=]""")


def line_of(text: str, table: tuple[str, ...], entry: int, key: str = "") -> int | None:
    """The line (from 1) of ``key`` in ``table``, or of the table's header when the key is not
    found; ``entry`` counts the ``[[…]]`` entries of the outermost table from 0.

    Values over several lines are not understood, only skipped over: the answer is a pointer for
    people, None when there is none.
    """
    current: tuple[str, ...] = ()
    entries: dict[str, int] = {}
    header_line: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            current = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[" and len(current) == 1:
                entries[current[0]] = entries.get(current[0], -1) + 1
            if _inside(current, table, entries, entry):
                if key and current == (*table, key):
                    return number
                if current == table:
                    header_line = header_line or number
            continue
        if key and current == table and _inside(current, table, entries, entry):
            found = _KEY.match(line)
            if found and (found[1] or found[2] or found[3]) == key:
                return number
    return header_line


def _inside(
    current: tuple[str, ...], table: tuple[str, ...], entries: dict[str, int], entry: int
) -> bool:
    outermost = table[0] if table else ""
    return current[: len(table[:1])] == table[:1] and entries.get(outermost, entry) == entry
