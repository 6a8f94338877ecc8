"""The tables of states: every pair is listed or refused."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product

import pytest

from broker.states import (
    PACKAGE_TRANSITIONS,
    RECEIPT_TRANSITIONS,
    RECORD_TRANSITIONS,
    ForbiddenTransition,
    PackageState,
    ReceiptState,
    RecordState,
    require_transition,
    sources_of,
)

TABLES: list[tuple[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]]] = [
    (ReceiptState, RECEIPT_TRANSITIONS),  # type: ignore[list-item]
    (RecordState, RECORD_TRANSITIONS),  # type: ignore[list-item]
    (PackageState, PACKAGE_TRANSITIONS),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("states", "table"), TABLES, ids=["receipt", "record", "package"])
def test_every_pair_of_states_is_listed_or_refused(
    states: type[StrEnum], table: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    for before, after in product(states, states):
        if after in table.get(before, frozenset()):
            assert require_transition(table, before, after) is after  # type: ignore[type-var]
        else:
            with pytest.raises(ForbiddenTransition):
                require_transition(table, before, after)  # type: ignore[type-var]


@pytest.mark.parametrize(("states", "table"), TABLES, ids=["receipt", "record", "package"])
def test_the_sources_of_a_state_are_the_table_read_backwards(
    states: type[StrEnum], table: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    for after in states:
        expected = {before for before in states if after in table.get(before, frozenset())}
        assert set(sources_of(table, after)) == expected  # type: ignore[type-var]


def test_a_package_in_flight_is_never_simply_sent_again_after_a_crash() -> None:
    # Only a definite non-delivery, seen by the sender itself, leads back to sealed.
    assert PackageState.CLAIMED not in PACKAGE_TRANSITIONS[PackageState.UNKNOWN]
    assert PackageState.INFLIGHT not in PACKAGE_TRANSITIONS[PackageState.UNKNOWN]


def test_what_nhi_accepted_can_only_be_superseded() -> None:
    assert RECORD_TRANSITIONS[RecordState.ACCEPTED] == {RecordState.SUPERSEDED}
