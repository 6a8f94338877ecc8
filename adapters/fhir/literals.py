"""Numbers that remember how they were written: ``13.20`` stays ``13.20``, ``1e2`` stays ``1e2``."""

from __future__ import annotations

import re
from decimal import Decimal

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
"""R4 datatypes.html, decimal; the same grammar as a JSON number."""

_PLAIN_DIGITS = 18


class LiteralDecimal(Decimal):
    """A decimal with its ``literal`` text. Raises ``ArithmeticError`` beyond Decimal's range."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, text: str) -> LiteralDecimal:
        number = super().__new__(cls, text)
        number.literal = text
        return number


def read_integer(text: str) -> int | LiteralDecimal:
    """An integer literal; those that ``int`` would rewrite or refuse keep their text instead."""
    if len(text) <= _PLAIN_DIGITS and text != "-0":
        return int(text)
    return LiteralDecimal(text)


def is_decimal_literal(text: str) -> bool:
    """Whether ``text`` is a FHIR decimal, whole and in ASCII."""
    return _DECIMAL.fullmatch(text) is not None


def literal_text(value: object) -> str:
    """The text of a number as the sender wrote it; ``""`` for what is no number."""
    if isinstance(value, LiteralDecimal):
        return value.literal
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and is_decimal_literal(value):
        return value
    return ""
