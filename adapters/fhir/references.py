"""References, resolved inside the payload only. Nothing is ever fetched.

Rules: R4 references.html (contained, relative, absolute), bundle.html#references (fullUrl and
relative references within a Bundle).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.fhir.elements import Element, element_of, text_of

_RESTFUL = re.compile(r"^(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64}(?:/_history/[^/]+)?$")
_CONDITIONAL = re.compile(r"^([A-Z][A-Za-z]+)\?identifier=(?:([^|&]*)\|)?([^|&]+)$")


@dataclass(slots=True, eq=False)
class Node:
    """A resource with its place. ``owner`` is the resource that contains it, or None."""

    resource: dict[str, Any]
    place: str
    full_url: str = ""
    owner: Node | None = None
    contained: dict[str, Node] = field(default_factory=dict)
    base: str = ""
    """The service root in ``full_url`` where that is RESTful, for relative references."""

    def __post_init__(self) -> None:
        match = _RESTFUL.match(self.full_url)
        self.base = match[1] if match else ""

    @property
    def type_name(self) -> str:
        """``Observation``, ``Patient`` …"""
        return text_of(self.resource, "resourceType")


class ReferenceIndex:
    """All resources of one payload. What is named twice with different content is not guessed."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: list[Node] = list(nodes)
        self._by_type: dict[str, list[Node]] = {}
        self._by_url: dict[str, Node | None] = {}
        self._by_type_and_id: dict[str, Node | None] = {}
        self._without_url: dict[str, Node | None] = {}
        for node in self.nodes:
            self._by_type.setdefault(node.type_name, []).append(node)
            if node.owner is not None:
                continue
            if node.full_url:
                _enter(self._by_url, node.full_url, node)
            identity = text_of(node.resource, "id")
            if identity:
                key = f"{node.type_name}/{identity}"
                _enter(self._by_type_and_id, key, node)
                if not node.full_url:
                    _enter(self._without_url, key, node)

    def of_type(self, name: str) -> list[Node]:
        """All resources of one type, in the order of the payload."""
        return self._by_type.get(name, [])

    def resolve(self, reference: Element, source: Node, *types: str) -> Node | None:
        """The resource that ``reference`` (a Reference) in ``source`` means.

        None where it is not in the payload, not of one of ``types``, or not one but several.
        """
        target = text_of(reference, "reference").partition("/_history/")[0]
        node = self._find(target, source) if target else None
        return node if node is not None and (not types or node.type_name in types) else None

    def _find(self, target: str, source: Node) -> Node | None:
        container = source.owner or source
        if target.startswith("#"):
            return container.contained.get(target[1:]) if len(target) > 1 else container
        if ":" in target.partition("/")[0]:
            found = self._by_url.get(target)
            if found is None and target.startswith("http"):
                return self._without_url.get("/".join(target.split("/")[-2:]))
            return found
        found = self._by_url.get(container.base + target) if container.base else None
        return found or self._by_type_and_id.get(target)


def logical_identifier(reference: Element) -> Mapping[str, Any]:
    """The Identifier that a reference carries itself: ``identifier``, or a conditional reference.

    ``Patient?identifier=http://www.moi.gov.tw|A123456789`` (R4 http.html#transaction) says as
    much as ``{"identifier": {"system": …, "value": …}}``.
    """
    identifier = element_of(reference, "identifier")
    if identifier:
        return identifier
    conditional = _CONDITIONAL.match(text_of(reference, "reference"))
    if conditional is None:
        return {}
    return {"system": conditional[2] or "", "value": conditional[3]}


def target_key(reference: Element, node: Node | None) -> str:
    """Something to compare references by: the same thing has the same key."""
    if node is not None:
        return f"node {id(node)}"
    identifier = logical_identifier(reference)
    if identifier:
        return f"identifier {text_of(identifier, 'system')}|{text_of(identifier, 'value')}"
    return text_of(reference, "reference").partition("/_history/")[0]


def target_type(reference: Element, node: Node | None) -> str:
    """The type of resource that a reference is to, as far as it says so; else ``""``."""
    if node is not None:
        return node.type_name
    declared = text_of(reference, "type")
    if declared:
        return declared
    steps = text_of(reference, "reference").partition("?")[0].split("/")
    if "?" in text_of(reference, "reference"):
        return steps[0]
    return steps[-2] if len(steps) > 1 else ""


def _enter(table: dict[str, Node | None], key: str, node: Node) -> None:
    known = table.get(key, node)
    table[key] = known if known is not None and known.resource == node.resource else None
