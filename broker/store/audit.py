"""The audit trail: who saw and did what, each row chained to the one before by its digest.

A row is never changed or taken away. The digest of a row is SHA-256 over the JSON list
``[number, microseconds, person, action, kind, subject, institution, detail, previous]`` in UTF-8
without spaces, ``previous`` in hexadecimal; the first row's ``previous`` is 32 zero bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from sqlalchemy import Connection, insert, select, update

from broker.store.access_tables import audit_event, audit_head

NOTHING: Mapping[str, str] = MappingProxyType({})
START = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def note(
    connection: Connection,
    *,
    person: str,
    action: str,
    kind: str,
    subject: str,
    institution: str,
    at: datetime,
    detail: Mapping[str, str] = NOTHING,
) -> None:
    """Add one event, in the transaction of what it tells of.

    ``person`` is a login; ``action`` a verb (``show``, ``fix``, ``sign-in``); ``kind`` and
    ``subject`` say of what (``record``, ``4711``), ``institution`` whose. Never put a patient's
    data into ``detail``, which is kept for years and exported.
    """
    head = connection.execute(
        select(audit_head.c.events, audit_head.c.digest)
        .where(audit_head.c.id == 1)
        .with_for_update()
    ).one_or_none()
    last: int = 0 if head is None else head.events
    previous: bytes = START if head is None else head.digest
    number = last + 1
    told = json.dumps(dict(detail), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = digest_of(number, at, (person, action, kind, subject, institution, told), previous)
    connection.execute(
        insert(audit_event).values(
            number=number,
            at=at,
            person=person,
            action=action,
            kind=kind,
            subject=subject,
            institution=institution,
            detail=told,
            previous=previous,
            digest=digest,
        )
    )
    if head is None:
        connection.execute(insert(audit_head).values(id=1, events=number, digest=digest))
    else:
        connection.execute(
            update(audit_head).where(audit_head.c.id == 1).values(events=number, digest=digest)
        )


def digest_of(number: int, at: datetime, texts: tuple[str, ...], previous: bytes) -> bytes:
    """The digest of a row whose text columns, in the order of the table, are ``texts``."""
    row = [number, (at - _EPOCH) // timedelta(microseconds=1), *texts, previous.hex()]
    plain = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
