"""What holds for the rates of any orders: parts add up, differences explain every unit."""

from __future__ import annotations

from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from mapping.rates.counted_order import CountedOrder, RateName
from mapping.rates.cuts import Cut, cut_rates, cut_title
from mapping.rates.differences import differences
from mapping.rates.groups import Groups, Membership
from mapping.rates.rate import percent_of, rate_formula, rate_of, rate_title
from mapping.rates.score import TierTable, tier_tables
from mapping.rates.what_if import open_orders, what_if
from tests.rates.counted_orders import NOW, TODAY, lists, many

PAIRS = list(permutations(RateName, 2))
GROUPS = Groups([Membership("G1", "3501200000", "第一群"), Membership("G2", "3531000000")])


@given(pair=st.sampled_from(PAIRS), data=st.data())
@settings(max_examples=150)
def test_every_unit_of_a_difference_is_attributed_to_orders(
    pair: tuple[RateName, RateName], data: st.DataObject
) -> None:
    first, second = pair
    orders = data.draw(many())
    nhi = data.draw(lists(orders))
    before = rate_of(first, orders, TODAY, nhi)
    after = rate_of(second, orders, TODAY, nhi)
    told = differences(first, second, orders, TODAY, nhi)
    assert before.uploaded + sum(each.uploaded for each in told) == after.uploaded
    assert before.due + sum(each.due for each in told) == after.due
    named = [order.key for each in told for order in each.orders]
    assert len(named) == len(set(named))
    for each in told:
        total = sum(order.quantity for order in each.orders)
        assert abs(each.uploaded) <= total
        assert abs(each.due) <= total


@given(cut=st.sampled_from(Cut), data=st.data())
@settings(max_examples=80)
def test_the_parts_of_a_cut_add_up_to_the_whole(cut: Cut, data: st.DataObject) -> None:
    orders = data.draw(many())
    nhi = data.draw(lists(orders))
    rows = cut_rates(orders, cut, RateName, TODAY, nhi, GROUPS)
    for name in RateName:
        whole = rate_of(name, orders, TODAY, nhi)
        for part in ("uploaded", "due", "own", "commissioned", "opted_out"):
            assert sum(getattr(row.rates[name], part) for row in rows) == getattr(whole, part)
    assert [row.key for row in rows] == sorted({row.key for row in rows})


@given(orders=many())
def test_within_24_hours_never_exceeds_the_month_and_nothing_exceeds_what_is_due(
    orders: list[CountedOrder],
) -> None:
    in_time = rate_of(RateName.WITHIN_24H, orders, TODAY)
    month = rate_of(RateName.WHOLE_MONTH, orders, TODAY)
    assert in_time.due == month.due
    assert 0 <= in_time.uploaded <= month.uploaded <= month.due
    card = rate_of(RateName.IC_CARD, orders, TODAY)
    assert card.own + card.commissioned == card.uploaded


@given(
    orders=many(largest=9),
    table=st.sampled_from(tier_tables()),
    name=st.sampled_from((RateName.WITHIN_24H, RateName.WHOLE_MONTH, RateName.IC_CARD)),
)
@settings(max_examples=150)
def test_no_smaller_set_reaches_the_next_tier(
    orders: list[CountedOrder], table: TierTable, name: RateName
) -> None:
    found = what_if(orders, name, table, TODAY, NOW)
    rate = rate_of(name, orders, TODAY)
    if found is None:
        assert not rate.due or table.next_tier(rate.uploaded, rate.due) is None
        return
    candidates = open_orders(orders, name, TODAY, NOW)

    def reaches(chosen: tuple[CountedOrder, ...]) -> bool:
        uploaded = rate.uploaded + sum(each.quantity for each in chosen)
        return uploaded >= found.tier.at_least * rate.due

    smallest = next(
        (
            size
            for size in range(len(candidates) + 1)
            if any(reaches(chosen) for chosen in combinations(candidates, size))
        ),
        None,
    )
    assert found.reachable == (smallest is not None)
    assert len(found.orders) == (smallest or 0)
    if found.reachable:
        assert reaches(tuple(each.order for each in found.orders))
        assert found.uploaded_after >= found.tier.at_least * rate.due
        after = table.score(found.uploaded_after, rate.due)
        assert after is not None
        assert after >= found.tier.points > found.score
    for each in found.orders:
        assert each.order in candidates
        assert each.points == percent_of(each.order.quantity, rate.due, each.points)


def test_every_rate_and_cut_has_its_words_in_both_languages() -> None:
    for name in RateName:
        assert len({rate_title(name, "en"), rate_title(name, "zh"), rate_formula(name, "en")}) == 3
    assert all(cut_title(cut, "en") != cut_title(cut, "zh") for cut in Cut)
