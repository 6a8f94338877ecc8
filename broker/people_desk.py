"""What is asked about people and tokens, whoever asks: the command line, the control door, the
console and the API."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection

from broker.access.roles import Role
from broker.store.people import (
    NewPerson,
    add_person,
    change_person,
    disable_person,
    enable_person,
    reset_person,
)
from broker.store.tokens import add_token, revoke_token

Told: TypeAlias = Mapping[str, Any]
PeopleOrder: TypeAlias = Callable[[Connection, Told, datetime], dict[str, Any]]
"""``(connection, what is asked as plain values, now)`` → what came of it. ``by`` says who asks.
Raises what :mod:`broker.access.errors` names."""


def _add(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    new = NewPerson(
        told["login"],
        told.get("name", ""),
        Role(told["role"]),
        frozenset(told.get("institutions", ())),
        told.get("language", "zh"),
    )
    code = add_person(connection, new, now, told["by"])
    return {"login": new.login.strip().lower(), "code": code}


def _change(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    role = told.get("role")
    change_person(
        connection,
        told["login"],
        now,
        told["by"],
        role=None if role is None else Role(role),
        institutions=told.get("institutions"),
    )
    return {"login": told["login"]}


def _disable(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    ended = disable_person(connection, told["login"], now, told["by"])
    return {"login": told["login"], "sessions_ended": ended}


def _enable(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    enable_person(connection, told["login"], now, told["by"])
    return {"login": told["login"]}


def _reset(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    return {
        "login": told["login"],
        "code": reset_person(connection, told["login"], now, told["by"]),
    }


def _add_token(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    days, certificate = told.get("days"), told.get("certificate")
    token = add_token(
        connection,
        told["login"],
        told.get("name", ""),
        told["scopes"],
        now,
        told["by"],
        until=None if days is None else now + timedelta(days=days),
        certificate=None if certificate is None else base64.b64decode(certificate),
    )
    return {"login": told["login"], "token": token}


def _revoke_token(connection: Connection, told: Told, now: datetime) -> dict[str, Any]:
    revoke_token(connection, told["token_id"], now, told["by"])
    return {"token_id": told["token_id"]}


PEOPLE_ORDERS: Mapping[str, PeopleOrder] = {
    "people-add": _add,
    "people-change": _change,
    "people-disable": _disable,
    "people-enable": _enable,
    "people-reset": _reset,
    "token-add": _add_token,
    "token-revoke": _revoke_token,
}
