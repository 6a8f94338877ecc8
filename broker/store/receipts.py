"""Receipts: what came in, byte for byte, with its acknowledgement on an axis of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, or_, select, update

from adapters.ports.intake import Accepted, Door, Payload
from broker.states import RECEIPT_TRANSITIONS, Acknowledgement, ReceiptState, sources_of
from broker.store.dialect import is_shared, placed
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
# Rows of one INSERT: one step of SQLite for many rows, so that the writer's thread and the loop's
# change places (and the interpreter's lock) twice for a group and not twice for a row.
_ROWS_AT_ONCE = 32
# A literal, so that SQLite can prove that its partial index holds all that is asked for.
IS_STORED = receipt.c.state == literal_column("'stored'")
IS_QUARANTINED = receipt.c.state == literal_column("'quarantined'")
HAS_BYTES = (func.length(receipt.c.raw) > 0) | (receipt.c.sha256 == hashlib.sha256(b"").digest())
"""False for a receipt whose bytes were erased after their time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STORED = ReceiptState.STORED.value
_OWED = Acknowledgement.OWED.value
_NOT_OWED = Acknowledgement.NOT_OWED.value

ReceiptRow = tuple[str, str, str, str, str, bytes, bytes, int, str, str, bytes]


def receipt_row(payload: Payload, received_at: datetime) -> ReceiptRow:
    """The row of a payload. Its identity is source + control id + bytes, never the id alone.

    Source and control id stand first, so that they order the index: senders count upwards, and
    their next message belongs beside their last one. An index ordered by a digest would write
    another page for every receipt, and the more so the fuller the store.
    """
    raw = payload.raw
    digest = hashlib.sha256(raw).digest()
    said = b"%s\0%s\0" % (payload.source_id.encode(), payload.control_id.encode())
    since = received_at - _EPOCH
    return (
        payload.source_id,
        payload.door.value,
        payload.media.value,
        payload.control_id,
        payload.name,
        digest,
        said + digest[:16],
        (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,
        _STORED,
        _NOT_OWED if payload.door is Door.COMMAND else _OWED,
        raw,
    )


@lru_cache
def _append_statement(rows: int) -> str:
    row = f"({', '.join('?' * len(_COLUMNS))})"
    return (
        f"INSERT OR IGNORE INTO receipt ({', '.join(_COLUMNS)}) "  # noqa: S608 - constants only
        f"VALUES {', '.join([row] * rows)}"
    )


@lru_cache
def _shared_statement(rows: int) -> str:
    columns = _COLUMNS[1:]
    row = f"({', '.join(['%s'] * len(columns))})"
    return (
        f"INSERT INTO receipt ({', '.join(columns)}) VALUES {', '.join([row] * rows)} "  # noqa: S608
        "ON CONFLICT (identity) DO NOTHING RETURNING id, identity"
    )


class ReceiptAppender:
    """Appends groups of receipts, giving ids itself where there is one writer."""

    def __init__(self, connection: Connection) -> None:
        self._shared = is_shared(connection)
        self._next_id: int | None = None if self._shared else self._first_free(connection)

    def append(self, connection: Connection, rows: Sequence[ReceiptRow]) -> list[Accepted]:
        """Insert what is new; tell for each row its id and whether it was there before.

        What it tells is true once the connection's transaction is committed. Raises the driver's
        own errors.
        """
        if not rows:
            return []
        if self._shared:
            return self._append_among_others(connection, rows)
        first = self._next_id or self._first_free(connection)
        numbered = [(first + index, *row) for index, row in enumerate(rows)]
        inserted = 0
        remaining = iter(numbered)
        # Past SQLAlchemy's own statements, which would cost a small group as much as its commit.
        cursor = connection.connection.cursor()
        while some := tuple(islice(remaining, _ROWS_AT_ONCE)):
            cursor.execute(_append_statement(len(some)), tuple(chain.from_iterable(some)))
            inserted += cursor.rowcount
        self._next_id = first + len(rows)
        if inserted == len(rows):
            return [Accepted(values[0]) for values in numbered]
        return [self._identify(connection, values[0], values[7]) for values in numbered]

    def _append_among_others(
        self, connection: Connection, rows: Sequence[ReceiptRow]
    ) -> list[Accepted]:
        """PostgreSQL gives the ids; a row that another node is about to commit is waited for."""
        cursor = connection.connection.cursor()
        new: dict[bytes, int] = {}
        remaining = iter(rows)
        while some := tuple(islice(remaining, _ROWS_AT_ONCE)):
            cursor.execute(_shared_statement(len(some)), tuple(chain.from_iterable(some)))
            new.update((bytes(identity), number) for number, identity in cursor.fetchall())
        cursor.close()
        told = []
        for row in rows:
            number = new.pop(row[6], None)
            told.append(
                Accepted(number) if number is not None else self._identify(connection, None, row[6])
            )
        return told

    def reset(self) -> None:
        """Forget the counter after a group that was rolled back."""
        self._next_id = None

    @staticmethod
    def _first_free(connection: Connection) -> int:
        highest: int | None = connection.execute(select(func.max(receipt.c.id))).scalar()
        return (highest or 0) + 1

    @staticmethod
    def _identify(connection: Connection, offered_id: int | None, identity: Any) -> Accepted:
        stored_id = connection.execute(
            select(receipt.c.id).where(receipt.c.identity == identity)
        ).scalar_one()
        if stored_id == offered_id:
            return Accepted(stored_id)
        connection.execute(
            update(receipt).where(receipt.c.id == stored_id).values(repeats=receipt.c.repeats + 1)
        )
        return Accepted(stored_id, duplicate=True)


def mark_acknowledged(connection: Connection, receipt_ids: Sequence[int], how: str) -> None:
    """Note how the answers went out. ``how`` is an :class:`Acknowledgement` value."""
    for first, last in _runs(receipt_ids):
        connection.exec_driver_sql(
            placed(
                connection.dialect,
                "UPDATE receipt SET acknowledgement = ? WHERE id BETWEEN ? AND ?",
            ),
            (how, first, last),
        )


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers: answers go out nearly in order."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def settle_acknowledgements_after_crash(
    connection: Connection, before: datetime | None = None
) -> int:
    """Answers still owed when the process died were never provably delivered; of receipts that
    came ``before`` then, where other nodes are about to answer theirs."""
    owed = receipt.c.acknowledgement == Acknowledgement.OWED.value
    if before is not None:
        owed &= receipt.c.received_at < before
    return connection.execute(
        update(receipt).where(owed).values(acknowledgement=Acknowledgement.UNDELIVERED.value)
    ).rowcount


