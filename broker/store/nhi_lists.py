"""Which of NHI's lists of cases not uploaded are kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from broker.store.rows import AnyRow
from broker.store.unuploaded_tables import unuploaded_list


def nhi_lists(
    connection: Connection, institutions: frozenset[str] | None, count: int, before: int = 0
) -> Sequence[AnyRow]:
    """Whole lists of ``institutions`` (None: everywhere), the newest first; those with an id below
    ``before`` unless it is 0."""
    query = select(unuploaded_list).where(unuploaded_list.c.row_count.is_not(None))
    if institutions is not None:
        query = query.where(unuploaded_list.c.institution_code.in_(sorted(institutions)))
    if before:
        query = query.where(unuploaded_list.c.id < before)
    return connection.execute(query.order_by(unuploaded_list.c.id.desc()).limit(count)).all()


def nhi_list(
    connection: Connection, institutions: frozenset[str] | None, list_id: int
) -> AnyRow | None:
    """One whole list; None where it is not there, or another's."""
    found = nhi_lists(connection, institutions, 1, list_id + 1)
    return found[0] if found and found[0].id == list_id else None
