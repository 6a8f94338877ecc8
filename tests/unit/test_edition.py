from __future__ import annotations

from datetime import date

import pytest

from mapping.catalogue.tables import code_table
from mapping.editions.edition import Requirement, edition_on, editions
from mapping.rules.plan import plan_for


def test_the_first_edition_has_all_fields_in_the_official_order() -> None:
    edition = edition_on(date(2025, 1, 1))
    assert edition.name == "daily-114-01-01"
    assert [rule.tag for rule in edition.header] == [f"h{n}" for n in range(1, 31)]
    assert [rule.tag for rule in edition.rows] == [
        *("r1", "r2", "r3", "r4", "r4-1", "r5", "r6-1", "r6-2", "r7"),
        *(f"r8-{n}" for n in range(1, 10)),
        *(f"r{n}" for n in range(9, 15)),
    ]


def test_a_clock_that_runs_wrong_still_finds_an_edition() -> None:
    assert edition_on(date(1975, 1, 1)) is editions()[0]
    assert edition_on(date(2099, 1, 1)) is editions()[-1]


@pytest.mark.parametrize(
    ("tag", "length"),
    [
        ("h7", 4),
        ("h15", 12),
        ("h22", 200),
        ("h25", 18),
        ("h28", 20),
        ("r1", 6),
        ("r2", 100),
        ("r4", 4000),
        ("r5", 50),
        ("r6-1", 1000),
        ("r8-9", 4000),
        ("r12", 1),
        ("r14", 13),
    ],
)
def test_lengths_are_those_of_the_field_table(tag: str, length: int) -> None:
    rule = edition_on(date(2025, 1, 1)).rule(tag)
    assert rule is not None
    assert rule.length == length


def test_every_rule_is_complete() -> None:
    for edition in editions():
        for rule in (*edition.header, *edition.rows):
            assert rule.name_zh
            assert rule.name_en
            assert rule.type in ("X", "9")
            assert bool(rule.when) is (rule.required in (Requirement.WHEN, Requirement.EXPECTED)), (
                rule.tag
            )
            assert not rule.codes or code_table(rule.codes)


def test_records_that_agree_in_what_decides_share_a_plan() -> None:
    edition = editions()[0]
    one = plan_for(edition, {"h1": "1", "h3": "11", "h15": "08011C", "h9": "A123456789"})
    other = plan_for(edition, {"h1": "1", "h3": "11", "h15": "09005C", "h9": "B123456780"})
    assert one is other
    assert plan_for(edition, {"h1": "1", "h3": "11", "h15": "14051C"}) is not one
