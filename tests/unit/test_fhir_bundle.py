"""Payloads of every kind become reports; nothing of one person goes to another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.fhir import reading
from adapters.fhir.bundle import read_fhir_json
from adapters.fhir.errors import (
    NotFhir,
    NoUsableResult,
    TooManyResults,
    TransactionRefused,
)
from mapping.finding import Severity
from mapping.moment import Moment, Precision
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.report import LabReport, ReportStatus
from tests.fhir.samples import (
    CLINIC_CODE,
    LAB_CODE,
    LOINC,
    NHI_CODES,
    PROFILE,
    bundle,
    encode,
    full_bundle,
    national_id,
    observation,
    organization,
    patient,
    report,
    service_request,
    specimen,
)


def read(resource: Any, profile: SourceProfile = PROFILE) -> ParsedPayload:
    return read_fhir_json(encode(resource), profile)


def codes(parsed: ParsedPayload) -> list[str]:
    return [finding.code for finding in parsed.findings]


def values(one: LabReport) -> list[str]:
    return [line.value for line in one.observations]


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection", "document", "message"])
def test_a_full_bundle_of_any_type_is_one_whole_report(kind: str) -> None:
    parsed = read(full_bundle(kind))
    (one,) = parsed.reports
    assert (parsed.content, parsed.kind) == (Content.REPORTS, f"Bundle/{kind}")
    assert parsed.control_id == "MSG-1"
    assert parsed.findings == ()
    assert one.patient.national_id == national_id()
    assert (one.patient.sex, one.patient.name) == ("F", "測試人")
    assert one.patient.chart_number == "C-0042"
    assert (one.lab_code, one.clinic_code) == (LAB_CODE, CLINIC_CODE)
    assert (one.placer_order_number, one.filler_order_number) == ("P-500", "F-1001")
    assert one.accession_number == "A-77"
    assert one.specimen.kind == "Serum"
    assert one.specimen.received_at == Moment(datetime(2026, 8, 13, 7, tzinfo=UTC))
    assert one.reported_at == Moment(datetime(2026, 8, 14, 1, tzinfo=UTC))
    assert one.ordered_at == Moment(datetime(2026, 8, 12, 16, tzinfo=UTC), Precision.DAY)
    assert one.place == "Bundle.entry[6].resource.ofType(DiagnosticReport)"
    (line,) = one.observations
    assert line.place == "Bundle.entry[5].resource.ofType(Observation)"
    assert line.observed_at == Moment(datetime(2026, 8, 13, 0, 30, tzinfo=UTC))
    assert line.codings[0].system == NHI_CODES


def test_the_order_of_entries_does_not_matter() -> None:
    made = full_bundle()
    turned = {**made, "entry": list(reversed(made["entry"]))}
    (one,), (other,) = read(made).reports, read(turned).reports
    line = replace(other.observations[0], place=one.observations[0].place)
    assert replace(other, place=one.place, observations=(line,)) == one


def test_urn_references_and_entries_without_full_url_resolve() -> None:
    made = bundle(patient(), observation(subject={"reference": "urn:uuid:77"}))
    made["entry"][0]["fullUrl"] = "urn:uuid:77"
    assert read(made).reports[0].patient.national_id == national_id()
    bare = bundle(patient(), observation())
    for entry in bare["entry"]:
        del entry["fullUrl"]
    assert read(bare).reports[0].patient.national_id == national_id()


def test_a_lone_report_with_contained_results_is_read() -> None:
    contained = report("x", result=[{"reference": "#o1"}], subject={"reference": "#p1"})
    contained["contained"] = [patient(), observation(subject={"reference": "#p1"})]
    (one,) = read(contained).reports
    assert one.patient.national_id == national_id()
    assert one.observations[0].place == "DiagnosticReport.contained[1].ofType(Observation)"


def test_a_lone_observation_is_a_report_of_its_own() -> None:
    parsed = read(observation("o7", subject={"identifier": patient()["identifier"][0]}))
    (one,) = parsed.reports
    assert (parsed.kind, parsed.control_id) == ("Observation", "o7")
    assert one.patient.national_id == national_id()
    assert (one.service, one.status) == ((), ReportStatus.FINAL)


def test_a_conditional_reference_names_the_patient() -> None:
    target = f"Patient?identifier=http://www.moi.gov.tw|{national_id()}"
    assert read(observation(subject={"reference": target})).reports[0].patient.national_id == (
        national_id()
    )


def test_components_and_members_are_lines_under_the_panels_order_code() -> None:
    panel = observation(
        "panel",
        valueQuantity=None,
        code={"coding": [{"system": NHI_CODES, "code": "08011C", "display": "CBC"}]},
        hasMember=[{"reference": "Observation/wbc"}],
        component=[
            {
                "code": {"coding": [{"system": LOINC, "code": "718-7"}]},
                "valueQuantity": {"value": 13, "unit": "g/dL"},
            }
        ],
    )
    wbc = observation("wbc", code={"coding": [{"system": LOINC, "code": "6690-2"}]})
    (one,) = read(bundle(patient(), wbc, panel)).reports
    assert one.service[0].code == "08011C"
    assert values(one) == ["13", "95"]
    assert [line.codings[-1].code for line in one.observations] == ["08011C", "08011C"]
    assert one.observations[0].place.endswith("ofType(Observation).component[0]")


def test_members_of_a_report_are_not_reported_twice() -> None:
    panel = observation("panel", valueQuantity=None, hasMember=[{"reference": "Observation/o1"}])
    parsed = read(bundle(patient(), observation(), panel, report("panel", "o1")))
    assert [values(one) for one in parsed.reports] == [["95"]]


def test_panels_that_hold_each_other_come_to_an_end() -> None:
    one = observation("a", hasMember=[{"reference": "Observation/b"}])
    other = observation("b", hasMember=[{"reference": "Observation/a"}])
    assert [values(made) for made in read(bundle(one, other)).reports] == [["95", "95"]]


def test_results_without_a_report_are_grouped_by_subject_order_and_time() -> None:
    later = {"effectiveDateTime": "2026-08-14T08:30:00+08:00"}
    order = {"basedOn": [{"reference": "ServiceRequest/s1"}]}
    parsed = read(
        bundle(
            patient(),
            patient(id="p2"),
            service_request(),
            organization("clinic", CLINIC_CODE),
            observation("a"),
            observation("b"),
            observation("c", **later),
            observation("d", subject={"reference": "Patient/p2"}),
            observation("e", **order),
        )
    )
    assert [len(one.observations) for one in parsed.reports] == [2, 1, 1, 1]
    assert parsed.reports[-1].placer_order_number == "P-500"
    assert parsed.reports[-1].service[0].code == "09005C"


def test_a_result_of_another_person_is_kept_apart() -> None:
    other = observation("o2", subject={"reference": "Patient/p2"}, valueInteger=7)
    second = patient(id="p2", identifier=[{"system": "http://www.moi.gov.tw", "value": "B1"}])
    parsed = read(bundle(patient(), second, observation(), other, report("o1", "o2")))
    assert [values(one) for one in parsed.reports] == [["95"], ["7"]]
    assert "fhir-subject-differs" in codes(parsed)
    assert parsed.reports[1].patient.national_id == ""


def test_a_result_about_a_donor_is_not_the_patients() -> None:
    donor = observation("o2", focus=[{"reference": "Patient/p9"}])
    parsed = read(bundle(patient(), observation(), donor))
    assert len(parsed.reports) == 1
    assert "fhir-about-another-person" in codes(parsed)


def test_device_runs_and_vital_signs_are_kept_but_not_reported() -> None:
    run = observation("qc", subject={"reference": "Device/d1"})
    pulse = observation("hr", category=[{"coding": [{"code": "vital-signs"}]}])
    parsed = read(bundle(run, pulse))
    assert parsed.content is Content.NOTHING
    assert {finding.severity for finding in parsed.findings} == {Severity.INFORMATION}


def test_two_resources_under_one_name_are_not_guessed() -> None:
    second = patient(birthDate="1991-01-01")
    made = bundle(patient(), second, observation())
    parsed = read(made)
    assert parsed.reports[0].patient.national_id == ""
    assert codes(parsed) == ["fhir-reference-unresolved"]


def test_a_missing_result_is_told_and_the_others_go_on() -> None:
    parsed = read(bundle(patient(), observation(), report("o1", "o2")))
    assert values(parsed.reports[0]) == ["95"]
    lost = [finding for finding in parsed.findings if finding.severity is Severity.ERROR]
    assert [finding.place.rpartition(".")[2] for finding in lost] == ["result[1]"]


def test_a_report_whose_results_are_elsewhere_is_kept_for_a_person() -> None:
    with pytest.raises(NoUsableResult) as caught:
        read(report("o1"))
    assert [finding.code for finding in caught.value.findings][-1] == "fhir-empty-report"


def test_a_report_in_words_gives_its_conclusion() -> None:
    (one,) = read(report(conclusion="未見惡性細胞", result=None)).reports
    assert values(one) == ["未見惡性細胞"]
    assert one.observations[0].codings == one.service


def test_a_withdrawn_report_needs_no_results() -> None:
    (one,) = read(report(status="entered-in-error", result=None)).reports
    assert (one.status, one.observations) == (ReportStatus.CANCELLED, ())


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        ("registered", ReportStatus.PRELIMINARY),
        ("partial", ReportStatus.PRELIMINARY),
        ("final", ReportStatus.FINAL),
        ("appended", ReportStatus.CORRECTED),
        ("amended", ReportStatus.CORRECTED),
        ("cancelled", ReportStatus.CANCELLED),
        ("unknown", ReportStatus.PRELIMINARY),
    ],
)
def test_each_report_status_means_one_thing(status: str, meant: ReportStatus) -> None:
    made = bundle(patient(), observation(), report("o1", status=status))
    assert read(made).reports[0].status is meant


def test_a_fault_in_one_batch_entry_costs_that_entry_only() -> None:
    made = bundle(patient(), observation(), observation("o2", status="finall"), kind="batch")
    parsed = read(made)
    assert len(parsed.reports) == 1
    assert codes(parsed) == ["fhir-code-invalid"]


def test_a_fault_in_a_transaction_refuses_it_whole() -> None:
    made = bundle(patient(), observation(), observation("o2", status=None), kind="transaction")
    with pytest.raises(TransactionRefused) as caught:
        read(made)
    assert caught.value.parameters["place"] == (
        "Bundle.entry[2].resource.ofType(Observation).status"
    )


def test_a_fault_that_carries_no_result_costs_nothing() -> None:
    wrong = {"resourceType": "Provenance", "id": "x"}
    order = service_request()
    del order["intent"]
    broken = patient(maritalStatus="single", gender="female")
    made = bundle(wrong, broken, order, specimen(), observation(bodySite=5), report("o1"))
    parsed = read(made)
    assert values(parsed.reports[0]) == ["95"]
    assert parsed.reports[0].patient.national_id == national_id()
    assert parsed.reports[0].placer_order_number == "P-500"
    assert {finding.severity for finding in parsed.findings} == {Severity.WARNING}


def test_extensions_on_extensions_cost_nothing() -> None:
    odd = {
        "url": "http://a.example",
        "_valueDateTime": {"extension": [{"url": "http://b.example"}]},
    }
    parsed = read(bundle(patient(), observation(extension=[odd], _status={"extension": [odd]})))
    assert len(parsed.reports) == 1
    assert parsed.findings == ()


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"resource": {"resourceType": "Observaton", "status": "final"}}, "fhir-unknown-resource"),
        ({"resource": {"status": "final"}}, "fhir-unknown-resource"),
        ({"resource": {"resourceType": "Bundle", "type": "batch"}}, "fhir-nested-bundle"),
        ({"resource": {"resourceType": "../../etc"}}, "fhir-unknown-resource"),
        ({"fullUrl": "urn:x"}, "fhir-entry"),
        ("text", "fhir-entry"),
        ({"resource": observation(implicitRules="http://n.example")}, "fhir-modifier"),
        ({"resource": observation(modifierExtension=[{"url": "x:y"}])}, "fhir-modifier"),
        ({"resource": observation(code="text")}, "fhir-structure"),
        ({"resource": observation(surprise=1), "x": 1}, "fhir-element-ignored"),
    ],
)
def test_an_entry_that_may_hide_a_result_is_told(entry: Any, code: str) -> None:
    made = bundle(patient(), observation())
    made["entry"].append(entry)
    assert code in codes(read(made))


def test_deleting_is_not_taken_for_a_result() -> None:
    made = bundle(patient(), observation(), kind="batch")
    made["entry"].append({"request": {"method": "DELETE", "url": "Observation/o1"}})
    assert codes(read(made)) == ["fhir-method"]
    with pytest.raises(TransactionRefused):
        read({**made, "type": "transaction"})


@pytest.mark.parametrize(
    "resource",
    [
        [],
        "text",
        None,
        {},
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "foo"},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
        {"resourceType": ["Bundle"], "type": "batch"},
    ],
)
def test_what_is_no_result_at_all_is_refused_with_a_sentence(resource: Any) -> None:
    with pytest.raises(NotFhir) as caught:
        read(resource)
    assert "DiagnosticReport" in caught.value.remedy() + caught.value.sentence()


def test_an_empty_bundle_carries_nothing() -> None:
    assert read({"resourceType": "Bundle", "type": "batch"}).content is Content.NOTHING


def test_references_that_unfold_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINES", 30)
    panel = observation(
        "panel",
        valueQuantity=None,
        hasMember=[{"reference": f"Observation/o{number}"} for number in range(9)],
    )
    members = [observation(f"o{number}") for number in range(9)]
    reports = [report("panel", id=f"r{number}") for number in range(4)]
    with pytest.raises(TooManyResults):
        read(bundle(patient(), panel, *members, *reports))


def test_the_control_id_falls_back_to_the_header_and_the_id() -> None:
    header = {"resourceType": "MessageHeader", "id": "h1", "eventCoding": {"code": "R01"}}
    made = bundle(header, patient(), observation(), kind="message", id="b1")
    assert read(made).control_id == "h1"
    assert read(bundle(patient(), observation(), id="b1")).control_id == "b1"
