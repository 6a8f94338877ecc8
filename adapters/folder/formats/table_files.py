"""Result files that are tables of other kinds than CSV, by the profile of their source."""

from __future__ import annotations

from adapters.folder.formats.csv_results import csv_table, read_csv
from adapters.folder.formats.dbf_table import dbf_table
from adapters.folder.formats.fixed_width import fixed_table
from adapters.folder.formats.table_results import read_results
from adapters.folder.formats.table_rows import Rows
from adapters.folder.formats.xls_table import xls_table
from adapters.folder.formats.xlsx_table import xlsx_table
from mapping.file_profile import FileProfile, TableFormat
from mapping.parsed import ParsedPayload
from mapping.profile import SourceProfile

__all__ = ["open_table", "read_csv", "read_dbf", "read_fixed", "read_xls", "read_xlsx"]


def open_table(raw: bytes, kind: TableFormat, layout: FileProfile) -> Rows:
    """The rows of a table of ``kind``. Raises UnreadablePayload, at once or on the way."""
    if kind is TableFormat.XLSX:
        return xlsx_table(raw, layout.sheet)
    if kind is TableFormat.XLS:
        return xls_table(raw, layout.sheet)
    if kind is TableFormat.DBF:
        return dbf_table(raw, layout.encoding)
    if kind is TableFormat.FIXED:
        return fixed_table(raw, layout)
    return csv_table(raw, layout)


def read_xlsx(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read an Excel workbook; see ``read_results``. Raises UnreadablePayload."""
    return _read(raw, profile, TableFormat.XLSX)


def read_xls(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read an old Excel workbook; see ``read_results``. Raises UnreadablePayload."""
    return _read(raw, profile, TableFormat.XLS)


def read_dbf(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read a DBF table; see ``read_results``. Raises UnreadablePayload."""
    return _read(raw, profile, TableFormat.DBF)


def read_fixed(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read a file of fixed width; see ``read_results``. Raises UnreadablePayload."""
    return _read(raw, profile, TableFormat.FIXED)


def _read(raw: bytes, profile: SourceProfile, kind: TableFormat) -> ParsedPayload:
    layout = profile.file_layout
    return read_results(open_table(raw, kind, layout), layout, kind)
