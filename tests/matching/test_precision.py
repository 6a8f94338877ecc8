"""What goes by itself is right in at least 999 of 1,000 labelled cases, and the set is hard enough
to show it where it is not so."""

from __future__ import annotations

import pytest

from mapping import match
from mapping.match import Answers, Match, Outcome, Reason
from mapping.visit import Visit
from tests.matching.decisions import Tally, by_rule, decide_all
from tests.matching.labelled_cases import Case, District, make_district

CASES = 20_000
GOAL = 0.999


@pytest.fixture(scope="module")
def district() -> District:
    return make_district(CASES)


@pytest.fixture(scope="module")
def tally(district: District) -> Tally:
    return decide_all(district)


def test_the_set_has_all_kinds_of_slips(district: District) -> None:
    kinds = district.kinds()
    assert kinds.total() == CASES
    expected = {
        *("plain", "numbered", "twin", "card data missing", "taken back", "late", "wrong day"),
        *("newborn on the parent's card", "second result", "id mistyped", "no id", "wrong clinic"),
        *("no birth date", "birth date wrong", "no collection time", "no time at all"),
        *("another code", "another number", "somebody else's id"),
    }
    assert set(kinds) == expected
    assert min(kinds.values()) >= 5
    assert kinds["plain"] + kinds["numbered"] < 0.85 * CASES


def test_what_goes_by_itself_is_right_in_999_of_1000(tally: Tally) -> None:
    assert tally.precision >= GOAL, tally.table()


def test_most_of_what_can_be_told_goes_by_itself(tally: Tally) -> None:
    assert tally.recall >= 0.8, tally.table()


def test_the_right_visit_is_mostly_the_first_candidate_of_what_is_held(tally: Tally) -> None:
    held = tally.held.total()
    assert tally.listed / held >= 0.8
    assert tally.first / held >= 0.6


def test_without_an_id_or_with_another_birth_date_nothing_goes_by_itself(tally: Tally) -> None:
    gone = tally.right + tally.wrong
    assert [gone[kind] for kind in ("no id", "birth date wrong", "id mistyped")] == [0, 0, 0]


def test_another_seed_gives_the_same_answer() -> None:
    assert decide_all(make_district(CASES, seed=7)).precision >= GOAL


def test_without_the_threshold_it_would_not_be_so(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match, "THRESHOLD", -1000)
    assert decide_all(district).precision < GOAL


def test_a_rule_that_takes_the_first_possible_visit_fails(district: District) -> None:
    def first(case: Case, visits: list[Visit], answers: Answers) -> Match:
        found = by_rule(case, visits, answers)
        possible = [each for each in found.candidates if each.reason is Reason.ONLY_VISIT]
        if found.outcome is Outcome.MATCHED or not possible:
            return found
        return Match(Outcome.MATCHED, possible[0].visit, possible[0].order)

    assert decide_all(district, first).precision < GOAL
