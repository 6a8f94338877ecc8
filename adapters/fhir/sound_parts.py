"""What was found sound once is not validated again: laboratories repeat codes, units and ranges.

A part is sound by its whole content, so a result passes here only if ``fhir.resources.R4B`` has
passed each of its parts before; whatever is new, or in any way unusual, goes to the model. The
findings are the same, a panel of twenty lines is read in less than half the time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from adapters.fhir.literals import LiteralDecimal

_PARTS = frozenset(
    {"code", "category", "method", "interpretation", "referenceRange", "subject", "performer"}
    | {"specimen", "basedOn", "bodySite", "result", "resultsInterpreter", "hasMember", "encounter"}
)
"""Elements of Observation and DiagnosticReport that no rule of the model ties to another."""
_MOST_KEPT = 8192
Part: TypeAlias = tuple[str, str, str]
"""Type of the resource, name of the element, its content."""

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_TARGET = re.compile(r"[A-Za-z0-9:/.#\-]{1,200}", re.ASCII)
_TIME = re.compile(
    r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])",
    re.ASCII,
)


class SoundParts:
    """Remembers parts by the type of their resource. ``statuses`` are the legal codes of each."""

    def __init__(self, statuses: Mapping[str, Collection[str]]) -> None:
        self._statuses = statuses
        # Large payloads are read on threads: what is not there is looked at, and no harm done.
        self._known: set[tuple[str, str, str]] = set()

    def unknown(self, name: str, resource: Mapping[str, Any]) -> tuple[bool, list[Part]]:
        """Whether the model must look at the resource, and what is sound if it finds no fault."""
        statuses = self._statuses.get(name)
        if statuses is None:
            return True, []
        plain = True
        fresh: list[Part] = []
        values = 0
        for key, value in resource.items():
            if key in _PARTS:
                token = (name, key, _reference_shape(value) or repr(value))
            elif key in ("valueQuantity", "valueString"):
                values += 1
                token = (name, key, _shape(value))
            else:
                plain = plain and _is_plain(key, value, statuses)
                continue
            if token not in self._known:
                fresh.append(token)
        whole = plain and values <= 1 and "code" in resource and "status" in resource
        return not whole or bool(fresh), fresh

    def remember(self, parts: list[Part]) -> None:
        """These were in a resource in which the model found no fault."""
        if len(self._known) + len(parts) > _MOST_KEPT:
            self._known = set()
        self._known.update(parts)


def _shape(value: Any) -> str:
    """The content of a value, a plain number or text in it as ``#``: all such are alike sound."""
    if isinstance(value, dict) and "value" in value:
        number = value["value"]
        text = number.literal if isinstance(number, LiteralDecimal) else repr(number)
        if isinstance(number, int | LiteralDecimal) and _PLAIN_NUMBER.fullmatch(text):
            return repr({**value, "value": "#"}) + "#"
    if isinstance(value, str) and value.strip() and value.isprintable():
        return "#"
    return repr(value)


def _reference_shape(value: Any) -> str:
    """``@`` for a Reference that is nothing but a plain target, ``[@]`` for a list of such."""
    if isinstance(value, list):
        plain = bool(value) and all(_reference_shape(item) == "@" for item in value)
        return "[@]" if plain else ""
    if isinstance(value, dict) and len(value) == 1:
        target = value.get("reference")
        if isinstance(target, str) and _TARGET.fullmatch(target):
            return "@"
    return ""


def _is_plain(key: str, value: Any, statuses: Collection[str]) -> bool:
    if not isinstance(value, str):
        return False
    if key == "status":
        return value in statuses
    if key in ("effectiveDateTime", "issued"):
        return _TIME.fullmatch(value) is not None and _is_a_time(value)
    if key == "id":
        return _ID.fullmatch(value) is not None
    return key == "resourceType"


def _is_a_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
