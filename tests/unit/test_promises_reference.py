"""The page of promises names tests that exist, figures as the tests have them, and each promise
twice: with its figures and with its tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.seeded_faults.faults import read_faults

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "promises.md").read_text(encoding="utf-8")
_ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]
FIGURES = [row for row in _ROWS if len(row) == 4]
PROOFS = [row for row in _ROWS if len(row) == 2]
_TEST = re.compile(r"`(tests/[^`:]+\.py)(?:::(\w+))?`")
_DEFAULT = re.compile(r'os\.environ\.get\(\s*"(LABBROKER_\w+)",\s*"(\d+)"\s*\)')
_FAULTS = (
    "acknowledged before the commit",
    "synchronous NORMAL",
    "the folder is never synchronised",
    "a package in flight is ready again after a crash",
    "a PIN is tried twice",
    "a DOCTYPE is read",
    "bytes that are no text are replaced",
    "a clinic sees the results of all clinics",
    "bytes of a result that is unknown are erased",
    "a body is in the log",
)


def defaults() -> dict[str, int]:
    """What each variable is where nobody sets it."""
    found: dict[str, int] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        for name, number in _DEFAULT.findall(path.read_text(encoding="utf-8")):
            found[name] = int(number)
    return found


def test_each_promise_has_its_figures_and_its_tests() -> None:
    assert [row[0] for row in FIGURES] == [row[0] for row in PROOFS]
    assert len(FIGURES) > 20
    for promise, proofs in PROOFS:
        assert _TEST.search(proofs), promise


@pytest.mark.parametrize("row", PROOFS, ids=lambda row: row[0].replace(" ", "-")[:40])
def test_each_test_that_is_named_exists(row: list[str]) -> None:
    for path, name in _TEST.findall(row[1]):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text, f"{path}::{name}"


def test_each_figure_is_the_one_of_its_test() -> None:
    known = defaults()
    for promise, usual, full, _ in FIGURES:
        for number, variable in enumerate(re.findall(r"`(LABBROKER_\w+)`", full)):
            if variable not in known:
                text = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
                assert f'"{variable}"' in text, f"{promise}: no test asks for {variable}"
                continue
            figures = [int(each.replace(",", "")) for each in re.findall(r"\d[\d,]*", usual)]
            assert known[variable] in figures, f"{promise}: {variable} is {known[variable]}"
            assert number < 2


def test_the_faults_that_are_promised_to_be_noticed_are_in_the_list() -> None:
    names = {fault.name for fault in read_faults()}
    assert names.issuperset(_FAULTS)
