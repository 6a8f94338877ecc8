"""The shapes of what programs send, as JSON Schema, checked before anything is done with it.

The same schemas stand in the OpenAPI document. Of JSON Schema only what is used here is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_KNOWN: Final = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "enum", "pattern", "items"),
        *("minLength", "maxLength", "minimum", "maximum", "minProperties", "maxProperties"),
        *("maxItems", "minItems"),
        *("description", "format", "default"),
    }
)


def text(
    longest: int = 200, *, shortest: int = 0, pattern: str = r"[^\x00]*", about: str = ""
) -> Schema:
    """A string that is all of ``pattern``; without one, any without NUL."""
    schema: dict[str, Any] = {"type": "string", "maxLength": longest, "pattern": pattern}
    if shortest:
        schema["minLength"] = shortest
    if about:
        schema["description"] = about
    return schema


def whole(least: int = 0, most: int = 10**12 - 1) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


def choice(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def shape(
    properties: Mapping[str, Schema], *required: str, at_least: int = 0, at_most: int = 0
) -> Schema:
    """An object that has these members and no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    if at_least:
        schema["minProperties"] = at_least
    if at_most:
        schema["maxProperties"] = at_most
    return schema


TEXT: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "integer"}
TRUTH: Final[Schema] = {"type": "boolean"}
INSTANT: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
DAY: Final[Schema] = {"type": "string", "format": "date"}


def or_null(schema: Schema) -> Schema:
    """Of an answer: this, or null."""
    return {**schema, "type": [schema["type"], "null"]}


def every(item: Schema) -> Schema:
    """Of an answer: an array of these."""
    return {"type": "array", "items": dict(item)}


def told(**members: Schema) -> Schema:
    """Of an answer: an object that has all of these."""
    return {"type": "object", "required": list(members), "properties": members}


def page_of(**members: Schema) -> Schema:
    """Of an answer: a page of a list of such objects."""
    return told(items=every(told(**members)), next=or_null(TEXT))


def what_is_wrong(schema: Schema, value: Any, place: str = "") -> str:
    """Where ``value`` differs from ``schema``, without repeating any of it; "" where it fits."""
    unknown = schema.keys() - _KNOWN
    if unknown:
        raise ValueError(f"the checker does not know {sorted(unknown)}")
    kind, here = schema.get("type"), place or "the body"
    if kind is not None:
        fits = isinstance(value, _KINDS[kind])
        if not fits or (kind == "integer" and isinstance(value, bool)):
            return f"{here} is not of type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{here} is none of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        return _wrong_text(schema, value, here)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        return f"{here} is too small or too large"
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return f"{here} has too few or too many items"
        wrong = (
            what_is_wrong(schema.get("items", {}), item, f"{place}[{at}]")
            for at, item in enumerate(value)
        )
        return next(filter(None, wrong), "")
    if isinstance(value, dict):
        return _wrong_object(schema, value, place, here)
    return ""


def _wrong_text(schema: Schema, value: str, here: str) -> str:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return f"{here} is too short or too long"
    if "pattern" in schema and re.fullmatch(schema["pattern"], value, re.ASCII | re.DOTALL) is None:
        return f"{here} does not have the form that is asked for"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{here} holds half a character"
    return ""


def _wrong_object(schema: Schema, value: dict[str, Any], place: str, here: str) -> str:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{here} lacks {name}"
    if len(value) < schema.get("minProperties", 0):
        return f"{here} is empty"
    if len(value) > schema.get("maxProperties", len(value)):
        return f"{here} has too many members: one of {', '.join(schema.get('properties', {}))}"
    properties: Mapping[str, Schema] = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    for name, item in value.items():
        inner: Any = properties.get(name, more)
        if inner is False:
            return f"{here} has a member that is not known; known are {', '.join(properties)}"
        if isinstance(inner, Mapping):
            shown = name if name in properties else "a member"
            wrong = what_is_wrong(inner, item, f"{place}.{shown}".lstrip("."))
            if wrong:
                return wrong
    return ""
