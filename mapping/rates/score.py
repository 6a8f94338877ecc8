"""Points for a rate, by dated tier tables (``tiers-*.toml``, each with its source)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Tier:
    """``points`` for a rate of ``at_least`` (a share of one, the bound included) or more."""

    at_least: Decimal
    points: Decimal


@dataclass(frozen=True, slots=True)
class TierTable:
    """The tiers in force from ``valid_from`` to ``valid_until`` (both days included; None: no end
    is known), the highest first. The last one begins at 0."""

    edition: str
    valid_from: date
    valid_until: date | None
    source: str
    tiers: tuple[Tier, ...]

    def tier_of(self, uploaded: Decimal, due: Decimal) -> Tier | None:
        """The tier of ``uploaded`` of ``due``, compared without rounding; None: nothing is due."""
        if not due:
            return None
        return next(tier for tier in self.tiers if uploaded >= tier.at_least * due)

    def score(self, uploaded: Decimal, due: Decimal) -> Decimal | None:
        """The points of ``uploaded`` of ``due``; None where nothing is due."""
        tier = self.tier_of(uploaded, due)
        return None if tier is None else tier.points

    def next_tier(self, uploaded: Decimal, due: Decimal) -> Tier | None:
        """The nearest tier with more points; None at the top, or where nothing is due."""
        now = self.tier_of(uploaded, due)
        if now is None:
            return None
        above = [tier for tier in self.tiers if tier.points > now.points]
        return above[-1] if above else None


@dataclass(frozen=True, slots=True)
class RateBand:
    """``groups`` groups whose rates are at least ``at_least`` and below the next band."""

    at_least: Decimal
    groups: int


def mean_score(bands: Iterable[RateBand], table: TierTable) -> Decimal:
    """The mean points of all groups, to two decimals. Bands must not straddle a tier's bound."""
    points = Decimal(0)
    groups = 0
    for band in bands:
        score = table.score(band.at_least, Decimal(1))
        assert score is not None  # noqa: S101 - one is due
        points += score * band.groups
        groups += band.groups
    return (points / groups).quantize(Decimal("0.01"), ROUND_HALF_UP)


@cache
def tier_tables() -> tuple[TierTable, ...]:
    """All tables that are known, the oldest first."""
    folder = resources.files("mapping") / "rates"
    tables = [
        _table(tomllib.loads(each.read_text(encoding="utf-8")))
        for each in folder.iterdir()
        if each.name.startswith("tiers-") and each.name.endswith(".toml")
    ]
    return tuple(sorted(tables, key=lambda table: table.valid_from))


def tier_table_on(day: date) -> TierTable | None:
    """The table in force on ``day``; None before the first one known."""
    valid = [
        table
        for table in tier_tables()
        if table.valid_from <= day and (table.valid_until is None or day <= table.valid_until)
    ]
    return valid[-1] if valid else None


def _table(data: dict[str, object]) -> TierTable:
    tiers = [
        Tier(Decimal(each["at_least"]), Decimal(each["points"]))
        for each in data["tier"]  # type: ignore[attr-defined]
    ]
    ordered = tuple(sorted(tiers, key=lambda tier: tier.at_least, reverse=True))
    assert ordered[-1].at_least == 0  # noqa: S101 - our own data
    valid_from, valid_until = data["valid_from"], data.get("valid_until")
    assert isinstance(valid_from, date)  # noqa: S101 - our own data
    assert valid_until is None or isinstance(valid_until, date)  # noqa: S101 - our own data
    return TierTable(str(data["edition"]), valid_from, valid_until, str(data["source"]), ordered)
