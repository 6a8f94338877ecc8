"""Many visits of one payload, stored part by part: a clinic's half year must hold up no commit of
a door, and what broke off goes on.

Results are tried again only when all parts are stored: a result must not find one of two visits and
take it for the only one. Where the service died in between, the payload is read again; what was
stored already is left as it is then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, update

from broker.store.schema import receipt
from broker.store.visits import merge_visits, requeue_for
from broker.store.writer import Writer
from mapping.parsed import Content
from mapping.visit import Visit

VISITS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How many visits of how many are stored."""

    done: int
    total: int


class VisitImport:
    """Stores visits for the pipeline, one payload at a time."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._progress: dict[int, ImportProgress] = {}

    def progress(self, receipt_id: int) -> ImportProgress | None:
        """None where the receipt is not being stored now."""
        return self._progress.get(receipt_id)

    async def store(self, receipt_id: int, visits: Sequence[Visit], *, again: bool) -> int:
        """Store ``visits``. ``again``: some of them may have been stored from this receipt before.
        Returns how many receipts are read again for them. Raises what storing raises."""
        touched: list[Visit] = []
        try:
            for start in range(0, len(visits), VISITS_AT_ONCE):
                self._progress[receipt_id] = ImportProgress(start, len(visits))
                part = tuple(visits[start : start + VISITS_AT_ONCE])
                touched += await self._writer.write(
                    lambda c, part=part: _store_part(c, receipt_id, part)  # type: ignore[misc]
                )
            # Those stored before the service died have tried no result yet.
            concerned = visits if again else touched
            return await self._writer.write(lambda c: requeue_for(c, concerned))
        finally:
            self._progress.pop(receipt_id, None)


def _store_part(connection: Connection, receipt_id: int, part: tuple[Visit, ...]) -> list[Visit]:
    # By this a receipt is known that is read again after its storing broke off.
    connection.execute(
        update(receipt)
        .where(receipt.c.id == receipt_id, receipt.c.content == "")
        .values(content=Content.VISITS.value)
    )
    return merge_visits(connection, receipt_id, part)
