"""Idempotency keys: a POST that comes twice is done once, and answered twice alike."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from broker.store.delivery_tables import api_call
from broker.store.dialect import insert_new
from broker.store.rows import AnyRow

KEPT = timedelta(hours=24)


def begin_call(
    connection: Connection, caller: str, key: str, digest: bytes, now: datetime
) -> AnyRow | None:
    """Note a call under its key before it is done. The earlier call of the key, where there is
    one; its ``status`` is 0 while nobody knows what came of it."""
    connection.execute(delete(api_call).where(api_call.c.begun_at < now - KEPT))
    made = connection.execute(
        insert_new(connection, api_call).on_conflict_do_nothing(),
        {"caller": caller, "key": key, "digest": digest, "begun_at": now, "status": 0},
    )
    if made.rowcount == 1:
        return None
    return connection.execute(
        select(api_call).where(api_call.c.caller == caller, api_call.c.key == key)
    ).one()


def end_call(connection: Connection, caller: str, key: str, status: int, body: bytes) -> None:
    """Keep what was answered."""
    connection.execute(
        update(api_call)
        .where(api_call.c.caller == caller, api_call.c.key == key)
        .values(status=status, body=body)
    )


def forget_call(connection: Connection, caller: str, key: str) -> None:
    """Nothing was done: the key may be used again."""
    connection.execute(
        delete(api_call).where(
            api_call.c.caller == caller, api_call.c.key == key, api_call.c.status == 0
        )
    )
