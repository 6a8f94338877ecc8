"""Body parts that one file of the clinic tells and another has no word for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from broker.trial_packages import VisitIndex
from mapping.body_parts import with_known_body_parts
from mapping.visit import Order
from tests.folder.card_visits import visit

HEAD, ABDOMEN = Order("33070B", body_parts="H"), Order("33070B", body_parts="I")
BARE = Order("33070B")


def test_what_was_told_earlier_is_kept() -> None:
    assert with_known_body_parts((BARE,), (HEAD,)) == (HEAD,)
    assert with_known_body_parts((ABDOMEN,), (HEAD,)) == (ABDOMEN,)


def test_nothing_is_taken_from_another_order_or_from_two_that_differ() -> None:
    assert with_known_body_parts((BARE,), (replace(HEAD, order_code="33072B"),)) == (BARE,)
    numbered = replace(HEAD, placer_order_number="P1")
    assert with_known_body_parts((BARE,), (numbered,)) == (BARE,)
    assert with_known_body_parts((BARE, BARE), (HEAD, ABDOMEN)) == (BARE, BARE)
    assert with_known_body_parts((BARE,), (HEAD, BARE)) == (BARE,)


def test_a_visit_told_twice_keeps_its_body_parts() -> None:
    index = VisitIndex()
    index.add([visit(orders=(HEAD,), card_at=datetime(2026, 8, 14, 1, 5, 9, tzinfo=UTC))])
    index.add([visit(orders=(BARE,), card_at=datetime(2026, 8, 14, 1, 5, 9, tzinfo=UTC))])
    ((_, known),) = index.visits_of("3501234567", "A123456789")
    assert known.orders == (HEAD,)
