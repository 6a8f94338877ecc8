"""Checks that need the operator's lists: with the list they run, without it they say so."""

from __future__ import annotations

from dataclasses import replace

from mapping.finding import Severity
from mapping.rules import ClaimList, RuleContext, check_record, unchecked_codes
from tests.unit.upload_samples import CONTEXT, valid_record

DAY = "1140203"
KEY = ("A123456789", "08011C", DAY)
CLAIMS = ClaimList("3501234567", frozenset(("11402",)), {KEY: ("1140203101500",)})


def codes(context: RuleContext, **header: str) -> list[tuple[str, str]]:
    found = check_record(valid_record(header), context)
    return [(each.code, each.field) for each in found if each.severity is Severity.ERROR]


def with_claims(claims: ClaimList) -> RuleContext:
    return replace(CONTEXT, claims=claims)


def test_a_claimed_order_passes() -> None:
    assert codes(with_claims(CLAIMS)) == []


def test_an_order_that_was_not_claimed_is_26() -> None:
    assert codes(with_claims(replace(CLAIMS, orders={}))) == [("26", "h15")]
    assert codes(with_claims(CLAIMS), h9="B123456780") == [("26", "h15")]


def test_a_claim_says_nothing_of_other_months_and_institutions() -> None:
    empty = replace(CLAIMS, orders={})
    assert codes(with_claims(replace(empty, months=frozenset(("11401",))))) == []
    assert codes(with_claims(replace(empty, institution_code="3501234568"))) == []


def test_start_times_matter_for_implants_only() -> None:
    late = replace(CLAIMS, orders={KEY: ("1140203235959",)})
    assert codes(with_claims(late)) == []


def test_an_inpatient_is_claimed_by_the_day_of_admission() -> None:
    stay = {"h3": "21", "h11": "", "h26": "", "h13": DAY}
    assert codes(with_claims(CLAIMS), **stay) == []
    assert codes(with_claims(CLAIMS), **(stay | {"h13": "1140202"})) == [("26", "h15")]


def test_checks_that_cannot_run_say_so_with_their_list() -> None:
    assert [(each.value, dict(each.parameters)["list"]) for each in unchecked_codes(CONTEXT)] == [
        ("26", "claims"),
        ("28", "institutions"),
        ("31", "claims"),
        ("37", "order-codes"),
    ]
    assert all(each.severity is Severity.INFORMATION for each in unchecked_codes(CONTEXT))
    assert "26" in unchecked_codes(CONTEXT)[0].message("zh")


def test_with_all_lists_nothing_is_left_unchecked() -> None:
    whole = replace(with_claims(CLAIMS), institutions=frozenset(), order_codes={})
    assert unchecked_codes(whole) == ()


def test_an_order_that_was_not_claimed_is_found_among_many_that_were() -> None:
    context = with_claims(CLAIMS)
    for _ in range(3):
        assert codes(context) == []
    assert codes(context, h9="B123456780") == [("26", "h15")]
    assert codes(context) == []
