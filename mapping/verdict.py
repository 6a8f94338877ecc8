"""NHI's printed check report, read back: which record, which field, which code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckedRecord:
    """One record of the report.

    ``values`` are the printed values by tag, cut where NHI cuts them. ``flagged`` are the tags
    marked with ``*``. ``error_code`` is ``""`` on a report of correct records.
    """

    values: Mapping[str, str]
    flagged: tuple[str, ...]
    error_code: str
    row_number: str = ""
    """r1 of the row that the record prints."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """``accepted`` tells which of the two reports (檢核正確 / 檢核錯誤) this is.

    ``unknown_lines`` are printed lines that belong to no record, kept for a person.
    """

    institution_code: str
    uploaded_on: str
    """ROC date as printed, 7 digits."""
    receipt_number: str
    records: tuple[CheckedRecord, ...]
    unknown_lines: tuple[str, ...] = ()
    accepted: bool = False
