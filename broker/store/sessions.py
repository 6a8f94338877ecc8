"""Sessions of the console: a random token in the browser, its digest here."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select, update

from broker.access.person import Person
from broker.access.roles import Role
from broker.store.access_tables import person, web_session
from broker.store.credentials import hold_person
from broker.store.rows import AnyRow

_SEEN_EVERY = timedelta(minutes=1)
_AT_ONCE = 500


class Stage(StrEnum):
    """How far a sign-in has come; only a full session sees anything."""

    FULL = "full"
    SECOND = "second"
    """The password was right; the code of the second factor is due."""
    ENROL = "enrol"
    """The password was right; a second factor must be set up first."""
    PASSWORD = "password"  # noqa: S105 - the name of a stage
    """Came with a one-time code; a password must be chosen first."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lives without and with use, and a sign-in that is not finished."""

    idle: timedelta = timedelta(minutes=60)
    absolute: timedelta = timedelta(hours=12)
    unfinished: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Session:
    digest: bytes
    stage: Stage
    person: Person
    seen_at: datetime

    def is_stale(self, now: datetime) -> bool:
        """Whether :func:`touch_session` is due."""
        return now - self.seen_at >= _SEEN_EVERY


def open_session(
    connection: Connection,
    person_id: int,
    stage: Stage,
    now: datetime,
    address: str = "",
    limits: SessionLimits | None = None,
) -> str:
    """A new session; the token (256 random bits) goes to the browser and is kept nowhere."""
    limits = limits or SessionLimits()
    token = secrets.token_urlsafe(32)
    lives = limits.absolute if stage is Stage.FULL else limits.unfinished
    connection.execute(delete(web_session).where(web_session.c.until <= now))
    connection.execute(
        insert(web_session).values(
            digest=digest_of_token(token),
            person_id=person_id,
            stage=stage.value,
            created_at=now,
            seen_at=now,
            until=now + lives,
            address=address,
        )
    )
    return token


def find_session(
    connection: Connection, token: str, now: datetime, limits: SessionLimits | None = None
) -> Session | None:
    """The living session of a token, of a person who is not disabled."""
    limits = limits or SessionLimits()
    row = connection.execute(
        select(web_session, person)
        .join(person, person.c.id == web_session.c.person_id)
        .where(web_session.c.digest == digest_of_token(token))
    ).one_or_none()
    return None if row is None else _living(row, now, limits)


def find_sessions(
    connection: Connection,
    tokens: Collection[str],
    now: datetime,
    limits: SessionLimits | None = None,
) -> dict[str, Session]:
    """Those of ``tokens`` that have a living session: :func:`find_session` for many."""
    limits, by_digest = limits or SessionLimits(), {digest_of_token(each): each for each in tokens}
    digests, found = list(by_digest), {}
    for start in range(0, len(digests), _AT_ONCE):
        rows = connection.execute(
            select(web_session, person)
            .join(person, person.c.id == web_session.c.person_id)
            .where(web_session.c.digest.in_(digests[start : start + _AT_ONCE]))
        )
        for row in rows:
            session = _living(row, now, limits)
            if session is not None:
                found[by_digest[session.digest]] = session
    return found


def _living(row: AnyRow, now: datetime, limits: SessionLimits) -> Session | None:
    if row.disabled_at is not None:
        return None
    # A clock that was set back must not lengthen a session.
    if not row.seen_at - limits.idle <= now < row.until or now - row.seen_at >= limits.idle:
        return None
    return Session(row.digest, Stage(row.stage), person_of_row(row, row.person_id), row.seen_at)


def still_open(connection: Connection, session: Session) -> bool:
    """Whether ``session`` is still there, of a person who is not disabled: a reset ends all of a
    person's. Holds the person, so that it stays true until this transaction ends."""
    hold_person(connection, session.person.person_id)
    return (
        connection.execute(
            select(web_session.c.digest)
            .join(person, person.c.id == web_session.c.person_id)
            .where(web_session.c.digest == session.digest, person.c.disabled_at.is_(None))
        ).first()
        is not None
    )


def touch_session(connection: Connection, digest: bytes, now: datetime) -> None:
    """The session was used."""
    connection.execute(
        update(web_session).where(web_session.c.digest == digest).values(seen_at=now)
    )


def close_session(connection: Connection, digest: bytes) -> None:
    """Signed out."""
    connection.execute(delete(web_session).where(web_session.c.digest == digest))


def close_sessions_of(connection: Connection, person_id: int) -> int:
    """Signed out everywhere; how many sessions there were."""
    return connection.execute(
        delete(web_session).where(web_session.c.person_id == person_id)
    ).rowcount


def digest_of_token(token: str) -> bytes:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def person_of_row(row: object, person_id: int) -> Person:
    """A row with the columns of ``person`` as a :class:`Person`."""
    return Person(
        person_id=person_id,
        login=row.login,  # type: ignore[attr-defined]
        name=row.name,  # type: ignore[attr-defined]
        role=Role(row.role),  # type: ignore[attr-defined]
        institutions=frozenset(json.loads(row.institutions)),  # type: ignore[attr-defined]
        language=row.language,  # type: ignore[attr-defined]
    )
