"""What would help: the fewest open orders that reach the next tier, and what each is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from mapping.rates.counted_order import CountedOrder, Part, Progress, RateName, part_in
from mapping.rates.rate import Rate, rate_of
from mapping.rates.score import Tier, TierTable

_EFFORT = (
    Progress.ON_THE_WAY,
    Progress.READY,
    Progress.REJECTED,
    Progress.HELD,
    Progress.NO_RESULT,
)
"""What stands nearest to an upload comes first, of orders that are worth the same."""
_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Worth:
    """``points`` is by how many percentage points the rate rises if this order alone is
    uploaded."""

    order: CountedOrder
    points: Decimal


@dataclass(frozen=True, slots=True)
class WhatIf:
    """``orders`` is a smallest set of open orders that lifts ``rate`` to ``tier``; empty where all
    that are open do not reach it (``reachable`` is false then)."""

    rate: Rate
    score: Decimal
    tier: Tier
    needed: Decimal
    """The quantity that is lacking."""
    reachable: bool
    orders: tuple[Worth, ...]

    @property
    def uploaded_after(self) -> Decimal:
        """The uploaded quantity when the set is done."""
        return self.rate.uploaded + sum((each.order.quantity for each in self.orders), Decimal(0))


def open_orders(
    orders: Iterable[CountedOrder], name: RateName, data_on: date, now: datetime
) -> list[CountedOrder]:
    """The orders that could still count for a rate: due, not uploaded, not opted out; for the
    24-hour rate only while their clock runs or has not begun."""
    return [
        order
        for order in orders
        if order.progress in _EFFORT
        and part_in(name, order, data_on) is Part.MISSING
        and (name is not RateName.WITHIN_24H or order.due_at is None or now <= order.due_at)
    ]


def what_if(
    orders: Iterable[CountedOrder],
    name: RateName,
    table: TierTable,
    data_on: date,
    now: datetime,
) -> WhatIf | None:
    """The way to the next tier of a rate; None at the top, or where nothing is due.

    Taking the largest quantities first is the fewest orders: any set of as many orders sums to no
    more.
    """
    counted = list(orders)
    rate = rate_of(name, counted, data_on)
    tier = table.next_tier(rate.uploaded, rate.due)
    score = table.score(rate.uploaded, rate.due)
    if tier is None or score is None:
        return None
    needed = tier.at_least * rate.due - rate.uploaded
    chosen = fewest(open_orders(counted, name, data_on, now), needed, lambda each: each.quantity)
    return WhatIf(
        rate,
        score,
        tier,
        needed,
        chosen is not None,
        tuple(Worth(order, worth_of(order, rate)) for order in chosen or ()),
    )


def worth_of(order: CountedOrder, rate: Rate) -> Decimal:
    """The percentage points of one order in a rate, to four decimals."""
    return (100 * order.quantity / rate.due).quantize(_STEP, ROUND_HALF_UP)


def fewest(
    candidates: Iterable[CountedOrder],
    needed: Decimal,
    weight: Callable[[CountedOrder], Decimal],
) -> tuple[CountedOrder, ...] | None:
    """A smallest set whose weights sum to ``needed`` at least; None where all together do not."""
    chosen: list[CountedOrder] = []
    for order in sorted(candidates, key=lambda each: (-weight(each), _effort(each))):
        if needed <= 0:
            break
        if weight(order) <= 0:
            return None
        chosen.append(order)
        needed -= weight(order)
    return tuple(chosen) if needed <= 0 else None


def _effort(order: CountedOrder) -> tuple[int, datetime | date, int, str]:
    return _EFFORT.index(order.progress), order.visit_on, order.visit_id, order.order_code
