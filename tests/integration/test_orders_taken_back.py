"""Orders and visits that the clinic takes back, cancels, opts out or places again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from broker.store.visits import store_visits
from mapping.visit import Order, Visit
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.test_order_versions import codes, creatinine, visit_of


async def store(stage: Stage, *cards: Visit) -> None:
    """Card data as the readers hand it over."""
    await stage.writer.write(lambda c: store_visits(c, 1, cards))
    await stage.work()


@pytest.mark.parametrize(
    ("change", "state", "code"),
    [
        ({"upload_opted_out": True}, "held:opted_out", "opted-out"),
        ({"cancelled": True}, "held:unmatched", "match-order-cancelled"),
    ],
)
async def test_a_ready_result_of_an_order_that_is_taken_back_or_opted_out_is_held(
    tmp_path: Path, change: dict[str, bool], state: str, code: str
) -> None:
    order = Order("09015C", card_mark="03", **change)  # type: ignore[arg-type]
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["ready"]
        await store(stage, visit_of(1, orders=(order,)))
        assert stage.states() == [state]
        assert code in codes(stage, 0)


async def test_an_order_that_is_placed_again_frees_its_result(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine("1", "0.9"))
        await store(stage, visit_of(1, orders=(Order("09015C", cancelled=True),)))
        assert stage.states() == ["held:unmatched"]
        await store(stage, visit_of(1, orders=(Order("09015C", card_mark="03"),)))
        assert stage.states() == ["ready"]


async def test_results_of_a_cancelled_visit_are_held(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await store(stage, visit_of(1, cancelled=True))
        assert stage.states() == ["held:unmatched"]
        assert "match-visit-cancelled" in codes(stage, 0)
        # The same file once more does not bring the visit back.
        await stage.load_visits()
        assert stage.states() == ["held:unmatched"]


@pytest.mark.parametrize("event_first", [False, True])
async def test_an_event_that_takes_back_all_of_a_day_takes_back_its_visits(
    tmp_path: Path, event_first: bool
) -> None:
    card_at = visit_of(1).card_at + timedelta(hours=1)
    event = visit_of(1, visit_type="ZA", card_at=card_at, orders=(), cancelled=True)
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine("1", "0.9"))
        for card in (event, visit_of(1)) if event_first else (visit_of(1), event):
            await store(stage, card)
        assert stage.states() == ["held:unmatched"]
        assert "match-visit-cancelled" in codes(stage, 0)


async def test_an_event_that_takes_back_one_visit_leaves_the_others(tmp_path: Path) -> None:
    card_at = visit_of(1).card_at + timedelta(hours=1)
    event = visit_of(1, visit_type="ZB", card_at=card_at, visit_serial="0098", orders=())
    other = visit_of(1, card_at=card_at, visit_serial="0098", orders=())
    async with open_stage(tmp_path) as stage:
        await stage.receive(creatinine("1", "0.9"))
        await store(stage, visit_of(1), other, event)
        assert stage.states() == ["ready"]


# Times that nobody can read
