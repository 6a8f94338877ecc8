"""One line of the API's table: an operation with its permission, its shapes and its handler."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from broker.access.roles import Permission
from broker.web.api.shapes import Schema, what_is_wrong, whole
from broker.web.identity import Guard, refusal
from broker.web.problem import problem

MOST = 200
USUAL = 50


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let through and whose parts fit their shapes."""

    request: web.Request
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Any = None

    @property
    def limit(self) -> int:
        limit: int = self.query.get("limit", USUAL)
        return limit


Answer = Mapping[str, Any] | web.StreamResponse
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """``path`` is below ``/api/v1`` and has its parameters in braces; ``path_parts``, ``query`` and
    ``body`` say what each takes. ``answers`` describes the 200."""

    method: str
    path: str
    name: str
    summary: str
    guard: Permission | Guard
    handler: Handler
    path_parts: Mapping[str, Schema] = field(default_factory=dict)
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    answers: Schema = field(default_factory=lambda: {"type": "object"})
    media: str | tuple[str, ...] = "application/json"
    """Of the 200; several where the caller chooses."""
    takes: str = "application/json"
    """Of the body. Anything else comes as bytes, as they were sent."""
    is_secret: bool = False
    """What it answers is shown once and kept nowhere, not even under an idempotency key."""

    @property
    def is_paged(self) -> bool:
        return "after" in self.query


def paged(
    query: Mapping[str, Schema] | None = None,
    *,
    by_number: bool = True,
    key: str = "[0-9a-f.]*",
) -> dict[str, Schema]:
    """The parameters of a list, with ``after`` (the ``next`` of the page before, which is all of
    the pattern ``key`` where it is no number) and ``limit``."""
    after: Schema = (
        {"type": "integer", "minimum": 0, "maximum": 10**15}
        if by_number
        else {"type": "string", "maxLength": 64, "pattern": key}
    )
    return {**(query or {}), "after": after, "limit": whole(1, MOST)}


def page(items: list[Any], next_after: object | None) -> dict[str, Any]:
    """``{"items", "next"}``; ``next`` is null at the end."""
    return {"items": items, "next": None if next_after is None else str(next_after)}


def listing(
    rows: list[Any], limit: int, make: Callable[[Any], Any], key: str = "id"
) -> dict[str, Any]:
    """A page of rows that were read with one more than ``limit``."""
    shown = rows[:limit]
    more = getattr(shown[-1], key) if len(rows) > limit and shown else None
    return page([make(row) for row in shown], more)


def instant(at: datetime | None) -> str | None:
    """RFC 3339, UTC, to the second."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def not_found() -> web.HTTPException:
    """What is not there, and what is another's: nobody can tell the two apart."""
    return refusal(web.HTTPNotFound, problem(404, "not-found", "There is no such thing."))


def bad(
    status: type[web.HTTPException], code: str, title: str, detail: str = ""
) -> web.HTTPException:
    """A refusal of what was sent."""
    return refusal(status, problem(status.status_code, code, title, detail))


async def call_of(operation: Operation, request: web.Request) -> Call:
    """The parts of a request, each in its shape. Raises 400, 413, 415 or 422."""
    parts = {
        name: _simple(schema, request.match_info[name], name)
        for name, schema in operation.path_parts.items()
    }
    query: dict[str, Any] = {}
    for name, value in request.query.items():
        schema = operation.query.get(name)
        if schema is None or name in query:
            what = "A parameter is not known, or was given twice."
            raise bad(web.HTTPBadRequest, "wrong-parameter", what, ", ".join(operation.query))
        query[name] = _simple(schema, value, name)
    body = await _body(operation, request) if operation.body is not None else None
    return Call(request, parts, query, body)


def _simple(schema: Schema, value: str, name: str) -> Any:
    given: Any = value
    if schema.get("type") == "integer":
        if not (value.isascii() and value.isdigit() and len(value) < 20):
            raise bad(web.HTTPBadRequest, "wrong-parameter", f"{name} is no whole number.")
        given = int(value)
    elif schema.get("type") == "boolean":
        if value not in ("true", "false"):
            raise bad(web.HTTPBadRequest, "wrong-parameter", f"{name} is true or false.")
        given = value == "true"
    wrong = what_is_wrong(schema, given, name)
    if wrong:
        raise bad(web.HTTPBadRequest, "wrong-parameter", "A parameter does not fit.", wrong)
    return given


async def _body(operation: Operation, request: web.Request) -> Any:
    if operation.takes != "application/json":
        if request.content_type != operation.takes:
            what = f"The body is {operation.takes}."
            raise bad(web.HTTPUnsupportedMediaType, "wrong-media", what)
        return await request.read()
    if request.content_type != "application/json":
        raise bad(web.HTTPUnsupportedMediaType, "not-json", "The body is application/json.")
    raw = await request.read()
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_number)
    except (ValueError, RecursionError):
        raise bad(web.HTTPBadRequest, "not-json", "The body is no JSON in UTF-8.") from None
    assert operation.body is not None  # noqa: S101 - by the caller
    wrong = what_is_wrong(operation.body, value)
    if wrong:
        raise bad(web.HTTPUnprocessableEntity, "wrong-body", "The body does not fit.", wrong)
    return value


def _number(text: str) -> Any:
    """JSON Schema counts ``1.0`` among the whole numbers."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 10**15 else number


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
