"""From a template and its values to an answer, in the language of the person who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from broker.access.person import Person
from broker.access.roles import Permission
from broker.web.console import looks
from broker.web.console.desk import DESK
from broker.web.console.wording import say, say_or
from broker.web.identity import csrf_token, person_of
from mapping.errors import Language
from mapping.place_words import chinese_place


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the navigation; ``key`` is the letter that follows ``g``."""

    name: str
    path: str
    key: str
    permission: Permission


PAGES = (
    Entry("today", "/", "t", Permission.SEE_WORK),
    Entry("worklist", "/worklist", "w", Permission.SEE_WORK),
    Entry("records", "/records", "r", Permission.SEE_WORK),
    Entry("inbox", "/inbox", "b", Permission.RECEIVE_RESULTS),
    Entry("critical", "/critical", "k", Permission.SEE_WORK),
    Entry("deliveries", "/deliveries", "v", Permission.SEE_WORK),
    Entry("uploads", "/uploads", "u", Permission.SEE_UPLOADS),
    Entry("rates", "/rates", "a", Permission.SEE_RATES),
    Entry("sources", "/sources", "s", Permission.SEE_SOURCES),
    Entry("codes", "/codes", "c", Permission.SEE_SOURCES),
    Entry("entry", "/entry", "e", Permission.ENTER_RESULT),
    Entry("cards", "/cards", "d", Permission.SEE_CARDS),
    Entry("people", "/people", "p", Permission.MANAGE_PEOPLE),
    Entry("audit", "/audit", "l", Permission.SEE_AUDIT),
    Entry("settings", "/settings", "i", Permission.SEE_SETTINGS),
)


def language_of(person: Person) -> Language:
    return "en" if person.language == "en" else "zh"


def render(
    request: web.Request, template: str, page: str, *, status: int = 200, **values: Any
) -> web.Response:
    """The page ``template`` for the person who asks. Nothing of it is kept by a browser."""
    person = person_of(request)
    language = language_of(person)
    now = request.app[DESK].clock()
    text = (
        environment()
        .get_template(template)
        .render(
            **_ways(language, now),
            person=person,
            csrf=csrf_token(request),
            language=language,
            now=now,
            page=page,
            pages=[each for each in PAGES if person.may(each.permission)],
            may=lambda name: person.may(Permission(name)),
            **values,
        )
    )
    return web.Response(
        text=text,
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )


def not_there(request: web.Request) -> web.HTTPException:
    """To raise: the same page for what does not exist and for what is not the person's."""
    answer = render(request, "not_there.html", "not_there")
    return web.HTTPNotFound(
        text=answer.text, content_type="text/html", headers={"Cache-Control": "no-store"}
    )


def _ways(language: Language, now: Any) -> Mapping[str, Callable[..., Any]]:
    return {
        "t": lambda name, **values: say(language, name, **values),
        "t_or": lambda name, fallback: say_or(language, name, fallback),
        "moment": lambda at: looks.moment(at, now),
        "place": chinese_place if language == "zh" else str,
        "clock_time": looks.clock_time,
        "remaining": lambda due: looks.remaining(due, now, language),
        "duration": lambda span: looks.duration(span, language),
    }


@cache
def environment() -> Environment:
    """Everything is escaped unless it was made here; a missing value is a fault, not a blank."""
    made = Environment(
        loader=PackageLoader("broker.web.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["count"] = looks.count
    made.filters["day"] = looks.day
    made.filters["masked_id"] = looks.masked_id
    made.filters["masked_name"] = looks.masked_name
    made.filters["masked_date"] = looks.masked_date
    made.filters["masked_text"] = looks.masked_text
    made.filters["without_ids"] = looks.without_ids
    made.filters["shortened"] = looks.shortened
    return made
