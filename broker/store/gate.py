"""What the last gate asks the store, and what it sends back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, select

from broker.channel_gate import PackedRecord, Stray
from broker.finding_json import findings_to_json
from broker.states import HeldReason, RecordState
from broker.store.packages import retire_package
from broker.store.record_moves import move_records
from broker.store.schema import package_record, receipt, record
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI


def packed_records(connection: Connection, package_id: int) -> list[PackedRecord]:
    """The records that a package stands for, as the agreements are asked about them."""
    rows = connection.execute(
        select(
            record.c.id,
            record.c.lab_code,
            record.c.clinic_code,
            record.c.order_code,
            record.c.clock_started_at,
            receipt.c.received_at,
        )
        .join(package_record, package_record.c.record_id == record.c.id)
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(package_record.c.package_id == package_id, package_record.c.active)
        .order_by(package_record.c.position)
    )
    return [
        PackedRecord(
            row.id,
            row.lab_code,
            row.clinic_code,
            row.order_code,
            tuple({_day(at) for at in (row.received_at, row.clock_started_at) if at}),
        )
        for row in rows
    ]


def turn_back(connection: Connection, package_id: int, strays: Sequence[Stray]) -> None:
    """The package stays as history; its records are sealed anew but for the strays, which are
    held."""
    retire_package(connection, package_id)
    for stray in strays:
        if stray.other_party:
            reason = HeldReason.OTHER_PARTY_UPLOADS
            finding = Finding("other-party-uploads", severity=Severity.INFORMATION)
        else:
            reason, finding = HeldReason.INVALID, Finding("no-agreement")
        move_records(
            connection,
            [stray.record_id],
            RecordState.HELD,
            held_reason=reason.value,
            findings=findings_to_json((finding,)),
        )


def _day(at: datetime) -> date:
    return at.astimezone(TAIPEI).date()
