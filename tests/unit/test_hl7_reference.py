"""The HL7 page says what the code does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from importlib import resources
from pathlib import Path

from adapters.hl7 import acknowledgement
from adapters.hl7.acknowledgement import Reply
from mapping.profile import Hl7Dialect

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "hl7.md").read_text("utf-8")


def test_every_finding_of_the_reader_is_on_the_page_and_no_other() -> None:
    table = resources.files("mapping") / "catalogue" / "findings" / "hl7.toml"
    known = set(tomllib.loads(table.read_text("utf-8")))
    listed = set(re.findall(r"`(hl7-[a-z-]+)`", PAGE))
    assert listed - {"hl7-undecodable"} == known


def test_every_answer_of_the_door_is_on_the_page() -> None:
    replies = [each for each in vars(acknowledgement).values() if isinstance(each, Reply)]
    assert {each.code for each in replies} == set(re.findall(r"^\| `(A[AER])` \|", PAGE, re.M))


def test_every_setting_of_a_dialect_is_explained() -> None:
    pages = PAGE + (DOCS / "how-to" / "connect-a-lab-by-hl7.md").read_text("utf-8")
    missing = [each.name for each in fields(Hl7Dialect) if each.name not in pages]
    assert missing == []
