"""What a change of the clinic's card data, or of a patient's wish, means for results that were on
their way already."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import Connection, select, update

from broker.finding_json import findings_from_json, findings_to_json
from broker.states import HeldReason, PackageState, RecordState
from broker.store.packages import TASKS, retire_package
from broker.store.record_moves import move_records
from broker.store.rows import AnyRow
from broker.store.schema import package, record
from mapping.finding import Finding
from mapping.match import Reason
from mapping.visit import Visit

Hindrance: TypeAlias = "tuple[HeldReason, str] | None"

_GONE = frozenset(
    {
        RecordState.INFLIGHT,
        RecordState.UNKNOWN,
        RecordState.CHECKING,
        RecordState.ACCEPTED,
        RecordState.REJECTED,
        RecordState.SEALED,
    }
)


def apply_hindrances(connection: Connection, visit_id: int, item: Visit) -> None:
    """Take back what must not be uploaded any more: what is ready is held; a package of which
    nothing was sent is taken apart; what may have left becomes a task for a person, since only
    NHI's division can take it back."""
    for package_id in _untouched_packages(connection, visit_id, item):
        retire_package(connection, package_id)
    rows = connection.execute(
        select(
            record.c.id,
            record.c.order_code,
            record.c.place,
            record.c.state,
            record.c.task,
            record.c.findings,
        ).where(record.c.visit_id == visit_id, record.c.state != RecordState.SUPERSEDED.value)
    ).all()
    for row in rows:
        found = hindrance(item, row.order_code)
        if row.state == RecordState.READY.value and found is not None:
            _hold(connection, row, *found)
        elif RecordState(row.state) in _GONE:
            _set_task(connection, row, found)


def hindrance(item: Visit, order_code: str) -> Hindrance:
    """Why results of ``order_code`` at this visit must not be uploaded, with the finding's code;
    None where they may."""
    if item.cancelled:
        return HeldReason.UNMATCHED, Reason.VISIT_CANCELLED.value
    lines = [order for order in item.orders if order.order_code == order_code]
    valid = [order for order in lines if not order.cancelled]
    if not valid:
        return (HeldReason.UNMATCHED, Reason.ORDER_CANCELLED.value) if lines else None
    opted_out = [order for order in valid if order.upload_opted_out]
    if len(opted_out) == len(valid):
        return HeldReason.OPTED_OUT, "opted-out"
    return (HeldReason.UNMATCHED, Reason.SEVERAL_ORDERS.value) if opted_out else None


def _untouched_packages(connection: Connection, visit_id: int, item: Visit) -> list[int]:
    rows = connection.execute(
        select(record.c.order_code, package.c.id)
        .join(package, package.c.id == record.c.package_id)
        .where(
            record.c.visit_id == visit_id,
            record.c.state == RecordState.SEALED.value,
            package.c.state == PackageState.SEALED.value,
        )
    ).all()
    return sorted({row.id for row in rows if hindrance(item, row.order_code) is not None})


def _hold(connection: Connection, row: AnyRow, reason: HeldReason, code: str) -> None:
    finding = Finding(code, place=row.place, parameters=(("order_code", row.order_code),))
    findings = (*findings_from_json(row.findings), finding)
    move_records(
        connection,
        [row.id],
        RecordState.HELD,
        held_reason=reason.value,
        findings=findings_to_json(findings),
    )


def _set_task(connection: Connection, row: AnyRow, found: Hindrance) -> None:
    if found is None and row.task not in TASKS:
        return
    wanted = ""
    if found is not None:
        wanted = "sent-opted-out" if found[0] is HeldReason.OPTED_OUT else "sent-order-cancelled"
    if wanted != row.task:
        connection.execute(update(record).where(record.c.id == row.id).values(task=wanted))
