"""All clinics, groups and divisions side by side: rates, points, outlook, what the next tier takes.

A coach of groups and an operator look at it; it is made in one pass over the orders.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import Connection

from broker.rates.month import Month
from broker.rates.outlook import Outlook, expected_ends, learns_since, sum_days
from broker.store.rate_orders import quantity_of
from broker.store.rate_tallies import InstitutionTally, institution_tallies
from mapping.moment import TAIPEI
from mapping.rates.counted_order import RateName
from mapping.rates.forecast import DayTally
from mapping.rates.groups import Groups
from mapping.rates.rate import Rate, knows_until
from mapping.rates.regions import division_of
from mapping.rates.score import Tier, TierTable, tier_table_on


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
    tallies = list(institution_tallies(connection, institutions, since, span, data_on))
    members = groups or Groups()

    def row(key: str, part: list[InstitutionTally]) -> BoardRow:
        days = part[0].days if len(part) == 1 else sum_days(each.days for each in part)
        return _row(key, part, days, month, data_on, table, closed)

    by_group = _parted(tallies, lambda each: members.group_of(each.institution_code, month.last))
    # Clinics of no division stand under "" for the sum of all.
    by_division = _parted(tallies, lambda each: division_of(each.institution_code))
    of_divisions = {key: sum_days(each.days for each in part) for key, part in by_division.items()}
    all_days = sum_days(of_divisions.values())
    return Board(
        month,
        data_on,
        table,
        tuple(row(each.institution_code, [each]) for each in tallies),
        tuple(row(key, part) for key, part in sorted(by_group.items()) if key),
        tuple(
            _row(key, part, of_divisions[key], month, data_on, table, closed)
            for key, part in sorted(by_division.items())
            if key
        ),
        _row("", tallies, all_days, month, data_on, table, closed),
    )


def _parted(
    tallies: Iterable[InstitutionTally], key: Callable[[InstitutionTally], str]
) -> dict[str, list[InstitutionTally]]:
    parts: dict[str, list[InstitutionTally]] = defaultdict(list)
    for tally in tallies:
        parts[key(tally)].append(tally)
    return parts


def _row(
    key: str,
    part: list[InstitutionTally],
    days: Mapping[date, DayTally],
    month: Month,
    data_on: date,
    table: TierTable | None,
    closed: frozenset[date],
) -> BoardRow:
    due, uploaded = _sum(part, "due"), _sum(part, "uploaded")
    opted_out = _sum(part, "opted_out")
    own, on_time = _sum(part, "own"), _sum(part, "on_time")
    card_own, card_uploaded = _sum(part, "card_own"), _sum(part, "card_uploaded")
    whole = Rate(RateName.WHOLE_MONTH, uploaded, due, data_on, own, uploaded - own, opted_out)
    in_time = Rate(RateName.WITHIN_24H, on_time, due, data_on, opted_out=opted_out)
    card = Rate(
        RateName.IC_CARD,
        card_uploaded,
        _sum(part, "card_due"),
        knows_until(RateName.IC_CARD, data_on),
        card_own,
        card_uploaded - card_own,
        opted_out,
    )
    score = table.score(uploaded, due) if table else None
    tier = table.next_tier(uploaded, due) if table else None
    return BoardRow(
        key,
        len(part),
        in_time,
        whole,
        card,
        score,
        tier,
        _fewest(part, tier.at_least * due - uploaded) if tier else None,
        expected_ends(days, month, data_on, closed),
    )


def _sum(part: Iterable[InstitutionTally], name: str) -> Decimal:
    return quantity_of(sum(getattr(each, name) for each in part))


def _fewest(part: Iterable[InstitutionTally], needed: Decimal) -> int | None:
    """The least number of open orders whose quantities sum to ``needed``: the largest first."""
    left = int((needed * 1000).to_integral_value(ROUND_CEILING))
    sizes: Counter[int] = Counter()
    for each in part:
        for size, count in each.open.items():
            sizes[size] += count
    chosen = 0
    for size in sorted(sizes, reverse=True):
        if left <= 0:
            break
        take = min(-(-left // size), sizes[size])
        chosen += take
        left -= take * size
    return chosen if left <= 0 else None
