"""A PIN that is used once, and the count of those that were wrong.

Three wrong PINs lock a card, so nothing here ever tries one by itself: an entry is spent by the
one call that it was typed for, and the count is on disk *before* that call, so that neither a
crash nor a hang makes a try that nobody has counted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from adapters.ports.card_state import TriesLeft

HOLD_AT = 2
"""Wrong entries after which a person must say that the last try shall be used (HCA and NHI cards
lock at the third: csHis `hpcUnlockHPC`, CS513)."""
_LONGEST = 64
_FILE = "pin-tries.json"
_OTHERS = "*"


class Pin:
    """A PIN as typed. It shows itself to nothing but one call of :meth:`spend`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value[:_LONGEST]

    def spend(self) -> str:
        """The PIN; empty from the second call on."""
        value, self._value = self._value, ""
        return value

    @property
    def is_empty(self) -> bool:
        return not self._value

    def __repr__(self) -> str:
        return "<pin>"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return "<pin>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PIN is not written anywhere")


class PinTries:
    """Wrong entries for each card since the last right one, in a file of ``folder``.

    A card is named by the hash of its serial number. One process at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def wrong_entries(self, serial: str) -> int:
        """How many PINs of this card were not accepted; a try that never ended is one of them."""
        return _count(self._read(), _key(serial))

    def begin(self, serial: str) -> None:
        """A try begins: count it as wrong until the card says otherwise. Raises ``OSError``."""
        counts = self._read()
        counts[_key(serial)] = _count(counts, _key(serial)) + 1
        self._write(counts)

    def accepted(self, serial: str) -> None:
        """The card took the PIN. Raises ``OSError``."""
        counts = self._read()
        counts[_key(serial)] = 0
        self._write(counts)

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text("ascii"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            # A torn file must not be read as "no wrong PIN yet".
            return {_OTHERS: HOLD_AT}
        return {str(key): int(count) for key, count in found.items() if isinstance(count, int)}

    def _write(self, counts: Mapping[str, int]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="ascii") as file:
            json.dump(dict(counts), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def is_held(wrong_entries: int, tries: TriesLeft) -> bool:
    """Whether the next try may be the last one."""
    return wrong_entries >= HOLD_AT or tries is TriesLeft.ONE


def _count(counts: Mapping[str, int], key: str) -> int:
    return counts.get(key, counts.get(_OTHERS, 0))


def _key(serial: str) -> str:
    return hashlib.sha256(serial.encode()).hexdigest()[:32]
