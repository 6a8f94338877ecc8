"""What may be erased after its time, and its erasing: bytes that nobody will read again.

A row is never taken away but for tries, whose outcome stands in what they tried to send. Of a
receipt all stays but its bytes: its identity and digest say that the same bytes came before.
Nothing goes that is not final, and nothing of the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from broker.delivery.agreement import DeliveryState
from broker.states import Acknowledgement, PackageState, ReceiptState, RecordState
from broker.store.code_tables import waiting_code
from broker.store.delivery_tables import critical_result, delivery_attempt, outgoing
from broker.store.receipts import HAS_BYTES
from broker.store.report_tables import lab_report
from broker.store.schema import (
    attempt,
    package,
    package_record,
    receipt,
    record,
    visit,
    visit_order,
)
from mapping.parsed import Content

ROWS_AT_ONCE = 500


class Kept(StrEnum):
    """What is kept for a time of its own."""

    RAW_PAYLOADS = "raw_payloads"
    DELIVERY_BODIES = "delivery_bodies"
    CHECK_REPORTS = "check_reports"
    ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True)
class Erased:
    """``size`` in bytes."""

    rows: int = 0
    size: int = 0

    def __add__(self, other: Erased) -> Erased:
        return Erased(self.rows + other.rows, self.size + other.size)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step erased; ``last_id`` None where nothing was left."""

    erased: Erased
    last_id: int | None


@dataclass(frozen=True, slots=True)
class Shelf:
    """Rows of one table that are kept for the same time."""

    kept: Kept
    found: Callable[[datetime, int], Select[Any]]
    """``(before, after_id)`` → ``id`` and ``size`` of what may go, by id."""
    erase: Callable[[Connection, list[int]], object]


def erase_some(
    connection: Connection, shelf: Shelf, before: datetime, after_id: int, *, dry_run: bool = False
) -> Step:
    """Erase the next rows of a shelf that are older than ``before``; they are judged in the
    caller's transaction, which is the one that erases them."""
    rows = connection.execute(shelf.found(before, after_id).limit(ROWS_AT_ONCE)).all()
    if not rows:
        return Step(Erased(), None)
    if not dry_run:
        shelf.erase(connection, [row.id for row in rows])
    return Step(Erased(len(rows), sum(row.size or 0 for row in rows)), rows[-1].id)


def _is_open(of: Any = record) -> ColumnElement[bool]:
    """Whatever is not wholly at rest; a word that does not exist yet counts as open."""
    at_rest = (RecordState.ACCEPTED.value, RecordState.SUPERSEDED.value)
    return or_(of.c.state.not_in(at_rest), of.c.task != "")


def _receipts(contents: tuple[Content, ...]) -> Callable[[datetime, int], Select[Any]]:
    def found(before: datetime, after_id: int) -> Select[Any]:
        size = func.length(receipt.c.raw)
        answered = (Acknowledgement.DELIVERED.value, Acknowledgement.NOT_OWED.value)
        return (
            select(receipt.c.id, size.label("size"))
            .where(
                receipt.c.id > after_id,
                receipt.c.received_at < before,
                receipt.c.state == ReceiptState.PARSED.value,
                receipt.c.acknowledgement.in_(answered),
                receipt.c.content.in_([each.value for each in contents]),
                size > 0,
                HAS_BYTES,
                *(~each for each in _hindrances(before)),
            )
            .order_by(receipt.c.id)
        )

    return found


