"""The rows of one report: what they share is read once, what differs makes its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from adapters.folder.formats.cell_dates import read_day, read_moment
from adapters.folder.formats.csv_words import SEX_WORDS, report_status
from mapping.collection_time import usable
from mapping.finding import Finding, Severity
from mapping.moment import Moment
from mapping.report import Coding, LabReport, Observation, Patient, Specimen

SHARED = (
    "national_id",
    "birth_on",
    "name",
    "sex",
    "clinic_code",
    "placer_order_number",
    "accession_number",
    "order_code",
    "specimen",
    "collected_at",
    "received_at",
    "reported_at",
)
"""Columns whose cells are equal in all rows of a report. Rows that differ in one of them are
reports of their own: a value is never carried from one row to another."""

_TIMES = ("collected_at", "received_at", "reported_at")
_ID_LENGTH = 10


@dataclass(slots=True)
class Group:
    """One report in the making. ``rows`` are row numbers; the header is row 1."""

    shared: tuple[str, ...]
    patient: Patient = field(init=False)
    moments: dict[str, Moment | None] = field(init=False)
    rows: list[int] = field(default_factory=list)
    lines: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.patient = Patient(
            national_id=_national_id(self._cell("national_id")),
            birth_on=_day(self._cell("birth_on")),
            sex=SEX_WORDS.get(self._cell("sex").strip().casefold(), ""),
            name=self._cell("name"),
        )
        self.moments = {column: _moment(self._cell(column)) for column in _TIMES}
        # What NHI's calendar cannot write was read for nothing.
        self.moments["collected_at"] = usable(self.moments["collected_at"])

    @property
    def place(self) -> str:
        """``row 2``, ``rows 2-13`` or ``rows 2, 5, 9``."""
        return row_place(self.rows)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The order and accession numbers that the rows carry."""
        cells = (self._cell("placer_order_number"), self._cell("accession_number"))
        return tuple(number for cell in cells if (number := cell.strip()))

    def report(self) -> LabReport:
        """The finished report."""
        order_code = self._cell("order_code").strip()
        return LabReport(
            patient=self.patient,
            service=(Coding(order_code),) if order_code else (),
            observations=tuple(self.lines),
            status=report_status(frozenset(line.status for line in self.lines)),
            clinic_code=self._cell("clinic_code").strip(),
            placer_order_number=self._cell("placer_order_number").strip(),
            accession_number=self._cell("accession_number").strip(),
            specimen=Specimen(
                kind=self._cell("specimen"),
                collected_at=self.moments["collected_at"],
                received_at=self.moments["received_at"],
            ),
            reported_at=self.moments["reported_at"],
            place=self.place,
        )

    def findings(self) -> list[Finding]:
        """What is wrong in the shared cells. An error has the place of the report: without the
        cell, and not with another value in its stead, the report must not go out."""
        found = []
        if self._cell("national_id").strip() and not self.patient.national_id:
            found.append(self._finding("csv-bad-national-id", "national_id"))
        if self._cell("birth_on").strip() and self.patient.birth_on is None:
            found.append(self._finding("csv-bad-date", "birth_on"))
        for column, moment in self.moments.items():
            if moment is None and self._cell(column).strip():
                found.append(self._finding("csv-bad-date", column))
        if self._cell("sex").strip() and not self.patient.sex:
            found.append(self._finding("csv-unknown-sex", "sex", Severity.WARNING))
        return found

    def _cell(self, column: str) -> str:
        return self.shared[_INDEX[column]]

    def _finding(self, code: str, column: str, severity: Severity = Severity.ERROR) -> Finding:
        return Finding(
            code,
            place=self.place,
            value=self._cell(column),
            severity=severity,
            parameters=(("column", column),),
        )


_INDEX = {column: index for index, column in enumerate(SHARED)}


def row_place(rows: Sequence[int]) -> str:
    """How a set of rows is named to a person."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    if rows[-1] - rows[0] == len(rows) - 1:
        return f"rows {rows[0]}-{rows[-1]}"
    shown = ", ".join(str(row) for row in rows[:10])
    return f"rows {shown}" + (f" and {len(rows) - 10} more" if len(rows) > 10 else "")


def _national_id(text: str) -> str:
    text = text.strip().upper()
    return text if len(text) == _ID_LENGTH and text.isascii() and text.isalnum() else ""


def _day(text: str) -> date | None:
    try:
        return read_day(text) if text.strip() else None
    except ValueError:
        return None


def _moment(text: str) -> Moment | None:
    try:
        return read_moment(text) if text.strip() else None
    except ValueError:
        return None
