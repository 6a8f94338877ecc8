"""FHIR status codes → what they mean here. Both are required bindings: no other code is legal."""

from __future__ import annotations

from mapping.report import ObservationStatus, ReportStatus

OBSERVATION_STATUS = {
    "registered": ObservationStatus.PRELIMINARY,
    "preliminary": ObservationStatus.PRELIMINARY,
    "final": ObservationStatus.FINAL,
    "amended": ObservationStatus.CORRECTED,
    "corrected": ObservationStatus.CORRECTED,
    "cancelled": ObservationStatus.NOT_DONE,
    "entered-in-error": ObservationStatus.WITHDRAWN,
    "unknown": ObservationStatus.PRELIMINARY,
}
"""R4 observation-status. "unknown" is not known to be final, so nothing may be built on it."""

REPORT_STATUS = {
    "registered": ReportStatus.PRELIMINARY,
    "partial": ReportStatus.PRELIMINARY,
    "preliminary": ReportStatus.PRELIMINARY,
    "final": ReportStatus.FINAL,
    "amended": ReportStatus.CORRECTED,
    "corrected": ReportStatus.CORRECTED,
    "appended": ReportStatus.CORRECTED,
    "cancelled": ReportStatus.CANCELLED,
    "entered-in-error": ReportStatus.CANCELLED,
    "unknown": ReportStatus.PRELIMINARY,
}
"""R4 diagnostic-report-status."""
