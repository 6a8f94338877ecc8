"""Whether the unit that a laboratory prints contradicts the UCUM code beside it.

``Quantity.unit`` and ``Quantity.code`` are two names of one unit (R4 datatypes.html#Quantity). Read
are the common units of laboratories (UCUM, section 4, and how people print them); what is not read
is never called a contradiction. Values are compared with nothing and converted by nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

_SAME: Final = str.maketrans(
    {"µ": "u", "μ": "u", "／": "/", "％": "%", "×": "x", "²": "2", "³": "3", "⁶": "6", "⁹": "9"}
    | {" ": None, "\u3000": None}
)
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")
_POWER_OF_TEN: Final = re.compile(r"x?10(?:[*^eE]([+-]?[0-9]{1,2}))")
_PREFIX: Final = {
    "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15,
}  # fmt: skip
# Electrolytes are printed in mEq and coded in mmol; enzymes in U and IU. Which of the two is right
# cannot be told from the names.
_ATOM: Final = {
    "g": "g", "mol": "mol", "eq": "mol", "Eq": "mol", "osm": "mol", "Osm": "mol", "L": "l",
    "l": "l", "m": "m", "U": "U", "IU": "U", "[iU]": "U", "[IU]": "U", "s": "s", "m[Hg]": "m[Hg]",
    "mHg": "m[Hg]", "Pa": "Pa", "kat": "kat",
}  # fmt: skip
_WORD: Final = {
    "%": (Fraction(1, 100), ""),
    "1": (Fraction(1), ""),
    "sec": (Fraction(1), "s"),
    "min": (Fraction(60), "s"),
    "h": (Fraction(3600), "s"),
    "hr": (Fraction(3600), "s"),
    "d": (Fraction(86400), "s"),
    "day": (Fraction(86400), "s"),
    "mcg": (Fraction(1, 10**6), "g"),
    "gm": (Fraction(1), "g"),
    "cc": (Fraction(1, 1000), "l"),
    "[HPF]": (Fraction(1), "HPF"),
    "HPF": (Fraction(1), "HPF"),
    "[LPF]": (Fraction(1), "LPF"),
    "LPF": (Fraction(1), "LPF"),
}
# Upper or lower case throughout, as some systems print. "G/L" is not here: it is 10*9/L too.
_PRINTED: Final = {
    name.casefold(): name
    for name in (
        "kg", "mg", "ug", "ng", "pg", "mL", "dL", "uL", "fL", "U", "IU", "mU", "kU", "mIU", "uIU",
        "kIU", "mmol", "umol", "nmol", "pmol", "meq", "mosm", "min", "mmHg", "HPF", "LPF",
    )
}  # fmt: skip
_TOKEN: Final = re.compile(
    rf"([{''.join(_PREFIX)}]?)({'|'.join(map(re.escape, sorted(_ATOM, key=len, reverse=True)))})"
    r"\^?([1-3]?)"
)


class _Size(NamedTuple):
    factor: Fraction
    dimensions: frozenset[tuple[str, int]]


def contradicts(unit: str, code: str) -> bool:
    """Whether both are units that are read here, and different ones: ``mg/dL`` and ``mmol/L``, but
    not ``ng/mL`` and ``ug/L``, which are equal."""
    if unit == code:
        return False
    printed, coded = _size(unit), _size(code)
    return printed is not None and coded is not None and printed != coded


@lru_cache(maxsize=2048)
def _size(text: str) -> _Size | None:
    text = text.translate(_SAME)
    bare = _ANNOTATION.sub("", text)
    if not bare or len(bare) > 40:
        return None
    factor, dimensions = Fraction(1), Counter[str]()
    for position, part in enumerate(bare.split("/")):
        sign = 1 if position == 0 else -1
        for token in part.split("."):
            read = _token(token)
            if read is None:
                return None
            size, name, power = read
            factor *= size ** (sign * power)
            dimensions[name] += sign * power
    used = ((name, power) for name, power in dimensions.items() if name and power)
    return _Size(factor, frozenset(used))


def _token(token: str) -> tuple[Fraction, str, int] | None:
    """The size, the dimension and the power of one factor; an annotation alone counts as 1."""
    if not token:
        return Fraction(1), "", 1
    ten = _POWER_OF_TEN.fullmatch(token)
    if ten is not None:
        return Fraction(10) ** int(ten[1]), "", 1
    word = _WORD.get(token)
    if word is not None:
        return *word, 1
    found = _TOKEN.fullmatch(token)
    if found is None:
        printed = _PRINTED.get(token.casefold())
        return None if printed is None or printed == token else _token(printed)
    prefix, atom, power = found.groups()
    return Fraction(10) ** _PREFIX.get(prefix, 0), _ATOM[atom], int(power or 1)
