"""The pages of signing in and of one's own account, in zh-TW and English, without scripts."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from broker.access.passwords import SHORTEST
from broker.web.identity import csrf_token
from broker.web.session import SESSION
from mapping.errors import Language


def page(
    request: web.Request, template: str, *, status: int = 200, message: str = "", **values: Any
) -> web.Response:
    """``message`` is the name of a text; ``after`` of ``values`` where to go at the end."""
    language = language_of(request)
    words = _words()

    def say(name: str, **parameters: object) -> str:
        return words[name][language].format(**{"shortest": SHORTEST} | parameters)

    # A page that answers a POST is at home under another address.
    path = request.path if request.path.startswith("/sign-in") else "/account"
    text = (
        _environment()
        .get_template(template)
        .render(
            say=say,
            language=language,
            other="en" if language == "zh" else "zh",
            csrf=csrf_token(request),
            message=message,
            **{"after": "/", "wait": 0, "path": path} | values,
        )
    )
    return web.Response(status=status, text=text, content_type="text/html")


def language_of(request: web.Request) -> Language:
    """What was asked for, else the person's, else the browser's; zh where nobody says."""
    asked = request.query.get("language", "")
    session = request.get(SESSION)
    if asked not in ("zh", "en") and session is not None:
        asked = session.person.language
    if asked not in ("zh", "en"):
        first = request.headers.get("Accept-Language", "zh").strip().lower()
        asked = "en" if first.startswith("en") else "zh"
    return "en" if asked == "en" else "zh"


def after_of(given: object) -> str:
    """A path of this console, whatever was given: nobody is sent to another site."""
    path = given if isinstance(given, str) else ""
    plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


@cache
def _words() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("broker.web").joinpath("templates/words.toml").read_text("utf-8"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("broker.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
