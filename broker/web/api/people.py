"""People and the tokens of machines: what ``labbroker people``, ``labbroker token`` and the page
People do. Who may manage people can become anybody: a token with that scope is as good as all."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from broker.access.errors import PersonUnknown, TokenUnknown
from broker.access.roles import Permission, Role
from broker.store.people import Account, account_of, accounts
from broker.store.tokens import Token, tokens
from broker.web.api.operation import Answer, Call, Operation, bad, instant, not_found, page, paged
from broker.web.api.shapes import (
    INSTANT,
    NUMBER,
    TEXT,
    TRUTH,
    choice,
    every,
    or_null,
    page_of,
    shape,
    text,
    told,
    whole,
)
from broker.web.console.actions import order
from broker.web.console.desk import DESK
from broker.web.identity import person_of


async def people(call: Call) -> Answer:
    found = await call.request.app[DESK].read(
        lambda c: accounts(c, after=call.query.get("after", ""), count=call.limit + 1)
    )
    shown = found[: call.limit]
    more = shown[-1].person.login if len(found) > call.limit else None
    return page([_person(each) for each in shown], more)


async def show_person(call: Call) -> Answer:
    return _person(await _account(call, call.path["login"]))


async def add_person(call: Call) -> Answer:
    """The code with which the new person chooses a password is answered once."""
    done = await order(call.request, "people-add", {**call.body, "by": _by(call)})
    return {"login": done["login"], "code": done["code"]}


async def change_person(call: Call) -> Answer:
    await _obey(call, "people-change")
    return _person(await _account(call, call.path["login"]))


async def disable_person(call: Call) -> Answer:
    done = await _obey(call, "people-disable")
    return {"login": done["login"], "sessions_ended": done["sessions_ended"]}


async def enable_person(call: Call) -> Answer:
    return {"login": (await _obey(call, "people-enable"))["login"]}


async def reset_person(call: Call) -> Answer:
    done = await _obey(call, "people-reset")
    return {"login": done["login"], "code": done["code"]}


async def list_tokens(call: Call) -> Answer:
    found = await call.request.app[DESK].read(
        lambda c: tokens(c, before=call.query.get("after"), count=call.limit + 1)
    )
    shown = found[: call.limit]
    more = shown[-1].token_id if len(found) > call.limit else None
    return page([_token(each) for each in shown], more)


async def add_token(call: Call) -> Answer:
    """The token is answered once; "" where a certificate stands in its place."""
    asked = {**call.body, "by": _by(call)}
    if "certificate" in asked:
        asked["certificate"] = _der(asked["certificate"])
    try:
        done = await order(call.request, "token-add", asked)
    except PersonUnknown:
        raise not_found() from None
    return {"login": done["login"], "token": done["token"]}


async def revoke_token(call: Call) -> Answer:
    asked = {"token_id": call.path["token"], "by": _by(call)}
    try:
        done = await order(call.request, "token-revoke", asked)
    except TokenUnknown:
        raise not_found() from None
    return {"id": done["token_id"]}


async def _obey(call: Call, name: str) -> dict[str, Any]:
    asked = {**call.body, "login": call.path["login"], "by": _by(call)}
    try:
        return await order(call.request, name, asked)
    except PersonUnknown:
        raise not_found() from None


async def _account(call: Call, login: str) -> Account:
    try:
        return await call.request.app[DESK].read(lambda c: account_of(c, login))
    except PersonUnknown:
        raise not_found() from None


def _by(call: Call) -> str:
    return person_of(call.request).login


def _der(pem: str) -> str:
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        what = "The certificate is none in PEM form."
        raise bad(web.HTTPConflict, "certificate-unreadable", what) from None
    return base64.b64encode(found.public_bytes(Encoding.DER)).decode()


def _person(account: Account) -> dict[str, Any]:
    person = account.person
    return {
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "institutions": None if person.everywhere else sorted(person.institutions),
        "language": person.language,
        "state": account.state,
        "second_factor": account.second_factor,
        "created_at": instant(account.created_at),
    }


def _token(token: Token) -> dict[str, Any]:
    times: dict[str, datetime | None] = {
        "created_at": token.created_at,
        "until": token.until,
        "seen_at": token.seen_at,
        "revoked_at": token.revoked_at,
    }
    return {
        "id": token.token_id,
        "login": token.login,
        "name": token.name,
        "scopes": list(token.scopes),
        **{name: instant(at) for name, at in times.items()},
    }


_P = Permission
_LOGIN = text(64, shortest=2, pattern=r"[a-z0-9][a-z0-9._@-]{1,63}")
_OF = {"login": _LOGIN}
_ROLE = choice(*Role)
_INSTITUTIONS = {
    "type": "array",
    "items": text(100, shortest=1, pattern=r"[0-9A-Za-z._-]+"),
    "maxItems": 1000,
}
_PERSON = {
    "login": TEXT,
    "name": TEXT,
    "role": TEXT,
    "institutions": or_null(every(TEXT)),
    "language": TEXT,
    "state": {"type": "string", "enum": ["new", "active", "disabled"]},
    "second_factor": TRUTH,
    "created_at": INSTANT,
}
_WITH_CODE = told(login=TEXT, code=TEXT)
OPERATIONS = (
    Operation(
        "GET",
        "/people",
        "listPeople",
        "Who may sign in, as what, for whom, by login",
        _P.MANAGE_PEOPLE,
        people,
        query=paged(by_number=False, key=r"[a-z0-9._@-]*"),
        answers=page_of(**_PERSON),
    ),
    Operation(
        "POST",
        "/people",
        "addPerson",
        "Add a person; the code for the first sign-in is answered once",
        _P.MANAGE_PEOPLE,
        add_person,
        body=shape(
            {
                "login": _LOGIN,
                "name": text(80),
                "role": _ROLE,
                "institutions": _INSTITUTIONS,
                "language": choice("zh", "en"),
            },
            "login",
            "role",
        ),
        answers=_WITH_CODE,
        is_secret=True,
    ),
    Operation(
        "GET",
        "/people/{login}",
        "showPerson",
        "One person",
        _P.MANAGE_PEOPLE,
        show_person,
        path_parts=_OF,
        answers=told(**_PERSON),
    ),
    Operation(
        "POST",
        "/people/{login}/change",
        "changePerson",
        "Another role, other institutions; from the next request on",
        _P.MANAGE_PEOPLE,
        change_person,
        path_parts=_OF,
        body=shape({"role": _ROLE, "institutions": _INSTITUTIONS}, at_least=1),
        answers=told(**_PERSON),
    ),
    Operation(
        "POST",
        "/people/{login}/disable",
        "disablePerson",
        "Sign a person out everywhere and let them in no more",
        _P.MANAGE_PEOPLE,
        disable_person,
        path_parts=_OF,
        body=shape({}),
        answers=told(login=TEXT, sessions_ended=NUMBER),
    ),
    Operation(
        "POST",
        "/people/{login}/enable",
        "enablePerson",
        "Let a disabled person in again",
        _P.MANAGE_PEOPLE,
        enable_person,
        path_parts=_OF,
        body=shape({}),
        answers=told(login=TEXT),
    ),
    Operation(
        "POST",
        "/people/{login}/reset",
        "resetPerson",
        "Forget password, second factor and sessions; a new code, answered once",
        _P.MANAGE_PEOPLE,
        reset_person,
        path_parts=_OF,
        body=shape({}),
        answers=_WITH_CODE,
        is_secret=True,
    ),
    Operation(
        "GET",
        "/tokens",
        "listTokens",
        "With what machines come in, the newest first; never the tokens themselves",
        _P.MANAGE_PEOPLE,
        list_tokens,
        query=paged(),
        answers=page_of(
            id=NUMBER,
            login=TEXT,
            name=TEXT,
            scopes=every(TEXT),
            created_at=INSTANT,
            until=INSTANT,
            seen_at=INSTANT,
            revoked_at=INSTANT,
        ),
    ),
    Operation(
        "POST",
        "/tokens",
        "addToken",
        "A new token of an account, answered once; or a client certificate in its place",
        _P.MANAGE_PEOPLE,
        add_token,
        body=shape(
            {
                "login": _LOGIN,
                "name": text(100, shortest=1),
                "scopes": {"type": "array", "items": choice(*Permission), "minItems": 1},
                "days": whole(1, 3650),
                "certificate": text(20_000, about="A client certificate in PEM form."),
            },
            "login",
            "name",
            "scopes",
        ),
        answers=told(login=TEXT, token=TEXT),
        is_secret=True,
    ),
    Operation(
        "POST",
        "/tokens/{token}/revoke",
        "revokeToken",
        "It opens nothing from here on",
        _P.MANAGE_PEOPLE,
        revoke_token,
        path_parts={"token": whole(1)},
        body=shape({}),
        answers=told(id=NUMBER),
    ),
)
