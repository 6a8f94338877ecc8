"""Points by the dated tier tables, with the groups of the seeds as their vector."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from mapping.rates.score import RateBand, TierTable, mean_score, tier_table_on, tier_tables

GROUPS_OF_TAIPEI = tuple(
    RateBand(Decimal(at_least), groups)
    for at_least, groups in (
        ("0.90", 51),
        ("0.80", 24),
        ("0.70", 14),
        ("0.60", 14),
        ("0.50", 8),
        ("0.40", 9),
        ("0.30", 5),
        ("0", 15),
    )
)


def table(edition: str) -> TierTable:
    return next(each for each in tier_tables() if each.edition == edition)


def test_the_mean_of_the_140_groups_falls_from_8_66_to_6_76_when_the_tiers_change() -> None:
    assert sum(band.groups for band in GROUPS_OF_TAIPEI) == 140
    assert mean_score(GROUPS_OF_TAIPEI, table("111")) == Decimal("8.66")
    assert mean_score(GROUPS_OF_TAIPEI, table("112")) == Decimal("6.76")


def test_111_of_the_140_groups_had_ten_points() -> None:
    ten = sum(
        band.groups
        for band in GROUPS_OF_TAIPEI
        if table("111").score(band.at_least, Decimal(1)) == 10
    )
    assert ten == 111


@pytest.mark.parametrize(
    ("edition", "uploaded", "points"),
    [
        ("111", "49.999", 8),
        ("111", "50", 10),
        ("111", "40", 8),
        ("111", "29.999", 0),
        ("111", "30", 6),
        ("112", "79.999", 8),
        ("112", "80", 10),
        ("112", "69.999", 6),
        ("112", "60", 6),
        ("112", "59.999", 0),
        ("112", "100", 10),
        ("112", "0", 0),
    ],
)
def test_a_bound_belongs_to_the_tier_above_it(edition: str, uploaded: str, points: int) -> None:
    assert table(edition).score(Decimal(uploaded), Decimal(100)) == points


def test_a_rate_that_only_rounds_up_to_a_bound_does_not_reach_it() -> None:
    assert table("112").score(Decimal(79_999_999), Decimal(100_000_000)) == 8


def test_nothing_due_has_no_points_and_no_next_tier() -> None:
    assert table("112").score(Decimal(0), Decimal(0)) is None
    assert table("112").next_tier(Decimal(0), Decimal(0)) is None


def test_the_next_tier_is_the_nearest_with_more_points() -> None:
    following = table("112").next_tier(Decimal(65), Decimal(100))
    assert following is not None
    assert (following.at_least, following.points) == (Decimal("0.70"), Decimal(8))
    assert table("112").next_tier(Decimal(80), Decimal(100)) is None


def test_each_year_has_its_table_and_the_time_before_has_none() -> None:
    named = [tier_table_on(day) for day in (date(2022, 1, 1), date(2022, 12, 31), date(2023, 1, 1))]
    assert [each.edition if each else "" for each in named] == ["111", "111", "112"]
    assert tier_table_on(date(2021, 12, 31)) is None


def test_every_table_names_its_source() -> None:
    assert all("檢驗(查)上傳作業說明" in each.source for each in tier_tables())
