"""The OpenAPI 3.1 document, written from the table of operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.access.roles import Permission
from broker.web.api.operation import Operation
from broker.web.identity import Guard

BASE = "/api/v1"
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}


def openapi_document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "labbroker",
            "version": version,
            "description": "What the console does, for programs. Errors are problem+json "
            "(RFC 9457) in one shape; lists are paged by `after`, the `next` of the page before.",
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
            "responses": {
                "Problem": {
                    "description": "Why not.",
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": "#/components/schemas/Problem"}
                        }
                    },
                }
            },
        },
    }


def _anchored(schema: Any) -> Any:
    """A pattern of JSON Schema may match anywhere; ours are of the whole text."""
    if isinstance(schema, Mapping):
        return {
            name: f"^(?:{value})$"
            if name == "pattern" and isinstance(value, str)
            else _anchored(value)
            for name, value in schema.items()
        }
    return [_anchored(each) for each in schema] if isinstance(schema, list) else schema


def _operation(each: Operation) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _anchored(schema)}
        for name, schema in each.path_parts.items()
    ]
    parameters += [
        {"name": name, "in": "query", "schema": _anchored(schema)}
        for name, schema in each.query.items()
    ]
    if each.method == "POST":
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key with the same body is done once; kept for 24 hours.",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
            }
        )
    media = (each.media,) if isinstance(each.media, str) else each.media
    shown: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "tags": [each.path.split("/")[1]],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done.",
                "content": {kind: {"schema": dict(each.answers)} for kind in media},
            },
            **{status: {"$ref": "#/components/responses/Problem"} for status in _refusals(each)},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if isinstance(each.guard, Permission):
        shown["description"] = f"Permission (scope): `{each.guard.value}`."
    elif each.guard is Guard.ANYBODY:
        shown["security"] = []
    if each.body is not None:
        shown["requestBody"] = {
            "required": True,
            "content": {each.takes: {"schema": _anchored(each.body)}},
        }
    return shown


def _refusals(each: Operation) -> list[str]:
    """The statuses with which it may be refused."""
    found = ["400"] if each.path_parts or each.query or each.body is not None else []
    if each.guard is not Guard.ANYBODY:
        found.append("401")
    if isinstance(each.guard, Permission) or each.method == "POST":
        found.append("403")
    if each.path_parts:
        found.append("404")
    if each.method == "POST":
        found += ["409", "413", "415"]
        found += ["422"] if each.takes == "application/json" else []
    return found
