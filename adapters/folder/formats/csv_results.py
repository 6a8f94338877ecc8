"""Result files as CSV: one row for each result line. The layout is in ``csv_layout``."""

from __future__ import annotations

from adapters.folder.formats.csv_text import csv_rows, csv_text, usual_delimiter
from adapters.folder.formats.table_results import read_results
from adapters.folder.formats.table_rows import Rows
from mapping.file_profile import FileProfile, TableFormat
from mapping.parsed import ParsedPayload
from mapping.profile import SourceProfile


def read_csv(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read a result CSV or TSV by the layout of its source; see ``read_results``.

    Raises UnreadablePayload where the encoding, the header or the quoting is unusable.
    """
    layout = profile.file_layout
    return read_results(csv_table(raw, layout), layout, TableFormat.CSV)


def csv_table(raw: bytes, layout: FileProfile) -> Rows:
    """The rows of a CSV. Without a profile of its own the delimiter is the one between the usual
    header texts."""
    text = csv_text(raw, layout.encoding, layout.delimiter)
    delimiter = layout.delimiter
    if not layout.only_named:
        delimiter = usual_delimiter(text, delimiter)
    for number, row in enumerate(csv_rows(text, delimiter), start=1):
        yield number, row, ""
