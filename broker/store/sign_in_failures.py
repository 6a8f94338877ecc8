"""Pauses after failed sign-ins: for an account at an address, for an account, for an address.

Every attempt is counted before it is judged, so that many at once are no way around. Who knows the
password is never locked out for good: pauses end, and from another address only the account's
own, shorter pause holds (ASVS 5.0, 6.3.1).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from broker.store.access_tables import sign_in_failure

_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Patience:
    """After ``free`` failures the pause is a second, then doubles up to ``longest``."""

    name: str
    free: int
    longest: timedelta

    def pause(self, failures: int) -> timedelta:
        """How long nothing is taken after so many failures."""
        beyond = failures - self.free
        if beyond <= 0:
            return timedelta(0)
        return min(self.longest, timedelta(seconds=2 ** min(beyond - 1, 20)))


PAIR = Patience("pair", 5, timedelta(minutes=15))
ACCOUNT = Patience("account", 20, timedelta(minutes=5))
ADDRESS = Patience("address", 50, timedelta(minutes=15))


def begin_attempt(connection: Connection, login: str, address: str, now: datetime) -> timedelta:
    """Count an attempt as failed until :func:`forgive_attempt`. How long to wait where it may not
    be made at all, else zero; then nothing is counted."""
    connection.execute(delete(sign_in_failure).where(sign_in_failure.c.last_at < now - _FORGOTTEN))
    known = {}
    for patience, digest in _keys(login, address):
        row = connection.execute(
            select(sign_in_failure).where(sign_in_failure.c.digest == digest)
        ).one_or_none()
        # A clock that was set back must not make a pause of a year.
        if row is not None and now < row.paused_until <= now + patience.longest:
            wait: timedelta = row.paused_until - now
            return wait
        known[digest] = row
    for patience, digest in _keys(login, address):
        row = known[digest]
        failures = 1 if row is None else row.failures + 1
        values = {
            "failures": failures,
            "last_at": now,
            "paused_until": now + patience.pause(failures),
        }
        if row is None:
            connection.execute(insert(sign_in_failure).values(digest=digest, **values))
        else:
            connection.execute(
                update(sign_in_failure).where(sign_in_failure.c.digest == digest).values(values)
            )
    return timedelta(0)


def forgive_attempt(
    connection: Connection, login: str, address: str, now: datetime, *, whole: bool = True
) -> None:
    """The attempt was right: the account's failures are forgotten, the address's only by one, so
    that an account of one's own is no way to try many others. Not ``whole``: something is still
    to be proved, and all are forgiven by this one attempt alone, so that who knows the password
    cannot try the codes of the second factor through."""
    for patience, digest in _keys(login, address):
        if whole and patience is not ADDRESS:
            connection.execute(delete(sign_in_failure).where(sign_in_failure.c.digest == digest))
            continue
        connection.execute(
            update(sign_in_failure)
            .where(sign_in_failure.c.digest == digest)
            .values(failures=sign_in_failure.c.failures - 1, paused_until=now)
        )


def _keys(login: str, address: str) -> list[tuple[Patience, bytes]]:
    return [
        (
            patience,
            hashlib.blake2s(
                "\0".join(words).encode("utf-8", "surrogatepass"), digest_size=16
            ).digest(),
        )
        for patience, words in (
            (PAIR, ("pair", login, address)),
            (ACCOUNT, ("account", login)),
            (ADDRESS, ("address", address)),
        )
    ]
