"""Receipts: what came in, byte for byte, with its acknowledgement on an axis of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, literal_column, select, update

from adapters.ports.intake import Payload
from broker.states import RECEIPT_TRANSITIONS, Acknowledgement, ReceiptState, sources_of
from broker.store.rows import AnyRow
from broker.store.schema import receipt

_COLUMNS = (
    "id",
    "source_id",
    "door",
    "media",
    "control_id",
    "name",
    "sha256",
    "identity",
    "received_at",
    "state",
    "acknowledgement",
    "raw",
)
# The hot path hands plain tuples to the driver: about a third of the cost of bound parameters.
_APPEND = (
    f"INSERT OR IGNORE INTO receipt ({', '.join(_COLUMNS)}) "  # noqa: S608 - constants only
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)
# A literal, so that SQLite can prove that its partial index holds all that is asked for.
IS_STORED = receipt.c.state == literal_column("'stored'")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ReceiptRow = tuple[str, str, str, str, str, bytes, bytes, int, str, str, bytes]


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    receipt_id: int
    duplicate: bool


def receipt_row(payload: Payload, received_at: datetime) -> ReceiptRow:
    """The row of a payload. Its identity is source + control id + bytes, never the id alone."""
    digest = hashlib.sha256(payload.raw).digest()
    identity = hashlib.sha256(
        b"%s\0%s\0%s" % (payload.source_id.encode(), payload.control_id.encode(), digest)
    ).digest()[:16]
    return (
        payload.source_id,
        payload.door.value,
        payload.media.value,
        payload.control_id,
        payload.name,
        digest,
        identity,
        (received_at - _EPOCH) // _MICROSECOND,
        ReceiptState.STORED.value,
        Acknowledgement.OWED.value,
        payload.raw,
    )


class ReceiptAppender:
    """Appends groups of receipts, giving ids itself: there is one writer."""

    def __init__(self, connection: Connection) -> None:
        self._next_id: int | None = self._first_free(connection)

    def append(self, connection: Connection, rows: Sequence[ReceiptRow]) -> list[StoredReceipt]:
        """Insert what is new; tell for each row its id and whether it was there before."""
        if not rows:
            return []
        first = self._next_id or self._first_free(connection)
        numbered = [(first + index, *row) for index, row in enumerate(rows)]
        result = connection.exec_driver_sql(_APPEND, numbered)
        self._next_id = first + len(rows)
        if result.rowcount == len(rows):
            return [StoredReceipt(values[0], False) for values in numbered]
        return [self._identify(connection, values[0], values[7]) for values in numbered]

    def reset(self) -> None:
        """Forget the counter after a group that was rolled back."""
        self._next_id = None

    @staticmethod
    def _first_free(connection: Connection) -> int:
        highest: int | None = connection.execute(select(func.max(receipt.c.id))).scalar()
        return (highest or 0) + 1

    @staticmethod
    def _identify(connection: Connection, offered_id: int, identity: Any) -> StoredReceipt:
        stored_id = connection.execute(
            select(receipt.c.id).where(receipt.c.identity == identity)
        ).scalar_one()
        if stored_id == offered_id:
            return StoredReceipt(stored_id, False)
        connection.execute(
            update(receipt).where(receipt.c.id == stored_id).values(repeats=receipt.c.repeats + 1)
        )
        return StoredReceipt(stored_id, True)


def mark_acknowledged(connection: Connection, receipt_ids: Sequence[int], how: str) -> None:
    """Note how the answers went out. ``how`` is an :class:`Acknowledgement` value."""
    for start in range(0, len(receipt_ids), 500):
        connection.execute(
            update(receipt)
            .where(receipt.c.id.in_(receipt_ids[start : start + 500]))
            .values(acknowledgement=how)
        )


def settle_acknowledgements_after_crash(connection: Connection) -> int:
    """Answers still owed when the process died were never provably delivered."""
    return connection.execute(
        update(receipt)
        .where(receipt.c.acknowledgement == Acknowledgement.OWED.value)
        .values(acknowledgement=Acknowledgement.UNDELIVERED.value)
    ).rowcount


def open_receipts(connection: Connection, after_id: int, limit: int) -> Sequence[AnyRow]:
    """Stored receipts in the order they came, with their bytes."""
    return connection.execute(
        select(receipt)
        .where(IS_STORED, receipt.c.id > after_id)
        .order_by(receipt.c.id)
        .limit(limit)
    ).all()


def finish_receipt(
    connection: Connection,
    receipt_id: int,
    state: ReceiptState,
    *,
    content: str = "",
    error_code: str = "",
    error_text: str = "",
    findings: Sequence[dict[str, Any]] = (),
) -> None:
    """Move a receipt to ``parsed`` or ``quarantined`` with what a person needs to know."""
    connection.execute(
        update(receipt)
        .where(
            receipt.c.id == receipt_id,
            receipt.c.state.in_(sources_of(RECEIPT_TRANSITIONS, state)),
        )
        .values(
            state=state.value,
            content=content,
            error_code=error_code,
            error_text=error_text,
            findings=json.dumps(list(findings), ensure_ascii=False),
        )
    )


def replay_receipt(connection: Connection, receipt_id: int) -> bool:
    """Let the pipeline read the same bytes again. False where there is no such receipt."""
    return (
        connection.execute(
            update(receipt)
            .where(
                receipt.c.id == receipt_id,
                receipt.c.state.in_(sources_of(RECEIPT_TRANSITIONS, ReceiptState.STORED)),
            )
            .values(state=ReceiptState.STORED.value)
        ).rowcount
        == 1
    )


def list_receipts(connection: Connection, page: int = 1000) -> Iterator[AnyRow]:
    """All receipts without their bytes, oldest first, a page at a time."""
    columns = [column for column in receipt.c if column.name != "raw"]
    after = 0
    while True:
        rows = connection.execute(
            select(*columns).where(receipt.c.id > after).order_by(receipt.c.id).limit(page)
        ).all()
        yield from rows
        if len(rows) < page:
            return
        after = rows[-1].id
