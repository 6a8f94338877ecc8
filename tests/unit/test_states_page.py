"""The page of states says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.states import (
    PACKAGE_TRANSITIONS,
    RECEIPT_TRANSITIONS,
    RECORD_TRANSITIONS,
    Acknowledgement,
    DeadlineState,
    HeldReason,
)

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "states.md").read_text("utf-8")


def rows_under(title: str) -> dict[str, str]:
    section = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(title + "\n")]
    rows = re.findall(r"^\| (\w+) \| (.*?) \|", text, flags=re.MULTILINE)
    return dict(rows[1:])


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("Receipt", RECEIPT_TRANSITIONS),
        ("Record", RECORD_TRANSITIONS),
        ("Package", PACKAGE_TRANSITIONS),
    ],
)
def test_the_page_lists_every_transition(title: str, table: object) -> None:
    in_code = {
        before.value: ", ".join(sorted(after.value for after in targets))
        for before, targets in table.items()  # type: ignore[attr-defined]
    }
    assert rows_under(title) == in_code


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Acknowledgement", Acknowledgement),
        ("Held, and why", HeldReason),
        ("Deadline", DeadlineState),
    ],
)
def test_the_page_lists_every_value(title: str, values: type) -> None:
    assert set(rows_under(title)) == {value.value for value in values}  # type: ignore[attr-defined]
