"""docs/reference/nhi-codes.md, the texts and the checks say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from mapping.catalogue.code_pages import code_pages_reference
from mapping.catalogue.tables import code_table
from mapping.editions.edition import editions
from mapping.finding import finding_texts
from tests.unit.test_mutation_table import TABLE

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "mapping" / "catalogue" / "findings"
PAGE = (ROOT / "docs" / "reference" / "nhi-codes.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^(?=## )", PAGE.partition("## What rests")[0], flags=re.MULTILINE)[1:]
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


def test_every_code_of_the_check_report_has_its_section() -> None:
    assert set(HEADINGS) == set(code_table("nhi-codes"))
    assert len(HEADINGS) == 46
    for section in SECTIONS:
        for part in ("* Raised here: ", "* Remedy: ", "* 檢出條件：", "* 更正方式："):
            assert len(re.findall(f"^{re.escape(part)}.", section, re.MULTILINE)) == 1, section


def test_the_sections_are_those_that_the_command_prints() -> None:
    assert "".join(SECTIONS).strip() == code_pages_reference().strip()


def test_each_code_has_pairs_of_records_in_the_mutation_table() -> None:
    found = {entry.rpartition(":")[2] for row in TABLE for entry in row["found"].split()}
    assert set(HEADINGS) <= found


def test_each_code_has_a_text_that_begins_with_the_words_of_the_nhi() -> None:
    for code, name in code_table("nhi-codes").items():
        texts = finding_texts()[code]
        assert texts["zh"]["message"].startswith(name.name_zh)
        assert texts["en"]["message"].startswith(name.name_en)


def test_our_own_findings_about_records_are_on_the_page() -> None:
    own = re.findall(r"^\| ([a-z-]{4,}) \| (error|warning|information) \|", PAGE, re.MULTILINE)
    texts = tomllib.loads((FINDINGS / "record.toml").read_text(encoding="utf-8"))
    assert {code for code, _ in own} == set(texts)
