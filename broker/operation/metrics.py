"""What is measured, beside the counts of :mod:`broker.web.health`: ages, deliveries, the machine.

Ages are of the oldest item that waits: a queue that is long and moves is well, one that is short
and stands is not. No label names a patient.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, func, select

from broker.delivery.agreement import DeliveryState
from broker.operation.backup import last_backup_at
from broker.operation.clock_offset import clock_offset
from broker.store.critical import unconfirmed_by_clinic
from broker.store.outbox import delivery_counts, oldest_undelivered_at, refused_deliveries
from broker.store.overview import oldest_open_receipt_at
from broker.store.schema import package, record

METRICS: Mapping[str, str] = {
    "labbroker_receipts": "Payloads that came in, by state.",
    "labbroker_records": "Records, by state.",
    "labbroker_records_held": "Held records, by reason.",
    "labbroker_packages": "Packages, by state.",
    "labbroker_deadline_remaining_seconds": "Until the earliest record is due that is not at NHI; "
    "negative when it is late.",
    "labbroker_oldest_unread_seconds": "Age of the oldest payload that nobody has read yet.",
    "labbroker_oldest_seconds": "Age of the oldest item that waits: unread, held, ready, unknown, "
    "delivery, critical. 0 where none does.",
    "labbroker_alarm_records": "Records of each open alarm.",
    "labbroker_deliveries": "Results on their way to clinics, by state; inboxes are not counted.",
    "labbroker_deliveries_refused_open": "Results that a clinic's system says no to, or that could "
    "not be written, and nobody has seen to.",
    "labbroker_critical_unconfirmed": "Critical results that nobody has confirmed.",
    "labbroker_disk_free_bytes": "Free on the disk of the store.",
    "labbroker_disk_free_ratio": "Free part of that disk, 0 to 1.",
    "labbroker_clock_offset_seconds": "Between this clock and NTP's time, where NTP keeps it.",
    "labbroker_clock_synchronised": "1 where something keeps the clock, else 0.",
    "labbroker_backup_age_seconds": "Since the last backup that was verified; not there before "
    "the first.",
}
"""Every metric and what it means; ``docs/reference/metrics.md`` shows the same."""


def operation_metrics(connection: Connection, folder: Path | None, now: datetime) -> list[str]:
    """The lines of Prometheus' text form. ``folder`` is the data folder, where it is known."""
    lines = _lines("labbroker_oldest_seconds", _ages(connection, now), "what")
    counts = {state.value: 0 for state in DeliveryState} | delivery_counts(connection)
    lines += _lines("labbroker_deliveries", counts, "state")
    refused = sum(row.results for row in refused_deliveries(connection))
    lines += _lines("labbroker_deliveries_refused_open", refused)
    critical = sum(row.records for row in unconfirmed_by_clinic(connection))
    lines += _lines("labbroker_critical_unconfirmed", critical)
    offset = clock_offset()
    lines += _lines("labbroker_clock_synchronised", int(offset is not None))
    if offset is not None:
        lines += _lines("labbroker_clock_offset_seconds", offset)
    if folder is not None:
        disk = shutil.disk_usage(folder)
        lines += _lines("labbroker_disk_free_bytes", disk.free)
        lines += _lines("labbroker_disk_free_ratio", disk.free / disk.total)
        last = last_backup_at(folder)
        if last is not None:
            lines += _lines("labbroker_backup_age_seconds", (now - last).total_seconds())
    return lines


def _ages(connection: Connection, now: datetime) -> dict[str, float]:
    def least(statement: Select[Any]) -> datetime | None:
        found: datetime | None = connection.execute(statement).scalar()
        return found

    waiting = {
        "unread": oldest_open_receipt_at(connection),
        "held": least(
            select(func.min(record.c.clock_started_at)).where(
                record.c.state == "held",
                record.c.held_reason.in_(("unmapped", "unmatched", "invalid")),
            )
        ),
        "ready": least(
            # A part of an order waits for its rest.
            select(func.min(record.c.ready_at)).where(
                record.c.state == "ready", record.c.awaited == ""
            )
        ),
        "unknown": least(select(func.min(package.c.sent_at)).where(package.c.state == "unknown")),
        "delivery": oldest_undelivered_at(connection),
        "critical": min((row.found_at for row in unconfirmed_by_clinic(connection)), default=None),
    }
    return {
        name: max((now - at).total_seconds(), 0.0) if at is not None else 0.0
        for name, at in waiting.items()
    }


def _lines(name: str, value: Mapping[str, float] | float, label: str = "") -> list[str]:
    head = f"# TYPE {name} gauge"
    if isinstance(value, Mapping):
        return [head, *(f'{name}{{{label}="{key}"}} {each:g}' for key, each in value.items())]
    return [head, f"{name} {value:.15g}"]
