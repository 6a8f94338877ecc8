"""What a sender wants done with each result, and what is done: pure (R4 http.html#update)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.fhir.elements import elements_of, text_of
from adapters.fhir.literals import LiteralDecimal
from adapters.fhir.result_ids import entry_id
from adapters.ports.resources import KnownResource, WrittenResource


@dataclass(frozen=True, slots=True)
class Wish:
    """What the sender wants done with one result. ``resource_id`` is set for an update by id,
    ``identifier`` (``system|value``) where something is done only if it is known or is not."""

    entry: int
    type_name: str
    place: str
    resource: Mapping[str, Any]
    update: bool = False
    resource_id: str = ""
    identifier: str = ""
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What is done for a wish: ``known`` is what stands, and stays where ``kept``.
    ``resource_id`` ``""`` is given by the receipt that is still to come."""

    wish: Wish
    version: int = 1
    resource_id: str = ""
    known: KnownResource | None = None
    kept: bool = False

    def written(self, receipt_id: int) -> WrittenResource:
        """What is registered of it, once its payload is stored."""
        identifiers = elements_of(self.wish.resource, "identifier")
        return WrittenResource(
            self.wish.type_name,
            self.resource_id or entry_id(receipt_id, self.wish.entry),
            self.version,
            self.wish.entry,
            content_digest(self.wish.resource),
            tuple(dict.fromkeys(filter(None, map(_identifier_text, identifiers)))),
        )


def content_digest(resource: Mapping[str, Any]) -> bytes:
    """Equal for resources that say the same: without id, meta, narrative, and without the
    temporary names (``urn:uuid:``) that are new in every Bundle."""
    kept = {name: item for name, item in resource.items() if name not in ("id", "meta", "text")}
    return hashlib.sha256(_canonical(kept).encode()).digest()[:16]


def _canonical(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name!r}:{_canonical(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, str) and value.startswith("urn:uuid:"):
        return "''"
    return value.literal if isinstance(value, LiteralDecimal) else repr(value)


def _identifier_text(identifier: Mapping[str, Any]) -> str:
    value = text_of(identifier, "value")
    return f"{text_of(identifier, 'system')}|{value}" if value else ""
