"""Tokens and certificates with which machines ask in the name of an account, for less than all
that the account may do."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from broker.access.errors import CertificateTaken, ScopeUnknown, TokenUnknown
from broker.access.person import Person
from broker.access.roles import Permission, permissions_of
from broker.store.access_tables import api_token, person
from broker.store.audit import note
from broker.store.people import row_of
from broker.store.sessions import digest_of_token, person_of_row

PREFIX = "lbk_"
"""By it a token is known as ours wherever somebody has left it lying."""
_SEEN_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as those who manage people see it: never what it is, only what it is for."""

    token_id: int
    login: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    until: datetime | None
    seen_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a token acts as."""

    token_id: int
    person: Person
    seen_at: datetime | None

    def is_stale(self, now: datetime) -> bool:
        """Whether :func:`touch_token` is due."""
        return self.seen_at is None or now - self.seen_at >= _SEEN_EVERY


def add_token(
    connection: Connection,
    login: str,
    name: str,
    scopes: Collection[str],
    now: datetime,
    by: str,
    *,
    until: datetime | None = None,
    certificate: bytes | None = None,
) -> str:
    """The new token, which is kept nowhere; "" for a certificate (DER), which is known by itself.

    ``scopes`` are permissions that the account has. Raises :class:`ScopeUnknown`,
    :class:`CertificateTaken` and what :func:`broker.store.people.row_of` raises.
    """
    row = row_of(connection, login)
    owner = person_of_row(row, row.id)
    allowed = {each.value for each in permissions_of(owner.role)}
    for scope in scopes:
        if scope not in allowed:
            raise ScopeUnknown(scope=scope, login=owner.login, choices=", ".join(sorted(allowed)))
    token = "" if certificate is not None else PREFIX + secrets.token_urlsafe(32)
    digest = digest_of_token(token) if certificate is None else digest_of_certificate(certificate)
    taken = connection.execute(select(api_token.c.id).where(api_token.c.digest == digest)).scalar()
    if taken is not None:
        raise CertificateTaken(number=taken)
    connection.execute(
        insert(api_token).values(
            digest=digest,
            person_id=owner.person_id,
            name=name,
            scopes=json.dumps(sorted(set(scopes))),
            created_at=now,
            until=until,
        )
    )
    _note(connection, by, "add", owner.login, now, scopes=" ".join(sorted(set(scopes))))
    return token


def find_token(connection: Connection, digest: bytes, now: datetime) -> Bearer | None:
    """Of a token that holds, of an account that is not disabled."""
    row = connection.execute(
        select(api_token.c.id.label("token_id"), api_token, person)
        .join(person, person.c.id == api_token.c.person_id)
        .where(api_token.c.digest == digest, api_token.c.revoked_at.is_(None))
    ).one_or_none()
    if row is None or row.disabled_at is not None:
        return None
    if row.until is not None and now >= row.until:
        return None
    known = {each.value for each in Permission}
    scopes = frozenset(Permission(each) for each in json.loads(row.scopes) if each in known)
    owner = replace(person_of_row(row, row.person_id), scopes=scopes)
    return Bearer(row.token_id, owner, row.seen_at)


def touch_token(connection: Connection, token_id: int, now: datetime) -> None:
    """The token was used."""
    connection.execute(update(api_token).where(api_token.c.id == token_id).values(seen_at=now))


def tokens(
    connection: Connection, *, before: int | None = None, count: int | None = None
) -> list[Token]:
    """The newest first, revoked ones too, as history; ``count`` of those older than ``before``."""
    wanted = (
        select(api_token, person.c.login)
        .join(person, person.c.id == api_token.c.person_id)
        .order_by(api_token.c.id.desc())
        .limit(count)
    )
    if before is not None:
        wanted = wanted.where(api_token.c.id < before)
    rows = connection.execute(wanted)
    return [
        Token(
            row.id,
            row.login,
            row.name,
            tuple(json.loads(row.scopes)),
            row.created_at,
            row.until,
            row.seen_at,
            row.revoked_at,
        )
        for row in rows
    ]


def revoke_token(connection: Connection, token_id: int, now: datetime, by: str) -> None:
    """It opens nothing from here on. Raises :class:`TokenUnknown`."""
    row = connection.execute(
        select(person.c.login)
        .join(api_token, api_token.c.person_id == person.c.id)
        .where(api_token.c.id == token_id)
    ).one_or_none()
    if row is None:
        raise TokenUnknown(number=token_id)
    connection.execute(
        update(api_token)
        .where(api_token.c.id == token_id, api_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    _note(connection, by, "revoke", row.login, now, number=str(token_id))


def digest_of_certificate(certificate: bytes) -> bytes:
    """Of the DER bytes; never the digest of any token."""
    return hashlib.sha256(b"certificate\0" + certificate).digest()


def _note(
    connection: Connection, by: str, action: str, login: str, now: datetime, **detail: str
) -> None:
    note(
        connection,
        person=by,
        action=action,
        kind="token",
        subject=login,
        institution="",
        at=now,
        detail=detail,
    )
