"""Where settings came from, and what a result entered by hand becomes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from broker.access.person import Person
from broker.access.roles import Role
from broker.config.origins import setting_origins
from broker.hand_entry import (
    EntryRow,
    EntrySubject,
    EntryWrong,
    entry_csv,
    entry_rows,
    entry_sources,
    may_enter_for,
    order_said,
    subject_said,
)
from broker.store.open_orders import Remembered
from mapping.profile import CsvLayout, SourceProfile
from mapping.record import Field, UploadRecord
from mapping.visit import Visit

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
VISIT = Visit(
    institution_code="3599900001",
    national_id="A199000017",
    birth_on=date(1970, 5, 6),
    card_at=NOW,
    visit_type="01",
    visit_serial="0001",
    visit_on=date(2026, 3, 1),
)
SUBJECT = EntrySubject(VISIT.national_id, VISIT.birth_on, VISIT.institution_code)
FORM = {"specimen": "Serum", "collected_at": "2026-03-01T09:05", "reported_at": "2026-03-02T10:00"}


def test_each_value_says_whether_environment_file_or_default_gave_it(tmp_path: Path) -> None:
    file = tmp_path / "labbroker.toml"
    file.write_text(
        'language = "en"\n\n[http]\nport = 8443\n\n[[source]]\nid = "lab"\n'
        f'token_sha256 = ["{"a" * 64}"]\n',
        "utf-8",
    )
    found = {each.path: each for each in setting_origins(file, {"LABBROKER_MLLP__PORT": "2600"})}
    assert (found["language"].place, found["language"].where) == ("file", "1")
    assert (found["http.port"].value, found["http.port"].place) == ("8443", "file")
    assert found["http.port"].where == "4"
    assert (found["mllp.port"].value, found["mllp.port"].place) == ("2600", "environment")
    assert found["mllp.port"].where == "LABBROKER_MLLP__PORT"
    assert found["mllp.host"].place == "default"
    assert found["source[1].id"].value == "lab"
    assert found["source[1].token_sha256"].value == "•••"


def test_a_file_that_is_gone_leaves_the_defaults(tmp_path: Path) -> None:
    found = setting_origins(tmp_path / "none.toml", {})
    assert found
    assert {each.place for each in found} == {"default"}


def test_an_entry_becomes_a_file_with_the_visits_own_data() -> None:
    rows = [
        EntryRow("Glucose", "mg/dL", "無", "70-99", "5.50", "N"),
        EntryRow("Insulin", "uU/mL"),
    ]
    raw = entry_csv(SUBJECT, "09005C", FORM, rows, NOW)
    (line,) = csv.DictReader(io.StringIO(raw.decode()))
    assert line["national_id"] == VISIT.national_id
    assert line["birth_on"] == "1970-05-06"
    assert (line["order_code"], line["value"], line["unit"]) == ("09005C", "5.50", "mg/dL")
    assert (line["collected_at"], line["reported_at"]) == ("2026-03-01 09:05", "2026-03-02 10:00")
    assert line["received_at"] == "2026-03-02 12:00"


@pytest.mark.parametrize(
    ("form", "rows", "name"),
    [
        (FORM, [EntryRow("Glucose")], "value_needed"),
        (FORM, [EntryRow("", value="5")], "item_needed"),
        ({**FORM, "collected_at": ""}, [EntryRow("Glucose", value="5")], "time_needed"),
        ({**FORM, "reported_at": "soon"}, [EntryRow("Glucose", value="5")], "time_needed"),
        ({**FORM, "received_at": "soon"}, [EntryRow("Glucose", value="5")], "time_needed"),
        (
            {**FORM, "collected_at": "0001-01-01T00:00+14:00"},
            [EntryRow("Glucose", value="5")],
            "time_needed",
        ),
    ],
    ids=["value", "item", "no-time", "odd-time", "odd-arrival", "no-such-time"],
)
def test_what_is_missing_of_an_entry_is_named(
    form: dict[str, str], rows: list[EntryRow], name: str
) -> None:
    with pytest.raises(EntryWrong) as wrong:
        entry_csv(SUBJECT, "09005C", form, rows, NOW)
    assert wrong.value.name == name


def test_a_time_that_says_its_offset_is_told_as_of_taipei() -> None:
    form = {**FORM, "collected_at": "2026-03-01T01:05:00+00:00", "received_at": "2026-03-02T02:00Z"}
    raw = entry_csv(SUBJECT, "09005C", form, [EntryRow("Glucose", value="5")], NOW)
    (line,) = csv.DictReader(io.StringIO(raw.decode()))
    assert (line["collected_at"], line["received_at"]) == ("2026-03-01 09:05", "2026-03-02 10:00")


def test_a_person_enters_results_for_their_own() -> None:
    own = SourceProfile("own", lab_code="JY99900001")
    other = SourceProfile("other", lab_code="JY99900002")
    strange = SourceProfile("strange", lab_code="JY99900001", csv=CsvLayout(columns={"a": "b"}))
    profiles = {each.source_id: each for each in (own, other, strange, SourceProfile("nobodys"))}
    lab = Person(1, "l", "l", Role.LAB, frozenset({"JY99900001"}))
    clinic = Person(2, "c", "c", Role.CLINIC, frozenset({VISIT.institution_code}))
    assert entry_sources(profiles, lab) == ["own"]
    assert entry_sources(profiles, clinic) == ["other", "own"]
    assert may_enter_for(lab, "3599900009")
    assert may_enter_for(clinic, VISIT.institution_code)
    assert not may_enter_for(clinic, "3599900009")


SAID = {"clinic_code": "3599900001", "national_id": "a199000017", "birth_on": "1970-05-06"}
CLERK = Person(2, "c", "c", Role.CLINIC, frozenset({VISIT.institution_code, "3599900009", "x"}))


def test_where_no_visit_is_known_a_person_says_whose_result_it_is() -> None:
    assert subject_said(SAID, CLERK) == SUBJECT
    assert order_said("09005C") == "09005C"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("clinic_code", "", "clinic_needed"),
        ("clinic_code", "x", "clinic_needed"),
        ("clinic_code", "3599900008", "clinic_needed"),
        ("national_id", "A19900001", "patient_needed"),
        ("national_id", "A19900001七", "patient_needed"),
        ("birth_on", "", "birth_needed"),
        ("birth_on", "1970-02-30", "birth_needed"),
        ("birth_on", "1970-W01-1", "birth_needed"),
    ],
    ids=["no-clinic", "no-code", "anothers", "short", "odd", "no-day", "never", "week"],
)
def test_what_is_missing_of_whose_result_it_is_is_named(name: str, value: str, wrong: str) -> None:
    with pytest.raises(EntryWrong) as told:
        subject_said({**SAID, name: value}, CLERK)
    assert told.value.name == wrong


@pytest.mark.parametrize("code", ["", "09005C/..", "0" * 13], ids=["none", "odd", "long"])
def test_an_order_code_has_its_shape(code: str) -> None:
    with pytest.raises(EntryWrong, match="order_needed"):
        order_said(code)


def test_the_form_remembers_unit_method_and_range_but_never_a_value() -> None:
    said = {
        "r1": Field("1", "report-items"),
        "r2": Field("Glucose", "OBX[1]-3"),
        "r3": Field("酵素法", "OBX[1]-17"),
        "r4": Field("92", "OBX[1]-5"),
        "r5": Field("mg/dL", "OBX[1]-6"),
        "r6-1": Field("70", "OBX[1]-7"),
        "r6-2": Field("99", "OBX[1]-7"),
    }
    (row,) = entry_rows("09005C", Remembered(UploadRecord({}, (said,)), "lab"))
    assert row == EntryRow(
        "飯前血糖 Glucose AC", "mg/dL", "酵素法", "70-99", "", "", remembered=True
    )


def test_panels_offer_their_official_rows() -> None:
    rows = entry_rows("08011C", None)
    assert len(rows) == 8
    assert not any(row.remembered for row in rows)
    assert entry_rows("00000C", None) == [EntryRow("")]
