"""In which language a person reads the console."""

from __future__ import annotations

from sqlalchemy import Connection, update

from broker.store.access_tables import person


def set_language(connection: Connection, person_id: int, language: str) -> None:
    """``zh`` or ``en``, for all later sessions too."""
    connection.execute(update(person).where(person.c.id == person_id).values(language=language))
