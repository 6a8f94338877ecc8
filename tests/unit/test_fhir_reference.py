"""The FHIR reference names what the code knows, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from adapters.fhir.capability import (
    SEARCH_PARAMETERS,
    SUBSCRIPTION_PARAMETERS,
    capability_statement,
)
from adapters.fhir.identifiers import KNOWN_SYSTEMS, national_ids
from adapters.fhir.search import PATIENT_PARAMETERS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "fhir.md").read_text("utf-8")


def test_the_table_of_systems_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (person|institution|order code) \| `(.+?)` \| (.+) \|$", PAGE, re.M)
    assert rows == [tuple(each) for each in KNOWN_SYSTEMS]


def test_every_search_parameter_is_described() -> None:
    names = {name for name, _, _ in SEARCH_PARAMETERS}
    own = {name for name, _, _ in SUBSCRIPTION_PARAMETERS}
    assert {name for name in own if f"`{name}`" not in PAGE} == set()
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
    assert {name for name in PATIENT_PARAMETERS if "." in name} <= names


def test_every_interaction_that_is_stated_is_described() -> None:
    (rest,) = capability_statement(updates=True, reads=True, subscriptions=True)["rest"]
    told = {it["code"] for each in rest["resource"] for it in each["interaction"]}
    shown = {
        "create": "POST /fhir/DiagnosticReport",
        "update": "PUT /fhir/Observation/ID",
        "read": "GET /fhir/Observation/ID",
        "search-type": "GET /fhir/Observation?",
        "delete": "DELETE /fhir/Subscription/ID",
    }
    assert told == shown.keys()
    assert all(text in PAGE for text in shown.values())


def test_a_system_is_known_however_it_is_written() -> None:
    for system in ("http://www.moi.gov.tw", "https://WWW.MOI.GOV.TW/", "www.moi.gov.tw"):
        assert national_ids([{"system": system, "value": "a123456789"}]) == ["A123456789"]
    assert national_ids([{"system": "http://moi.gov.tw", "value": "A123456789"}]) == []
