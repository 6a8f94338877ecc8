"""The documentation points to what exists and says nothing of one machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.cli.commands import COMMANDS
from mapping.editions.edition import edition_on
from tests.unit.upload_samples import UPLOAD_DAY

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_path_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/", page.read_text(encoding="utf-8"))


def test_every_page_of_the_documentation_can_be_reached_from_its_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in _LINK.findall(index)}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert pages - linked == {ROOT / "docs" / "README.md"}


def test_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    missing = [each.name for each in COMMANDS if not re.search(rf"\| `{each.name}\b", page)]
    assert missing == []


def test_both_readmes_open_with_what_it_is_for_then_the_two_commands_then_one_picture() -> None:
    for name, figure in (("README.md", "9.8 million"), ("README.zh-TW.md", "984 萬")):
        text = (ROOT / name).read_text(encoding="utf-8")
        places = [text.index(part) for part in (figure, "make demo", "make test", "(ZIP)", "pip")]
        assert places == sorted(places)


def test_the_glossary_has_the_tags_of_the_edition_for_laboratory_results() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    edition = edition_on(UPLOAD_DAY)
    left_out = {"h12", "h25", "h29", "h30"} | {f"r8-{number}" for number in range(2, 10)}
    tags = {rule.tag for rule in (*edition.header, *edition.rows)} - left_out
    missing = sorted(tag for tag in tags if not re.search(rf"\b{tag}\b(?!-)", text))
    assert missing == []
