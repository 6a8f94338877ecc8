"""The readers of all doors, by what the payload is. A new format is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.fhir.ndjson import read_fhir_ndjson
from adapters.folder.formats.archive import archive_members
from adapters.folder.formats.csv_results import read_csv
from adapters.folder.formats.ic_card import read_ic_card
from adapters.folder.formats.identify import text_media
from adapters.folder.formats.nhi_upload import read_nhi_xml, read_nhi_zip
from adapters.folder.formats.table_files import read_dbf, read_fixed, read_xls, read_xlsx
from adapters.folder.formats.visits_csv import read_visits_csv
from adapters.hl7.oru import read_hl7
from adapters.nhi.report_reader import read_check_report_file
from adapters.ports.intake import Media
from mapping.errors import LabbrokerError, UnreadablePayload
from mapping.finding import Finding
from mapping.parsed import Content, ParsedPayload, Reader
from mapping.profile import SourceProfile
from mapping.report import LabReport
from mapping.visit import Visit


def read_archive(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """All files of a ZIP, one after the other; places begin with the number of the file. What one
    of them stops is a finding. Raises UnreadablePayload where the ZIP itself cannot be read."""
    reports: list[LabReport] = []
    visits: list[Visit] = []
    findings: list[Finding] = []
    for number, member in enumerate(archive_members(raw, text_media(profile)), start=1):
        place = f"file {number}"
        try:
            if member.media is Media.UNKNOWN:
                raise UnreadablePayload(reason="no known format matches", place=place)
            parsed = READERS[member.media](member.raw, profile)
        except LabbrokerError as error:
            findings.append(_unread(place, error))
            continue
        reports += (replace(each, place=f"{place}: {each.place}") for each in parsed.reports)
        visits += parsed.visits
        findings += (replace(each, place=f"{place}: {each.place}") for each in parsed.findings)
    content = Content.REPORTS if reports else Content.VISITS if visits else Content.NOTHING
    return ParsedPayload(content, tuple(reports), tuple(visits), tuple(findings), kind="ZIP")


def _unread(place: str, error: LabbrokerError) -> Finding:
    parameters = (("reason", error.sentence("en")), ("reason_zh", error.sentence("zh")))
    return Finding("archive-file-unread", "", place, parameters=parameters)


READERS: Mapping[Media, Reader] = {
    Media.HL7V2: read_hl7,
    Media.FHIR_JSON: read_fhir_json,
    Media.FHIR_XML: read_fhir_xml,
    Media.FHIR_NDJSON: read_fhir_ndjson,
    Media.CSV: read_csv,
    Media.XLSX: read_xlsx,
    Media.XLS: read_xls,
    Media.DBF: read_dbf,
    Media.FIXED_WIDTH: read_fixed,
    Media.ZIP: read_archive,
    Media.VISITS_CSV: read_visits_csv,
    Media.IC_CARD_XML: read_ic_card,
    Media.NHI_XML: read_nhi_xml,
    Media.NHI_ZIP: read_nhi_zip,
    Media.CHECK_REPORT: read_check_report_file,
}
