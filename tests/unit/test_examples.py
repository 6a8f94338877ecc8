"""The example files are what the tutorial says: clean, and whole together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "source", "order_code"),
    [
        ("cbc.hl7", "sunrise-lab", "08011C"),
        ("glucose.fhir.json", "sunrise-lab", "09005C"),
        ("results.csv", "sunrise-files", "09005C"),
    ],
)
def test_an_example_result_becomes_a_whole_record_without_findings(
    name: str, source: str, order_code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    visits, settings = EXAMPLES / "visits.xml", EXAMPLES / "labbroker.toml"
    arguments = ["--visits", str(visits), "--config", str(settings), "--source", source]
    code = main(["check", "--json", str(EXAMPLES / name), *arguments])
    result = json.loads(capsys.readouterr().out)
    assert [each for each in result["findings"] if each["severity"] != "information"] == []
    assert code == 0
    (record,) = result["records"]
    assert record["order_code"] == order_code
    assert record["needs"] == {"r14": "receipt", "h16": "sealing"}


def test_the_example_visits_are_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(EXAMPLES / "visits.xml")]) == 0
    assert json.loads(capsys.readouterr().out)["visits"] == 2
