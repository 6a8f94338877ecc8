"""The settings of retention: for how long what is final is kept."""

from __future__ import annotations

from collections.abc import Mapping

from broker.config.reading import Values
from broker.config.shape import Key, Kind, Section

_LEAST_DAYS = 60
"""As long as an order without a result is looked for."""


def _days(name: str, meaning: str) -> Key:
    return Key(name, Kind.INTEGER, None, meaning, least=_LEAST_DAYS, most=36_500)


RETENTION = Section(
    "retention",
    "For how many days what is final is kept; unset: for good. Erased at night. What waits for a "
    "person, for NHI or for a clinic is never erased, and the audit trail never is.",
    (
        _days(
            "raw_payload_days",
            "The bytes of payloads. Without them results are not shown any more by FHIR and the "
            "inbox, and cannot be replayed; records, verdicts and digests stay.",
        ),
        _days(
            "delivery_body_days",
            "What was refused by a destination and has arrived since; what arrives is not kept.",
        ),
        _days("check_report_days", "NHI's check reports that were read; verdicts stay."),
        _days(
            "attempt_days",
            "Tries to send packages that are checked, and to deliver what has arrived.",
        ),
    ),
)


def retention_days(values: Values) -> Mapping[str, int | None]:
    """Days by what is kept (``raw_payloads`` …)."""
    return {
        "raw_payloads": values["raw_payload_days"],
        "delivery_bodies": values["delivery_body_days"],
        "check_reports": values["check_report_days"],
        "attempts": values["attempt_days"],
    }
