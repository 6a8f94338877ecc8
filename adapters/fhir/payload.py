"""A FHIR payload taken apart: entries in order, each examined by itself.

The reader and the HTTP answer both start here, so that what the sender is told and what is read
later cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.fhir.elements import element_of, text_of
from adapters.fhir.errors import NotFhir, NoUsableResult, TransactionRefused
from adapters.fhir.references import Node
from adapters.fhir.strict_json import MAX_BYTES, read_json
from adapters.fhir.strict_xml import read_xml
from adapters.fhir.structure import (
    RESULT_TYPES,
    SUPPORT_TYPES,
    examine,
    is_resource_type,
    may_hold_extras,
)
from mapping.finding import Finding, Severity

_WRITES = frozenset({"", "POST", "PUT"})
_BUNDLE_TYPES = frozenset(
    [
        "document",
        "message",
        "transaction",
        "transaction-response",
        "batch",
        "batch-response",
        "history",
        "searchset",
        "collection",
    ]
)
"""R4 bundle-type."""


@dataclass(slots=True)
class Entry:
    """One entry of a Bundle, or the lone resource. ``node`` is None where it cannot be used or
    carries nothing about a result."""

    place: str
    type_name: str = ""
    method: str = ""
    node: Node | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        """Whether a part that carries, or may carry, a result cannot be used."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class FhirPayload:
    """``bundle_type`` is ``""`` for a lone resource. ``document`` is the whole as parsed."""

    type_name: str
    bundle_type: str
    control_id: str
    entries: tuple[Entry, ...]
    document: dict[str, Any]

    @property
    def kind(self) -> str:
        """``Bundle/transaction``, ``Observation``."""
        return f"Bundle/{self.bundle_type}" if self.type_name == "Bundle" else self.type_name

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings in the order of the entries."""
        return tuple(finding for entry in self.entries for finding in entry.findings)

    def nodes(self) -> Iterator[Node]:
        """All usable resources, contained ones after their container."""
        for entry in self.entries:
            if entry.node is not None:
                yield entry.node
                yield from entry.node.contained.values()

    def refusal(self) -> NoUsableResult | None:
        """Why nothing of this payload may be used, or None.

        A transaction falls with its first fault; anything else when no result is left.
        """
        faults = tuple(item for item in self.findings if item.severity is Severity.ERROR)
        if not faults:
            return None
        if self.bundle_type == "transaction":
            return TransactionRefused(faults)
        if any(node.type_name in RESULT_TYPES for node in self.nodes()):
            return None
        return NoUsableResult(faults)


def open_json(raw: bytes, limit: int = MAX_BYTES) -> FhirPayload:
    """Take FHIR JSON apart. Raises a subclass of ``UnreadablePayload`` for bytes that are none."""
    return _open(read_json(raw, limit), may_hold_extras(raw))


def open_xml(raw: bytes, limit: int = MAX_BYTES) -> FhirPayload:
    """Take FHIR XML apart. Raises a subclass of ``UnreadablePayload`` for bytes that are none."""
    return _open(read_xml(raw, limit), may_hold_extras(raw))


def _open(document: Any, has_extras: bool) -> FhirPayload:
    if not isinstance(document, dict):
        raise NotFhir(place="/")
    name = text_of(document, "resourceType")
    if name in RESULT_TYPES:
        entry = Entry(name, name)
        _examine(entry, document, "", has_extras)
        return FhirPayload(name, "", text_of(document, "id"), (entry,), document)
    if name != "Bundle":
        raise NotFhir(place="/resourceType")
    bundle_type = text_of(document, "type")
    items = document.get("entry", [])
    if bundle_type not in _BUNDLE_TYPES:
        raise NotFhir(place="Bundle.type")
    if not isinstance(items, list):
        raise NotFhir(place="Bundle.entry")
    entries = tuple(
        _entry(item, f"Bundle.entry[{index}]", bundle_type, has_extras)
        for index, item in enumerate(items)
    )
    control_id = _control_id(document, items)
    return FhirPayload(name, bundle_type, control_id, entries, document)


def _entry(item: Any, place: str, bundle_type: str, has_extras: bool) -> Entry:
    entry = Entry(place)
    if not isinstance(item, dict):
        entry.findings.append(Finding("fhir-entry", place=place))
        return entry
    entry.method = text_of(element_of(item, "request"), "method")
    answered = bundle_type.endswith("-response") or bundle_type == "history"
    if bundle_type in ("transaction", "batch") and entry.method not in _WRITES:
        entry.findings.append(Finding("fhir-method", place=f"{place}.request.method"))
        return entry
    resource = item.get("resource")
    if not isinstance(resource, dict):
        if resource is not None or not answered:
            entry.findings.append(Finding("fhir-entry", place=f"{place}.resource"))
        return entry
    entry.type_name = text_of(resource, "resourceType")
    entry.place = f"{place}.resource.ofType({entry.type_name})"
    if entry.type_name in RESULT_TYPES or entry.type_name in SUPPORT_TYPES:
        _examine(entry, resource, text_of(item, "fullUrl"), has_extras)
    elif entry.type_name == "Bundle":
        entry.findings.append(Finding("fhir-nested-bundle", place=place))
    elif not is_resource_type(entry.type_name):
        entry.place = f"{place}.resource"
        entry.findings.append(Finding("fhir-unknown-resource", place=f"{place}.resource"))
    return entry


def _examine(entry: Entry, resource: dict[str, Any], full_url: str, has_extras: bool) -> None:
    examined = examine(resource, entry.place, has_extras=has_extras)
    entry.findings.extend(examined.findings)
    if examined.resource is None:
        return
    entry.node = Node(examined.resource, entry.place, full_url)
    contained = resource.get("contained")
    for index, inner in enumerate(contained if isinstance(contained, list) else ()):
        if not isinstance(inner, dict):
            continue
        name, identity = text_of(inner, "resourceType"), text_of(inner, "id")
        if name not in RESULT_TYPES and name not in SUPPORT_TYPES:
            continue
        place = f"{entry.place}.contained[{index}].ofType({name})"
        inner_examined = examine(inner, place, has_extras=has_extras)
        entry.findings.extend(inner_examined.findings)
        if inner_examined.resource is None:
            continue
        if not identity or identity in entry.node.contained:
            entry.findings.append(Finding("fhir-contained-id", place=place))
            continue
        node = Node(inner_examined.resource, place, owner=entry.node)
        entry.node.contained[identity] = node


def _control_id(document: dict[str, Any], items: list[Any]) -> str:
    """The sender's number: the Bundle's identifier, the message header's id, the Bundle's id."""
    number = text_of(element_of(document, "identifier"), "value")
    if number:
        return number
    first = items[0] if items and isinstance(items[0], dict) else {}
    header = element_of(first, "resource")
    if text_of(header, "resourceType") == "MessageHeader" and text_of(header, "id"):
        return text_of(header, "id")
    return text_of(document, "id")
