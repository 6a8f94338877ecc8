"""Units of measure: compared, never converted (SPEC114 table 9: upper and lower case are free)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

# Written differently, the same unit: UCUM's ``10*3/uL`` and table 9's ``10^3/uL``.
_SAME = str.maketrans(
    {"µ": "u", "μ": "u", "*": "^", "×": "x", "／": "/", "％": "%", " ": None, "\u3000": None}
)


@lru_cache(maxsize=4096)
def unit_key(unit: str) -> str:
    """A form under which two spellings of one unit are equal: blanks, case, µ and ``*`` folded."""
    key = unit.translate(_SAME).casefold()
    return key[1:] if key.startswith("x10") else key


def same_unit(one: str, other: str) -> bool:
    """Whether both texts write the same unit. Two empty texts are the same."""
    return one == other or unit_key(one) == unit_key(other)


def is_accepted(unit: str, accepted: Iterable[str]) -> bool:
    """Whether ``unit`` is on the official list of an item; an empty list accepts all."""
    keys = [unit_key(other) for other in accepted]
    return not keys or unit_key(unit) in keys
