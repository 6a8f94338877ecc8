"""The readers of all doors, by what the payload is. A new format is one line here."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.folder.formats.csv_results import read_csv
from adapters.folder.formats.ic_card import read_ic_card
from adapters.folder.formats.nhi_upload import read_nhi_xml, read_nhi_zip
from adapters.folder.formats.table_files import read_dbf, read_fixed, read_xls, read_xlsx
from adapters.folder.formats.visits_csv import read_visits_csv
from adapters.hl7.oru import read_hl7
from adapters.nhi.report_reader import read_check_report_file
from adapters.ports.intake import Media
from mapping.parsed import Reader

READERS: Mapping[Media, Reader] = {
    Media.HL7V2: read_hl7,
    Media.FHIR_JSON: read_fhir_json,
    Media.FHIR_XML: read_fhir_xml,
    Media.CSV: read_csv,
    Media.XLSX: read_xlsx,
    Media.XLS: read_xls,
    Media.DBF: read_dbf,
    Media.FIXED_WIDTH: read_fixed,
    Media.VISITS_CSV: read_visits_csv,
    Media.IC_CARD_XML: read_ic_card,
    Media.NHI_XML: read_nhi_xml,
    Media.NHI_ZIP: read_nhi_zip,
    Media.CHECK_REPORT: read_check_report_file,
}
