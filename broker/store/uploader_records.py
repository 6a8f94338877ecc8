"""All that one institution has to upload or has uploaded, each order once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, select

from broker.states import HeldReason, RecordState
from broker.store.rows import AnyRow
from broker.store.schema import record

# What the patient, the other party or the laboratory keeps back, no upload may take.
_KEPT_BACK = (
    HeldReason.OPTED_OUT,
    HeldReason.OTHER_PARTY_UPLOADS,
    HeldReason.WAITING_FINAL,
    HeldReason.WAITING_VERDICT,
    HeldReason.UNMATCHED,
    HeldReason.UNMAPPED,
)


def newest_records(connection: Connection, uploader_code: str) -> Iterator[AnyRow]:
    """The newest version of each order of an uploader that holds a record and is not kept back:
    ``id state place order_code findings body``."""
    rows = connection.execution_options(yield_per=500).execute(
        select(
            record.c.id,
            record.c.state,
            record.c.place,
            record.c.order_code,
            record.c.order_identity,
            record.c.findings,
            record.c.body,
        )
        .where(
            record.c.uploader_code == uploader_code,
            record.c.state != RecordState.SUPERSEDED.value,
            record.c.held_reason.not_in([reason.value for reason in _KEPT_BACK]),
            record.c.body != "",
        )
        .order_by(record.c.order_identity, record.c.version)
    )
    for identity, versions in groupby(rows, key=lambda row: str(row.order_identity)):
        if identity:
            *_, newest = versions
            yield newest
        else:
            yield from versions
