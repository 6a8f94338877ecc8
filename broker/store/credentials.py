"""What a person signs in with: password, one-time code, second factor, recovery codes."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from broker.access.codes import digest_of_code
from broker.store.access_tables import person, recovery_code


@dataclass(frozen=True, slots=True)
class Credentials:
    person_id: int
    login: str
    password_hash: str = field(repr=False)
    one_time_digest: bytes | None = field(repr=False)
    totp_secret: str = field(repr=False)
    """Base32; "" where no second factor is in force."""
    totp_proposed: str = field(repr=False)
    totp_step: int

    @property
    def second_factor(self) -> bool:
        return bool(self.totp_secret)

    def is_one_time_code(self, typed: str) -> bool:
        """Whether ``typed`` is the code for the first sign-in."""
        known = self.one_time_digest
        return known is not None and hmac.compare_digest(known, digest_of_code(typed))


def credentials_of(connection: Connection, login: str, now: datetime) -> Credentials | None:
    """Of someone who may sign in; a one-time code that has run out is not there."""
    row = connection.execute(
        select(person).where(person.c.login == login, person.c.disabled_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    holds = row.one_time_until is not None and now < row.one_time_until
    return Credentials(
        row.id,
        row.login,
        row.password_hash,
        row.one_time_digest if holds else None,
        row.totp_secret,
        row.totp_proposed,
        row.totp_step,
    )


def hold_person(connection: Connection, person_id: int) -> None:
    """Until this transaction ends nobody else resets, disables or changes the person."""
    connection.execute(select(person.c.id).where(person.c.id == person_id).with_for_update())


def still_hold(connection: Connection, known: Credentials, now: datetime) -> bool:
    """Whether what somebody signed in with a moment ago still opens: judging it took a while, in
    which an operator may have reset or disabled the person. Holds the person."""
    hold_person(connection, known.person_id)
    present = credentials_of(connection, known.login, now)
    return present is not None and (
        (present.password_hash, present.one_time_digest, present.totp_secret)
        == (known.password_hash, known.one_time_digest, known.totp_secret)
    )


def keep_password(connection: Connection, person_id: int, password_hash: str) -> None:
    """The new password; the one-time code has done its duty."""
    connection.execute(
        update(person)
        .where(person.c.id == person_id)
        .values(password_hash=password_hash, one_time_digest=None, one_time_until=None)
    )


def propose_second_factor(connection: Connection, person_id: int, secret: str) -> str:
    """Keep a secret that is not in force yet; one that was proposed before stays."""
    before = connection.execute(
        select(person.c.totp_proposed).where(person.c.id == person_id)
    ).scalar_one()
    if before:
        return str(before)
    connection.execute(update(person).where(person.c.id == person_id).values(totp_proposed=secret))
    return secret


def begin_second_factor(
    connection: Connection, person_id: int, step: int, codes: Sequence[str], now: datetime
) -> None:
    """The proposed secret is in force from here on, in the place of any other; ``codes`` are
    shown once and kept as digests."""
    connection.execute(
        update(person)
        .where(person.c.id == person_id)
        .values(
            totp_secret=person.c.totp_proposed, totp_proposed="", totp_since=now, totp_step=step
        )
    )
    connection.execute(delete(recovery_code).where(recovery_code.c.person_id == person_id))
    connection.execute(
        insert(recovery_code),
        [{"person_id": person_id, "digest": digest_of_code(code)} for code in codes],
    )


def take_step(connection: Connection, person_id: int, step: int) -> bool:
    """Use up a time step. False where it, or a later one, was used already."""
    taken = connection.execute(
        update(person)
        .where(person.c.id == person_id, person.c.totp_step < step)
        .values(totp_step=step)
    )
    return taken.rowcount == 1


def take_recovery_code(connection: Connection, person_id: int, typed: str) -> bool:
    """Use up a recovery code. False where it is none, or was used already."""
    taken = connection.execute(
        delete(recovery_code).where(
            recovery_code.c.person_id == person_id,
            recovery_code.c.digest == digest_of_code(typed),
        )
    )
    return taken.rowcount == 1
