"""Result statuses of HL7 v2, folded to what matters for an upload.

Tables 0123 (OBR-25) and 0085 (OBX-11) of v2.5.1 with the letters that v2.8.2 added. A letter
that is in neither table gives ``None``: the caller reports it and never takes it for final.
"""

from __future__ import annotations

from typing import Final

from mapping.report import ObservationStatus, ReportStatus

_REPORT: Final = {
    "F": ReportStatus.FINAL,
    "C": ReportStatus.CORRECTED,
    "A": ReportStatus.PRELIMINARY,
    "I": ReportStatus.PRELIMINARY,
    "M": ReportStatus.PRELIMINARY,
    "N": ReportStatus.PRELIMINARY,
    "O": ReportStatus.PRELIMINARY,
    "P": ReportStatus.PRELIMINARY,
    "R": ReportStatus.PRELIMINARY,
    "S": ReportStatus.PRELIMINARY,
    "X": ReportStatus.CANCELLED,
    "Y": ReportStatus.CANCELLED,
    "Z": ReportStatus.CANCELLED,
}

_OBSERVATION: Final = {
    "F": ObservationStatus.FINAL,
    "U": ObservationStatus.FINAL,
    "V": ObservationStatus.FINAL,
    "A": ObservationStatus.CORRECTED,
    "B": ObservationStatus.CORRECTED,
    "C": ObservationStatus.CORRECTED,
    "I": ObservationStatus.PRELIMINARY,
    "P": ObservationStatus.PRELIMINARY,
    "R": ObservationStatus.PRELIMINARY,
    "S": ObservationStatus.PRELIMINARY,
    "D": ObservationStatus.WITHDRAWN,
    "W": ObservationStatus.WITHDRAWN,
    "N": ObservationStatus.NOT_DONE,
    "O": ObservationStatus.NOT_DONE,
    "X": ObservationStatus.NOT_DONE,
}

_INHERITED: Final = {
    None: ObservationStatus.FINAL,
    ReportStatus.FINAL: ObservationStatus.FINAL,
    ReportStatus.CORRECTED: ObservationStatus.CORRECTED,
    ReportStatus.PRELIMINARY: ObservationStatus.PRELIMINARY,
    ReportStatus.CANCELLED: ObservationStatus.NOT_DONE,
}


def report_status(letter: str) -> ReportStatus | None:
    """OBR-25 by table 0123; ``None`` for empty and for letters outside the table."""
    return _REPORT.get(letter)


def observation_status(letter: str) -> ObservationStatus | None:
    """OBX-11 by table 0085; ``None`` for empty and for letters outside the table."""
    return _OBSERVATION.get(letter)


def inherited_status(report: ReportStatus | None) -> ObservationStatus:
    """What an OBX without a status of its own has: that of its report, else final."""
    return _INHERITED[report]


def status_of_observations(statuses: list[ObservationStatus]) -> ReportStatus:
    """What a report without a status of its own has, judged by its observations."""
    if not statuses:
        return ReportStatus.FINAL
    if ObservationStatus.CORRECTED in statuses:
        return ReportStatus.CORRECTED
    if ObservationStatus.FINAL in statuses:
        return ReportStatus.FINAL
    if ObservationStatus.PRELIMINARY in statuses:
        return ReportStatus.PRELIMINARY
    return ReportStatus.CANCELLED
