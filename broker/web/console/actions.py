"""What a page changes: by the orders of the control door, in the person's name, and audited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from broker.store.audit import note
from broker.web.console.desk import DESK
from broker.web.console.rendering import language_of
from broker.web.console.wording import all_words, say
from broker.web.identity import person_of
from mapping.errors import LabbrokerError, Language


@dataclass(frozen=True, slots=True)
class Notice:
    """``kind`` is ``good``, ``bad``, ``wait`` or ``info``."""

    kind: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Of what the audit trail tells: ``record`` ``4711`` of an institution."""

    kind: str
    number: str
    institution: str = ""


async def order(request: web.Request, name: str, body: Any) -> dict[str, Any]:
    """Give the order ``name`` of the control door. Raises what it raises."""
    return await request.app[DESK].orders[name](json.dumps(body).encode(), {})


async def audit(
    request: web.Request, action: str, subject: Subject, detail: Mapping[str, str] | None = None
) -> None:
    """Tell the audit trail what the person did; never with a patient's data."""
    desk, login = request.app[DESK], person_of(request).login
    now = desk.clock()
    await desk.write(
        lambda connection: note(
            connection,
            person=login,
            action=action,
            kind=subject.kind,
            subject=subject.number,
            institution=subject.institution,
            at=now,
            detail=detail or {},
        )
    )


def name_of(request: web.Request) -> str:
    """Under which name a person's decisions are kept as evidence."""
    person = person_of(request)
    return f"{person.name} ({person.login})" if person.name else person.login


def done(path: str, key: str, **numbers: int) -> web.HTTPSeeOther:
    """To raise: the way to ``path``, which then says ``done.<key>``."""
    query = urlencode({"done": key, **numbers})
    return web.HTTPSeeOther(f"{path}{'&' if '?' in path else '?'}{query}")


def notice_of(request: web.Request) -> Notice | None:
    """What :func:`done` said; only our own words and whole numbers."""
    key = f"done.{request.query.get('done', '')}"
    if key not in all_words():
        return None
    numbers = {
        name: int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
        for name in ("ready", "held", "left", "n")
        for value in [request.query.get(name, "")]
    }
    return Notice("good", say(language_of(person_of(request)), key, **numbers))


def refused(error: LabbrokerError, language: Language) -> Notice:
    """An order that was not obeyed, with what to do."""
    return Notice("bad", error.sentence(language), error.remedy(language))


async def form_of(request: web.Request) -> dict[str, str]:
    """The texts of a posted form, each name once, without blanks around."""
    form = await request.post()
    return {name: value.strip() for name, value in form.items() if isinstance(value, str)}
