"""docs/reference/nhi-codes.md, the texts and the checks say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mapping.catalogue.tables import code_table
from mapping.editions.edition import editions
from mapping.finding import finding_texts
from tests.unit.test_rules_package import STEM, sealed
from tests.unit.test_rules_record import CHANGES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "nhi-codes.md").read_text(encoding="utf-8")
HEADINGS = dict(re.findall(r"^## ([0-9A-D][0-9]) (.+)$", PAGE, re.MULTILINE))


def codes_in_the_rules() -> set[str]:
    """NHI codes that stand in the rule modules or in an edition."""
    names = code_table("nhi-codes")
    found = set()
    for module in (ROOT / "mapping" / "rules").glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in names:
                found.add(str(node.value))
    for edition in editions():
        for rule in (*edition.header, *edition.rows):
            found |= {rule.wrong} if rule.codes or rule.form else set()
            found |= {rule.missing} if rule.when else set()
    return found - {"50"}


def test_the_page_explains_exactly_the_codes_that_the_rules_raise() -> None:
    assert set(HEADINGS) == codes_in_the_rules()


def test_the_page_uses_the_words_of_the_nhi() -> None:
    for code, words in HEADINGS.items():
        assert words == code_table("nhi-codes")[code].name_zh


def test_codes_that_are_not_raised_are_listed() -> None:
    listed = set(re.findall(r"^\| ([0-9A-D][0-9]) \|", PAGE, re.MULTILINE))
    assert listed == set(code_table("nhi-codes")) - set(HEADINGS)


def test_each_code_that_is_explained_has_a_pair_of_records_in_the_tests() -> None:
    in_packages = {"22", "25", "27"}
    assert sealed().header
    assert STEM
    assert set(HEADINGS) - in_packages <= {change[0] for change in CHANGES}


def test_each_code_has_a_text_that_begins_with_the_words_of_the_nhi() -> None:
    for code, name in code_table("nhi-codes").items():
        texts = finding_texts()[code]
        assert texts["zh"]["message"].startswith(name.name_zh)
        assert texts["en"]["message"].startswith(name.name_en)


def test_our_own_findings_about_records_are_on_the_page() -> None:
    own = re.findall(r"^\| ([a-z-]{4,}) \| (error|warning) \|", PAGE, re.MULTILINE)
    assert own
    assert {code for code, _ in own} <= set(finding_texts())
