"""The audit trail as a list for people, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from broker.store.access_tables import audit_event
from broker.store.rows import AnyRow


def list_events(
    connection: Connection,
    institutions: frozenset[str] | None,
    limit: int,
    *,
    person: str = "",
    kind: str = "",
    subject: str = "",
    before: int = 0,
) -> Sequence[AnyRow]:
    """The newest first, and the one after them if there is one. Empty parts match all."""
    wanted = select(audit_event)
    if institutions is not None:
        wanted = wanted.where(audit_event.c.institution.in_(sorted(institutions)))
    if person:
        wanted = wanted.where(audit_event.c.person == person)
    if kind and subject:
        wanted = wanted.where(audit_event.c.kind == kind, audit_event.c.subject == subject)
    if before:
        wanted = wanted.where(audit_event.c.number < before)
    return connection.execute(wanted.order_by(audit_event.c.number.desc()).limit(limit + 1)).all()


def events_after(
    connection: Connection, institutions: frozenset[str] | None, after: int, limit: int
) -> Sequence[AnyRow]:
    """The first ``limit`` whose number comes after ``after``, the oldest first."""
    wanted = select(audit_event).where(audit_event.c.number > after)
    if institutions is not None:
        wanted = wanted.where(audit_event.c.institution.in_(sorted(institutions)))
    return connection.execute(wanted.order_by(audit_event.c.number).limit(limit)).all()
