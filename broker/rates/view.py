"""What a person asked to see of the rates of a month, ready to be shown in any form."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from broker.rates.month import MonthRates
from broker.rates.outlook import Outlook
from mapping.rates.counted_order import RateName
from mapping.rates.cuts import Cut, CutRow, cut_rates
from mapping.rates.differences import Difference
from mapping.rates.groups import Groups
from mapping.rates.what_if import WhatIf, what_if

SCORED = RateName.WHOLE_MONTH
"""The rate that has points: the groups' rate of the seeds is 總上傳筆數/申報應上傳筆數."""


@dataclass(frozen=True, slots=True)
class RatesView:
    """``institutions`` is empty for everywhere; ``cut``, ``explained`` and ``wants_orders`` are
    what was asked for beside the rates."""

    found: MonthRates
    outlook: Outlook
    groups: Groups
    institutions: tuple[str, ...] = ()
    cut: Cut | None = None
    explained: tuple[RateName, ...] | None = None
    wants_orders: bool = False

    def cut_rows(self) -> list[CutRow]:
        """The rows of the cut; none without one."""
        if self.cut is None:
            return []
        found = self.found
        return cut_rates(
            found.orders, self.cut, found.by_order, found.data_on, found.nhi, self.groups
        )

    def differences(self) -> tuple[tuple[RateName, RateName, tuple[Difference, ...]], ...]:
        """What was asked for, else each rate against the one before it."""
        names = self.found.by_order
        pairs = list(pairwise(names))
        if self.explained is not None:
            pairs = [(self.explained[0], self.explained[1])]
        return tuple(
            (first, second, self.found.difference(first, second))
            for first, second in pairs
            if first in names and second in names
        )

    def way_up(self) -> WhatIf | None:
        """The way to the next tier; None at the top, without orders or a table."""
        found = self.found
        if found.tiers is None:
            return None
        return what_if(found.orders, SCORED, found.tiers, found.data_on, found.asked_at)
