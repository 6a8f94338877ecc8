"""First words on orders: asked for and inserted together for all drafts of a receipt.

Nearly every result is the first word on its order. One look tells which are not; of those alone
:mod:`broker.store.order_versions` asks what is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.engine import Dialect

from broker.drafting import Draft
from broker.store.dialect import placed
from broker.store.order_versions import (
    IS_KNOWN,
    Versions,
    correction_digest,
    find_versions,
    identity_of_its_own,
)
from broker.store.schema import record
from mapping.record import UploadRecord

T = TypeVar("T", int, str)
_AT_ONCE = 500
_ROWS_AT_ONCE = 32
"""Of one INSERT: one step of SQLite for many rows (:mod:`broker.store.receipts`)."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """By what ``find_versions`` looks for other words on an order."""

    identities: frozenset[str]
    digest: str = ""
    visit_order: tuple[int, str] | None = None

    @classmethod
    def of(cls, draft: Draft) -> _Keys:
        own = frozenset({draft.order_identity, identity_of_its_own(draft)} - {""})
        if draft.record is None:
            return cls(own)
        digest = correction_digest(draft.record)
        if draft.visit_id is None:
            return cls(own, digest)
        return cls(own, digest, (draft.visit_id, draft.order_code))


class FirstWords:
    """For one transaction, in which nobody else writes. Records that nothing in the store speaks
    of gather here and are inserted in their order before anything else is asked or written."""

    def __init__(self, connection: Connection, drafts: Sequence[Draft]) -> None:
        self._connection = connection
        self._gathered: list[dict[str, Any]] = []
        self._keys = {draft.slot: _Keys.of(draft) for draft in drafts}
        self._identities: set[str] = set()
        self._digests: set[str] = set()
        self._visit_orders: set[tuple[int, str]] = set()
        self._look()

    def versions(self, draft: Draft, receipt_id: int, row_id: int | None) -> Versions:
        """As :func:`broker.store.order_versions.find_versions` tells them."""
        keys = self._keys.get(draft.slot)
        if keys is not None and not self._may_know(keys):
            return Versions(draft.order_identity)
        self.write()
        return find_versions(self._connection, draft, receipt_id, row_id)

    def digest(self, told: Draft, stored: UploadRecord) -> str:
        """The digest of the correction key of what is ``stored`` for the draft ``told``."""
        keys = self._keys.get(told.slot)
        if keys is not None and stored is told.record:
            return keys.digest
        return correction_digest(stored)

    def store(self, row_id: int | None, values: dict[str, Any]) -> None:
        """Insert a record, or write it over the one of ``row_id``."""
        self._identities.add(values["order_identity"])
        self._digests.add(values["correction_key"])
        if values["visit_id"] is not None:
            self._visit_orders.add((values["visit_id"], values["order_code"]))
        if row_id is None:
            self._gathered.append(values)
        else:
            self.write()
            self._connection.execute(update(record).where(record.c.id == row_id).values(values))

    def write(self) -> None:
        """Insert what has gathered."""
        gathered, self._gathered = self._gathered, []
        for start in range(0, len(gathered), _ROWS_AT_ONCE):
            _insert(self._connection, gathered[start : start + _ROWS_AT_ONCE])

    def _may_know(self, keys: _Keys) -> bool:
        return (
            (bool(keys.digest) and keys.digest in self._digests)
            or keys.visit_order in self._visit_orders
            or not self._identities.isdisjoint(keys.identities)
        )

    def _look(self) -> None:
        execute, known = self._connection.execute, self._keys.values()
        for part in _parts({identity for keys in known for identity in keys.identities}):
            self._identities.update(execute(_OF_IDENTITIES, {"values": part}).scalars())
        for part in _parts({keys.digest for keys in known if keys.digest}):
            self._digests.update(execute(_OF_DIGESTS, {"values": part}).scalars())
        orders = {keys.visit_order for keys in known if keys.visit_order is not None}
        for visits in _parts({visit_id for visit_id, _ in orders}):
            for codes in _parts({order_code for _, order_code in orders}):
                for row in execute(_OF_VISIT_ORDERS, {"visits": visits, "codes": codes}):
                    self._visit_orders.add((row.visit_id, row.order_code))


def _parts(values: Collection[T]) -> Iterator[list[T]]:
    wanted = sorted(values)
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Past SQLAlchemy's own statements, which take a step of SQLite for each row."""
    names = tuple(rows[0])
    written = _writers(connection.dialect, names)
    values = [
        value if write is None else write(value)
        for row in rows
        for write, value in zip(written, row.values(), strict=True)
    ]
    connection.connection.cursor().execute(_statement(connection.dialect, names, len(rows)), values)


@lru_cache(maxsize=128)
def _statement(dialect: Dialect, names: tuple[str, ...], rows: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    values = ", ".join([row] * rows)
    insert = f"INSERT INTO record ({', '.join(names)}) VALUES {values}"  # noqa: S608 - constants only
    return placed(dialect, insert)


@lru_cache(maxsize=8)
def _writers(dialect: Dialect, names: tuple[str, ...]) -> tuple[Callable[[Any], Any] | None, ...]:
    """What makes the driver's value of a column's, None where it is the same."""
    return tuple(
        record.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names
    )


# Made once: every result passes here.
_OF_IDENTITIES = select(record.c.order_identity).where(
    record.c.order_identity.in_(bindparam("values", expanding=True)), IS_KNOWN
)
_OF_DIGESTS = select(record.c.correction_key).where(
    record.c.correction_key.in_(bindparam("values", expanding=True)), IS_KNOWN
)
_OF_VISIT_ORDERS = select(record.c.visit_id, record.c.order_code).where(
    record.c.visit_id.in_(bindparam("visits", expanding=True)),
    record.c.order_code.in_(bindparam("codes", expanding=True)),
    IS_KNOWN,
)
