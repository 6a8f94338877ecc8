"""All clinics, groups and divisions side by side: rates, points, outlook, what the next tier takes.

A coach of groups and an operator look at it; it is made in one pass over the orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import Connection

from broker.rates.month import Month, MonthRates
from broker.rates.outlook import Outlook, expected_ends, learns_since
from broker.store.rate_orders import quantity_of
from broker.store.rate_tallies import (
    Kinds,
    Tally,
    institution_kinds,
    kinds_together,
    tally_of,
)
from mapping.moment import TAIPEI
from mapping.rates.counted_order import RateName
from mapping.rates.groups import Groups
from mapping.rates.rate import Rate, knows_until
from mapping.rates.regions import division_of
from mapping.rates.score import Tier, TierTable, tier_table_on
from mapping.rates.what_if import what_if


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One clinic, group or division. ``score`` and ``next_tier`` are of the whole-month rate.

    ``orders_needed`` is the least number of open orders that reach ``next_tier``; None at the top,
    or where all that are open do not reach it.
    """

    key: str
    clinics: int
    within_24h: Rate
    whole_month: Rate
    ic_card: Rate
    score: Decimal | None
    next_tier: Tier | None
    orders_needed: int | None
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Board:
    """``groups`` and ``divisions`` leave out clinics that are in none."""

    month: Month
    data_on: date
    tiers: TierTable | None
    clinics: tuple[BoardRow, ...]
    groups: tuple[BoardRow, ...]
    divisions: tuple[BoardRow, ...]
    everywhere: BoardRow

    @property
    def mean_group_score(self) -> Decimal | None:
        """The mean points of the groups that have points."""
        scores = [row.score for row in self.groups if row.score is not None]
        return sum(scores, Decimal(0)) / len(scores) if scores else None


def board_of(
    connection: Connection,
    institutions: frozenset[str] | None,
    month: Month,
    now: datetime,
    groups: Groups | None = None,
    closed: frozenset[date] = frozenset(),
) -> Board:
    """The board of ``institutions`` (None: everywhere) for a month. ``closed`` as for
    :func:`broker.rates.outlook.outlook_of`."""
    data_on = now.astimezone(TAIPEI).date()
    table = tier_table_on(month.last)
    span = month.first, month.last
    since = learns_since(month, data_on)
    found = list(institution_kinds(connection, institutions, since, span, data_on))
    members = groups or Groups()

    def row(key: str, clinics: int, tally: Tally) -> BoardRow:
        outlook = expected_ends(tally.days, month, data_on, closed)
        return _row(key, clinics, tally, data_on, table, outlook)

    def rows(key: Callable[[str], str]) -> tuple[BoardRow, ...]:
        parts: dict[str, list[Kinds]] = defaultdict(list)
        for code, kinds in found:
            if part := key(code):
                parts[part].append(kinds)
        return tuple(
            row(part, len(kinds), tally_of(kinds_together(kinds)))
            for part, kinds in sorted(parts.items())
        )

    return Board(
        month,
        data_on,
        table,
        tuple(row(code, 1, tally_of(kinds)) for code, kinds in found),
        rows(lambda code: members.group_of(code, month.last)),
        rows(division_of),
        row("", len(found), tally_of(kinds_together(kinds for _, kinds in found))),
    )


def with_newer(board: Board, clinic: str, rates: MonthRates) -> Board:
    """The board with one clinic's row as its rates, counted later, say it; outlook and sums stay as
    they were counted."""
    orders, table = rates.orders, board.tiers
    whole = rates.rates[RateName.WHOLE_MONTH]
    way = None
    if table is not None:
        way = what_if(orders, RateName.WHOLE_MONTH, table, rates.data_on, rates.asked_at)

    def newer(row: BoardRow) -> BoardRow:
        return replace(
            row,
            within_24h=rates.rates[RateName.WITHIN_24H],
            whole_month=whole,
            ic_card=rates.rates[RateName.IC_CARD],
            score=table.score(whole.uploaded, whole.due) if table else None,
            next_tier=way.tier if way is not None else None,
            orders_needed=len(way.orders) if way is not None and way.reachable else None,
        )

    rows = tuple(newer(row) if row.key == clinic else row for row in board.clinics)
    return replace(board, clinics=rows)


def _row(
    key: str,
    clinics: int,
    tally: Tally,
    data_on: date,
    table: TierTable | None,
    outlook: Outlook,
) -> BoardRow:
    due, uploaded = quantity_of(tally.due), quantity_of(tally.uploaded)
    opted_out, own = quantity_of(tally.opted_out), quantity_of(tally.own)
    card_uploaded, card_own = quantity_of(tally.card_uploaded), quantity_of(tally.card_own)
    tier = table.next_tier(uploaded, due) if table else None
    return BoardRow(
        key,
        clinics,
        Rate(RateName.WITHIN_24H, quantity_of(tally.on_time), due, data_on, opted_out=opted_out),
        Rate(RateName.WHOLE_MONTH, uploaded, due, data_on, own, uploaded - own, opted_out),
        Rate(
            RateName.IC_CARD,
            card_uploaded,
            quantity_of(tally.card_due),
            knows_until(RateName.IC_CARD, data_on),
            card_own,
            card_uploaded - card_own,
            opted_out,
        ),
        table.score(uploaded, due) if table else None,
        tier,
        _fewest(tally.open, tier.at_least * due - uploaded) if tier else None,
        outlook,
    )


def _fewest(sizes: Mapping[int, int], needed: Decimal) -> int | None:
    """The least number of open orders whose quantities sum to ``needed``: the largest first."""
    left = int((needed * 1000).to_integral_value(ROUND_CEILING))
    chosen = 0
    for size in sorted(sizes, reverse=True):
        if left <= 0:
            break
        take = min(-(-left // size), sizes[size])
        chosen += take
        left -= take * size
    return chosen if left <= 0 else None