def open_receipts(
    connection: Connection, after_id: int, limit: int, source_id: str | None = None
) -> Sequence[AnyRow]:
    """Stored receipts in the order they came, with their bytes; of one source where given."""
    query = select(receipt).where(IS_STORED, receipt.c.id > after_id)
    if source_id is not None:
        query = query.where(receipt.c.source_id == source_id)
    return connection.execute(query.order_by(receipt.c.id).limit(limit)).all()


def waiting_sources(connection: Connection, limit: int, without: Collection[str] = ()) -> list[str]:
    """Whose receipts wait to be read, the longest waiting first, of the first ``limit``."""
    query = select(receipt.c.source_id).where(IS_STORED)
    if without:
        query = query.where(receipt.c.source_id.not_in(list(without)))
    found = connection.execute(query.order_by(receipt.c.id).limit(limit)).scalars()
    return list(dict.fromkeys(found))


def finish_receipt(
    connection: Connection,
    receipt_id: int,
    state: ReceiptState,
    *,
    content: str = "",
    error_code: str = "",
    error_text: str = "",
    error_texts: str = "",
    findings: Sequence[dict[str, Any]] = (),
) -> None:
    """Move a receipt to ``parsed`` or ``quarantined`` with what a person needs to know."""
    connection.execute(
        _FINISH[state],
        {
            "of_id": receipt_id,
            "new_content": content,
            "new_error_code": error_code,
            "new_error_text": error_text,
            "new_error_texts": error_texts,
            "new_findings": json.dumps(list(findings), ensure_ascii=False),
        },
    )


# Made once: every receipt passes here.
_FINISH = {
    state: update(receipt)
    .where(
        receipt.c.id == bindparam("of_id"),
        or_(*(receipt.c.state == each for each in sources_of(RECEIPT_TRANSITIONS, state))),
    )
    .values(
        state=state.value,
        **{
            name: bindparam(f"new_{name}")
            for name in ("content", "error_code", "error_text", "error_texts", "findings")
        },
    )
    for state in (ReceiptState.PARSED, ReceiptState.QUARANTINED)
}


def replay_receipt(connection: Connection, receipt_id: int) -> bool:
    """Let the pipeline read the same bytes again. False where there is no such receipt, or its
    bytes were erased after their time."""
    return (
        connection.execute(
            update(receipt)
            .where(
                receipt.c.id == receipt_id,
                receipt.c.state.in_(sources_of(RECEIPT_TRANSITIONS, ReceiptState.STORED)),
                HAS_BYTES,
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
