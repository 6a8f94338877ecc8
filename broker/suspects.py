"""Which receipts were being worked on when the service died.

A file in the data folder, written before each batch and emptied after it; not synchronised, since
it is there for a process that dies and not for a machine. What stood in it at the start is read
apart and alone, so that a payload that ends the service does so a few times and not for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

MOST_DEATHS = 5
"""A receipt that was being worked on at so many deaths in a row is not tried again by itself."""


class Suspects:
    """``folder`` is the data folder; without one nothing is remembered."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "being-read" if folder is not None else None
        self._deaths = _read(self._path) if self._path is not None else {}
        self._is_empty = not self._deaths

    def deaths(self, receipt_id: int) -> int:
        """At how many deaths in a row it was being worked on."""
        return self._deaths.get(receipt_id, 0)

    def begin(self, receipt_ids: Sequence[int]) -> None:
        """They are worked on from now on. A suspect is read apart first: what the service dies of
        meanwhile is not its doing."""
        self._write({number: self.deaths(number) or 1 for number in receipt_ids})

    def resume(self, receipt_id: int) -> None:
        """A suspect has been read apart; from now on it is worked on in the service itself."""
        self._write({receipt_id: self.deaths(receipt_id) + 1})

    def _write(self, deaths: Mapping[int, int]) -> None:
        if self._path is None:
            return
        lines = [f"{number} {count}\n" for number, count in deaths.items()]
        # A full disk costs the service this knowledge and nothing else.
        with suppress(OSError):
            self._path.write_text("".join(lines), "ascii")
            self._is_empty = False

    def end(self, receipt_ids: Sequence[int] = ()) -> None:
        """All that was begun is done; those named are suspects no more."""
        for number in receipt_ids:
            self._deaths.pop(number, None)
        if self._path is not None and not self._is_empty:
            with suppress(OSError):
                self._path.write_text("", "ascii")
                self._is_empty = True


def _read(path: Path) -> dict[int, int]:
    """Torn or foreign lines are no suspects."""
    found: dict[int, int] = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in path.read_text("ascii").splitlines():
            parts = line.split()
            if len(parts) == 2 and all(part.isdigit() for part in parts):
                found[int(parts[0])] = int(parts[1])
    return found
