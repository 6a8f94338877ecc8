"""Which taken files turned out to be unreadable, for the door that has them in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from adapters.ports.intake import Door, StorageUnavailable
from adapters.ports.unread import UnreadFile
from broker.store.receipts import IS_QUARANTINED
from broker.store.rows import AnyRow
from broker.store.schema import receipt
from mapping.errors import Language


class StoredUnreadFiles:
    """Implements :class:`adapters.ports.unread.UnreadFiles` on the store."""

    def __init__(self, reader: Engine) -> None:
        self._reader = reader

    def unread_of(self, source_id: str) -> Sequence[UnreadFile]:
        query = select(
            receipt.c.id,
            receipt.c.sha256,
            receipt.c.name,
            receipt.c.error_code,
            receipt.c.error_text,
            receipt.c.error_texts,
        ).where(
            IS_QUARANTINED,
            receipt.c.source_id == source_id,
            receipt.c.door == Door.FOLDER.value,
        )
        try:
            with self._reader.connect() as connection:
                return [_unread_file(row) for row in connection.execute(query.order_by("id"))]
        except (SQLAlchemyError, StorageUnavailable):
            # The files stay where they are until the store answers again.
            return ()


def why_unread(row: AnyRow, language: Language) -> tuple[str, str]:
    """The sentence and the remedy of a receipt that could not be read; of one that a check report
    is, which keeps its sentence alone, the remedy is empty."""
    texts = json.loads(row.error_texts) if row.error_texts else {}
    sentence, remedy = (*texts.get(language, (row.error_text,)), "")[:2]
    return sentence, remedy


def _unread_file(row: AnyRow) -> UnreadFile:
    en, zh = why_unread(row, "en"), why_unread(row, "zh")
    return UnreadFile(row.id, row.sha256.hex(), row.name, row.error_code, en, zh)
