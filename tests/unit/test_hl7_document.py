"""MDM: a report as a document."""

from __future__ import annotations

import pytest

from mapping.parsed import Content
from mapping.report import ObservationStatus, ReportStatus
from tests.hl7_samples import MSH, OBR, ORC, PID, codes, message, read, read_report, with_fields

TXA = "TXA|1|33070C^CT^L|FT|202603210810||202603210900|202603210930|||||DOC-1||P-9|F-9||LA||AV"
TEXT = ("OBX|1|TX|GDT^Report^L||IMPRESSION:||||||F", "OBX|2|TX|GDT^Report^L||No mass.||||||F")


def document(event: str = "T02", txa: str = TXA, *segments: str) -> bytes:
    head = with_fields(MSH, f9=f"MDM^{event}^MDM_T02")
    return message(head, "EVN|T02|202603211000", PID, "PV1|1|O", *(segments or (txa, *TEXT)))


def test_a_document_is_a_report_with_its_text() -> None:
    report = read_report(document())
    assert report.service[0].code == "33070C"
    assert [line.value for line in report.observations] == ["IMPRESSION:\nNo mass."]
    assert (report.placer_order_number, report.filler_order_number) == ("P-9", "F-9")
    assert report.specimen.collected_at is not None
    assert report.specimen.collected_at.taipei.hour == 8
    assert report.reported_at is not None
    assert report.reported_at.taipei.minute == 30
    assert report.status is ReportStatus.FINAL


def test_what_the_order_says_stands_before_what_the_document_says() -> None:
    report = read_report(document("T02", TXA, ORC, OBR, TXA, *TEXT))
    assert report.service[0].code == "09005C"
    assert report.filler_order_number == "F-1"
    assert report.reported_at is not None
    assert report.reported_at.taipei.minute == 0
    assert [line.value for line in report.observations] == ["IMPRESSION:\nNo mass."]


@pytest.mark.parametrize("letters", ["DI", "DO", "IN", "IP", "PA", "??"])
def test_a_document_that_nobody_signed_is_not_final(letters: str) -> None:
    report = read_report(document(txa=with_fields(TXA, f17=letters)))
    assert report.status is ReportStatus.PRELIMINARY
    assert {line.status for line in report.observations} == {ObservationStatus.PRELIMINARY}


@pytest.mark.parametrize("letters", ["CA", "OB", "UN"])
def test_a_document_that_was_taken_back_takes_its_text_back(letters: str) -> None:
    report = read_report(document(txa=with_fields(TXA, f19=letters)))
    assert report.status is ReportStatus.CANCELLED
    assert {line.status for line in report.observations} == {ObservationStatus.WITHDRAWN}


@pytest.mark.parametrize("event", ["T08", "T10"])
def test_an_edited_or_replacing_document_is_a_correction_of_the_one_before(event: str) -> None:
    txa = with_fields(TXA, f15="", f12="DOC-2", f13="DOC-1")
    report = read_report(document(event, txa))
    assert report.status is ReportStatus.CORRECTED
    assert report.filler_order_number == "DOC-1"
    assert read_report(document("T02", with_fields(TXA, f15=""))).filler_order_number == "DOC-1"


def test_an_addendum_never_replaces_the_report() -> None:
    parsed = read(document("T06"))
    (held,) = (finding for finding in parsed.findings if finding.code == "hl7-addendum")
    assert held.place == parsed.reports[0].place


def test_one_text_for_several_orders_is_for_a_person() -> None:
    parsed = read(document("T02", TXA, OBR, with_fields(OBR, f4="09001C"), TXA, *TEXT))
    places = [each.place for each in parsed.findings if each.code == "hl7-document-of-several"]
    assert places == ["OBR[1]", "OBR[2]"]


@pytest.mark.parametrize("event", ["T01", "T03", "T05", "T07", "T09", "T11"])
def test_a_notice_of_a_document_carries_nothing_and_says_so(event: str) -> None:
    parsed = read(document(event))
    assert parsed.content is Content.NOTHING
    assert "hl7-not-a-result" in codes(parsed)