def _hindrances(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Why the bytes of a receipt must stay."""
    own, other = record.alias("own"), record.alias("other")
    said, later = lab_report.alias("said"), lab_report.alias("later")
    same_order = (other.c.order_identity == own.c.order_identity) & (own.c.order_identity != "")
    uploaded = exists(
        select(record.c.id).where(
            record.c.visit_id == visit.c.id,
            record.c.order_code == visit_order.c.order_code,
            record.c.state == RecordState.ACCEPTED.value,
        )
    )
    answer_known = [
        receipt.c.findings.contains(code, autoescape=True)
        for code in ("report-record-", "report-more-", "report-lines-", "report-out-")
    ]
    return (
        exists(select(own.c.id).where(own.c.receipt_id == receipt.c.id, _is_open(own))),
        # Another word on the same order may be laid against this one.
        exists(
            select(own.c.id)
            .join(other, same_order)
            .where(own.c.receipt_id == receipt.c.id, _is_open(other))
        ),
        exists(
            select(outgoing.c.id).where(
                outgoing.c.receipt_id == receipt.c.id,
                outgoing.c.state != DeliveryState.ACKNOWLEDGED.value,
            )
        ),
        exists(
            select(critical_result.c.id).where(
                critical_result.c.receipt_id == receipt.c.id,
                critical_result.c.waits,
            )
        ),
        exists(select(waiting_code.c.receipt_id).where(waiting_code.c.receipt_id == receipt.c.id)),
        # A younger word on the same result is shown with all that was said before it.
        exists(
            select(said.c.id)
            .join(
                later,
                (later.c.national_id == said.c.national_id) & (later.c.identity == said.c.identity),
            )
            .where(
                said.c.receipt_id == receipt.c.id,
                said.c.identity != b"",
                later.c.stored_at >= before,
            )
        ),
        # An order that still waits for its result, or whose result is not at NHI.
        exists(
            select(visit.c.id)
            .join(visit_order, visit_order.c.visit_id == visit.c.id)
            .where(visit.c.receipt_id == receipt.c.id, visit_order.c.wanted, ~uploaded)
        ),
        exists(
            select(visit.c.id).where(
                visit.c.receipt_id == receipt.c.id, visit.c.visit_on >= before.date()
            )
        ),
        # What a check report told of and nobody could place is for a person.
        (receipt.c.content == Content.CHECK_REPORT.value) & or_(*answer_known),
    )


def _all_final() -> ColumnElement[bool]:
    """All records of a package are at rest, and so is the package."""
    still_open = exists(
        select(record.c.id)
        .join(package_record, package_record.c.record_id == record.c.id)
        .where(package_record.c.package_id == package.c.id, _is_open())
    )
    return (package.c.state == PackageState.CHECKED.value) & ~still_open


def _reports(before: datetime, after_id: int) -> Select[Any]:
    return (
        select(package.c.id, func.length(package.c.raw_verdict).label("size"))
        .where(
            package.c.id > after_id,
            package.c.checked_at < before,
            package.c.raw_verdict.is_not(None),
            _all_final(),
        )
        .order_by(package.c.id)
    )


def _bodies(before: datetime, after_id: int) -> Select[Any]:
    """What was refused and has arrived since: what arrives loses its body by itself."""
    later = outgoing.alias("later")
    arrived = exists(
        select(later.c.id).where(
            later.c.destination == outgoing.c.destination,
            later.c.receipt_id == outgoing.c.receipt_id,
            later.c.number == outgoing.c.number,
            later.c.again > outgoing.c.again,
            later.c.state == DeliveryState.ACKNOWLEDGED.value,
            later.c.ended_at < before,
        )
    )
    return (
        select(outgoing.c.id, func.length(outgoing.c.body).label("size"))
        .where(
            outgoing.c.id > after_id,
            outgoing.c.state.in_((DeliveryState.REFUSED.value, DeliveryState.ACKNOWLEDGED.value)),
            outgoing.c.ended_at < before,
            outgoing.c.body.is_not(None),
            or_(outgoing.c.state == DeliveryState.ACKNOWLEDGED.value, arrived),
        )
        .order_by(outgoing.c.id)
    )


def _sends(before: datetime, after_id: int) -> Select[Any]:
    return (
        select(attempt.c.id, func.length(attempt.c.raw_answer).label("size"))
        .join(package, package.c.id == attempt.c.package_id)
        .where(
            attempt.c.id > after_id,
            attempt.c.ended_at < before,
            package.c.checked_at < before,
            _all_final(),
        )
        .order_by(attempt.c.id)
    )


def _deliveries(before: datetime, after_id: int) -> Select[Any]:
    return (
        select(delivery_attempt.c.id, literal(0).label("size"))
        .join(outgoing, outgoing.c.id == delivery_attempt.c.outgoing_id)
        .where(
            delivery_attempt.c.id > after_id,
            delivery_attempt.c.ended_at < before,
            outgoing.c.state == DeliveryState.ACKNOWLEDGED.value,
            outgoing.c.ended_at < before,
        )
        .order_by(delivery_attempt.c.id)
    )


def _empty(table: Any, values: Mapping[str, object]) -> Callable[[Connection, list[int]], object]:
    return lambda connection, ids: connection.execute(
        update(table).where(table.c.id.in_(ids)).values(**values)
    )


def _take_away(table: Any) -> Callable[[Connection, list[int]], object]:
    return lambda connection, ids: connection.execute(delete(table).where(table.c.id.in_(ids)))


_READ = (
    Content.REPORTS,
    Content.VISITS,
    Content.QUALITY_CONTROL,
    Content.RECORDS,
    Content.NOTHING,
)

SHELVES: tuple[Shelf, ...] = (
    # What a person decided (corrections) is evidence and stays.
    Shelf(Kept.RAW_PAYLOADS, _receipts(_READ), _empty(receipt, {"raw": b""})),
    Shelf(Kept.DELIVERY_BODIES, _bodies, _empty(outgoing, {"body": None})),
    Shelf(Kept.CHECK_REPORTS, _reports, _empty(package, {"raw_verdict": None})),
    Shelf(Kept.CHECK_REPORTS, _receipts((Content.CHECK_REPORT,)), _empty(receipt, {"raw": b""})),
    Shelf(Kept.ATTEMPTS, _sends, _take_away(attempt)),
    Shelf(Kept.ATTEMPTS, _deliveries, _take_away(delivery_attempt)),
)
"""All that may be erased."""
