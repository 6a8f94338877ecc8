"""People for tests of the console and the API: someone who is signed in, without a password."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from broker.access.roles import Role
from broker.store.access_tables import person
from broker.store.sessions import Stage, open_session
from broker.web.csrf import token_for


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``cookies`` for every request, ``headers`` for those that change something, ``csrf`` for
    the form field of that name."""

    cookies: dict[str, str]
    headers: dict[str, str]
    csrf: str


def sign_in_as(
    connection: Connection,
    role: Role,
    institutions: Iterable[str] = (),
    *,
    login: str = "",
    language: str = "zh",
    now: datetime | None = None,
) -> SignedIn:
    """Someone of ``role`` who is signed in, for an HTTP door without TLS. Made where there is
    none of the login yet."""
    now = now or datetime.now(UTC)
    login = login or f"{role.value}-of-{'-'.join(sorted(institutions)) or 'all'}".lower()
    person_id = connection.execute(select(person.c.id).where(person.c.login == login)).scalar()
    if person_id is None:
        (person_id,) = connection.execute(
            insert(person).values(
                login=login,
                name=f"王小{role.value}",
                role=role.value,
                institutions=json.dumps(sorted(institutions)),
                language=language,
                created_at=now,
            )
        ).inserted_primary_key or (0,)
    token = open_session(connection, person_id, Stage.FULL, now)
    csrf = token_for(token)
    return SignedIn({"labbroker": token}, {"X-CSRF-Token": csrf}, csrf)
