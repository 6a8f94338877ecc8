"""People: who they are and how they prove it. Each change is noted in the audit trail."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from broker.access.codes import digest_of_code, new_code
from broker.access.errors import (
    InstitutionsNeeded,
    LastOperator,
    LoginTaken,
    LoginUnusable,
    PersonUnknown,
)
from broker.access.person import Person
from broker.access.roles import EVERYWHERE, Role
from broker.store.access_tables import person, recovery_code
from broker.store.audit import note
from broker.store.sessions import close_sessions_of, person_of_row

ONE_TIME = timedelta(days=7)
"""How long a code for the first sign-in holds."""

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_NATIONAL_ID = re.compile(r"[a-z][a-d1289][0-9]{8}")


@dataclass(frozen=True, slots=True)
class NewPerson:
    login: str
    name: str
    role: Role
    institutions: frozenset[str] = frozenset()
    language: str = "zh"


@dataclass(frozen=True, slots=True)
class Account:
    """A person as those who manage people see them; ``state`` is new, active or disabled."""

    person: Person
    state: str
    second_factor: bool
    created_at: datetime


def add_person(connection: Connection, new: NewPerson, now: datetime, by: str) -> str:
    """Add a person; the code with which a password is chosen, once. Raises what
    :mod:`broker.access.errors` names."""
    login = usable_login(new.login)
    if new.role not in EVERYWHERE and not new.institutions:
        raise InstitutionsNeeded(role=new.role.value)
    if connection.execute(select(person.c.id).where(person.c.login == login)).first():
        raise LoginTaken(login=login)
    code = new_code()
    connection.execute(
        insert(person).values(
            login=login,
            name=new.name.strip() or login,
            role=new.role.value,
            institutions=json.dumps(sorted(new.institutions), ensure_ascii=False),
            language=new.language,
            one_time_digest=digest_of_code(code),
            one_time_until=now + ONE_TIME,
            created_at=now,
        )
    )
    _note(connection, by, "add", login, now, role=new.role.value)
    return code


def accounts(connection: Connection, *, after: str = "", count: int | None = None) -> list[Account]:
    """Everyone, by login; the first ``count`` whose login comes after ``after``."""
    wanted = select(person).where(person.c.login > after).order_by(person.c.login).limit(count)
    return [_account(row) for row in connection.execute(wanted)]


def account_of(connection: Connection, login: str) -> Account:
    """One of :func:`accounts`. Raises :class:`PersonUnknown`."""
    return _account(row_of(connection, login))


def disable_person(connection: Connection, login: str, now: datetime, by: str) -> int:
    """Sign a person out everywhere and let them in no more; how many sessions ended."""
    row = row_of(connection, login)
    _keep_an_operator(connection, row)
    connection.execute(update(person).where(person.c.id == row.id).values(disabled_at=now))
    ended = close_sessions_of(connection, row.id)
    _note(connection, by, "disable", row.login, now)
    return ended


def enable_person(connection: Connection, login: str, now: datetime, by: str) -> None:
    """Let a disabled person in again, with what they had."""
    row = row_of(connection, login)
    connection.execute(update(person).where(person.c.id == row.id).values(disabled_at=None))
    _note(connection, by, "enable", row.login, now)


def reset_person(connection: Connection, login: str, now: datetime, by: str) -> str:
    """Forget password, second factor and sessions; a new code for the first sign-in."""
    row = row_of(connection, login)
    code = new_code()
    connection.execute(
        update(person)
        .where(person.c.id == row.id)
        .values(
            password_hash="",
            one_time_digest=digest_of_code(code),
            one_time_until=now + ONE_TIME,
            totp_proposed="",
            totp_secret="",
            totp_since=None,
            totp_step=0,
        )
    )
    connection.execute(delete(recovery_code).where(recovery_code.c.person_id == row.id))
    close_sessions_of(connection, row.id)
    _note(connection, by, "reset", row.login, now)
    return code


def change_person(
    connection: Connection,
    login: str,
    now: datetime,
    by: str,
    *,
    role: Role | None = None,
    institutions: Sequence[str] | None = None,
) -> None:
    """Another role or other institutions; it holds from the next request on."""
    row = row_of(connection, login)
    new_role = role or Role(row.role)
    named = json.loads(row.institutions) if institutions is None else sorted(set(institutions))
    if new_role not in EVERYWHERE and not named:
        raise InstitutionsNeeded(role=new_role.value)
    if new_role is not Role.OPERATOR:
        _keep_an_operator(connection, row)
    connection.execute(
        update(person)
        .where(person.c.id == row.id)
        .values(role=new_role.value, institutions=json.dumps(named, ensure_ascii=False))
    )
    _note(connection, by, "change", row.login, now, role=new_role.value)


def set_language(connection: Connection, person_id: int, language: str) -> None:
    """``zh`` or ``en``."""
    connection.execute(update(person).where(person.c.id == person_id).values(language=language))


def first_administrator(connection: Connection, now: datetime) -> tuple[str, str] | None:
    """Where there is nobody yet: an operator ``admin`` and their code. There is no password that
    anybody could know."""
    if connection.execute(select(func.count()).select_from(person)).scalar():
        return None
    login = "admin"
    return login, add_person(
        connection, NewPerson(login, "管理者", Role.OPERATOR), now, by="labbroker"
    )


def usable_login(login: str) -> str:
    """In lower case, or :class:`LoginUnusable`. A national id would be patient-like data in every
    audit row."""
    login = login.strip().lower()
    if not _LOGIN.fullmatch(login) or _NATIONAL_ID.fullmatch(login):
        raise LoginUnusable
    return login


def row_of(connection: Connection, login: str) -> Row[tuple[object, ...]]:
    """The whole row. Raises :class:`PersonUnknown`, which quotes no login that could not be one."""
    login = usable_login(login)
    row = connection.execute(select(person).where(person.c.login == login)).one_or_none()
    if row is None:
        raise PersonUnknown(login=login)
    return row


def _keep_an_operator(connection: Connection, row: Row[tuple[object, ...]]) -> None:
    others = connection.execute(
        select(func.count())
        .select_from(person)
        .where(
            person.c.role == Role.OPERATOR.value,
            person.c.disabled_at.is_(None),
            person.c.id != row.id,
        )
    ).scalar()
    if row.role == Role.OPERATOR.value and not others:
        raise LastOperator(login=row.login)


def _account(row: Row[tuple[object, ...]]) -> Account:
    return Account(
        person_of_row(row, row.id), _state(row), row.totp_since is not None, row.created_at
    )


def _state(row: Row[tuple[object, ...]]) -> str:
    if row.disabled_at is not None:
        return "disabled"
    return "active" if row.password_hash else "new"


def _note(
    connection: Connection, by: str, action: str, login: str, now: datetime, **detail: str
) -> None:
    note(
        connection,
        person=by,
        action=action,
        kind="person",
        subject=login,
        institution="",
        at=now,
        detail=detail,
    )
