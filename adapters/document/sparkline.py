"""A small curve of the last values, drawn only where all of them are plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from mapping.values import parse_decimal

_FEWEST = 3
_INK = colors.HexColor("#5b6875")
_NOW = colors.HexColor("#1c2733")


class Sparkline(Flowable):  # type: ignore[misc]
    """The last value has a dot."""

    def __init__(self, numbers: Sequence[Decimal]) -> None:
        super().__init__()
        self.width, self.height = 22 * mm, 5 * mm
        self._numbers = numbers

    @classmethod
    def of(cls, values: Sequence[str]) -> Sparkline | None:
        """None for fewer than three values, or where one is no plain number."""
        numbers = [number for value in values if (number := parse_decimal(value)) is not None]
        return cls(numbers) if len(numbers) == len(values) >= _FEWEST else None

    def draw(self) -> None:
        low, high = min(self._numbers), max(self._numbers)
        step = (self.width - 3) / (len(self._numbers) - 1)
        reach = float(high - low) or 1.0
        points = [
            (1 + at * step, 1.5 + float(number - low) / reach * (self.height - 3))
            for at, number in enumerate(self._numbers)
        ]
        self.canv.setLineWidth(0.7)
        self.canv.setStrokeColor(_INK)
        for one, other in pairwise(points):
            self.canv.line(*one, *other)
        self.canv.setFillColor(_NOW)
        self.canv.circle(*points[-1], 1.3, stroke=0, fill=1)
