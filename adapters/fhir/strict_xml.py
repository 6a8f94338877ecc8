"""FHIR XML → the dict form of FHIR JSON, without trusting the sender.

Nothing outside the bytes is read, no DOCTYPE is accepted, no entity is expanded. Rules: R4
xml.html; OWASP ASVS 5.0 1.5.1. Narrative and extensions are left out: they carry no result.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lxml import etree

from adapters.fhir.errors import (
    DoctypeRefused,
    MalformedXml,
    NotFhir,
    PayloadTooLarge,
    TooDeep,
    XmlTooLarge,
)
from adapters.fhir.literals import LiteralDecimal, is_decimal_literal, read_integer
from adapters.fhir.strict_json import MAX_BYTES, MAX_DEPTH
from adapters.fhir.xml_shapes import PRIMITIVE, RESOURCE, Shape, shapes_of

MAX_ELEMENTS = 1_000_000
MAX_ATTRIBUTES = 256
FHIR_NAMESPACE = "http://hl7.org/fhir"

READ_TYPES = frozenset(
    {
        "Bundle",
        "Composition",
        "DiagnosticReport",
        "Encounter",
        "MessageHeader",
        "Observation",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "ServiceRequest",
        "Specimen",
        "Subscription",
    }
)
"""Resources that say something about a result; of all others only the type and id are kept."""

# Asked of libxml2, which goes through a tree many times faster than Python.
_TOO_DEEP = etree.XPath("/*" * (MAX_DEPTH + 1))
_COUNT = etree.XPath("count(//*)")
_SHORTEST_ELEMENT = len("<a/>")

_PREFIX = "{" + FHIR_NAMESPACE + "}"
_XML_ATTRIBUTES = (
    "{http://www.w3.org/2001/XMLSchema-instance}",
    "{http://www.w3.org/XML/1998/namespace}",
)
"""``xsi:schemaLocation`` and ``xml:lang``: allowed anywhere, never followed."""

_SKIPPED = frozenset({"extension", "fhir_comments"})


def read_xml(raw: bytes, limit: int = MAX_BYTES) -> dict[str, Any]:
    """The resource in ``raw`` as FHIR JSON would have it; decimals keep their text.

    What has no place in FHIR stays visible under a name that no type has, so that validation
    refuses it. Raises a subclass of :class:`mapping.errors.UnreadablePayload`.
    """
    if len(raw) > limit:
        raise PayloadTooLarge(size=len(raw), limit=limit)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_blank_text=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedXml(place=f"line {error.lineno or 1}") from None
    except (LookupError, ValueError):
        raise MalformedXml(place="line 1") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise DoctypeRefused(place="line 1")
    _refuse_size(raw, root)
    if not _name(root):
        raise NotFhir(place="/")
    return _resource(root)


def _refuse_size(raw: bytes, root: etree._Element) -> None:
    for element in _TOO_DEEP(root):
        raise TooDeep(place=f"line {element.sourceline or 0}", limit=MAX_DEPTH)
    if len(root.attrib) > MAX_ATTRIBUTES:
        raise XmlTooLarge(place=f"line {root.sourceline or 0}", limit=MAX_ATTRIBUTES)
    # No element is shorter than its brackets, name and slash, so that most payloads are too short.
    if len(raw) > _SHORTEST_ELEMENT * MAX_ELEMENTS and _COUNT(root) > MAX_ELEMENTS:
        raise XmlTooLarge(place=f"line {root.sourceline or 0}", limit=MAX_ELEMENTS)


def _name(element: etree._Element) -> str:
    """The local name of a FHIR element; ``""`` for one of another namespace."""
    tag = element.tag
    return _local_name(tag) if isinstance(tag, str) else ""


@lru_cache(maxsize=1024)
def _local_name(tag: str) -> str:
    return tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else ""


def _resource(element: etree._Element) -> dict[str, Any]:
    name = _name(element)
    resource: dict[str, Any] = {"resourceType": name}
    if name in READ_TYPES:
        _fill(resource, element, _shapes_by_tag(name), is_resource=True)
        return resource
    for child in element:
        if _name(child) == "id" and child.get("value"):
            resource["id"] = child.get("value")
    return resource


def _fill(
    members: dict[str, Any],
    element: etree._Element,
    shapes: Mapping[object, tuple[str, Shape]],
    *,
    is_resource: bool = False,
) -> None:
    if element.text and element.text.strip():
        members["#text"] = ""
    attributes = element.items()
    if len(attributes) > MAX_ATTRIBUTES:
        raise XmlTooLarge(place=f"line {element.sourceline or 0}", limit=MAX_ATTRIBUTES)
    for attribute, value in attributes:
        if attribute == "id" and not is_resource:
            members["id"] = value
        elif not str(attribute).startswith(_XML_ATTRIBUTES):
            members[f"@{attribute!s}"] = ""
    for child in element:
        if child.tail and child.tail.strip():
            members["#text"] = ""
        known = shapes.get(child.tag)
        if known is None:
            members[_name(child) or "#foreign"] = {}
            continue
        name, shape = known
        if shape.type_name == PRIMITIVE and not len(child):
            said = child.items()
            # Most elements are just this: one value, nothing beside it.
            if len(said) == 1 and said[0][0] == "value":
                text = str(said[0][1])
                python_type = shape.python_type
                value = text if python_type is str else _typed(text, python_type)
                _put(members, name, value, shape)
                continue
        if name in _SKIPPED or shape.type_name == "Narrative":
            continue
        told = _value(child, shape)
        if told is not None:
            _put(members, name, told, shape)


@lru_cache(maxsize=512)
def _shapes_by_tag(type_name: str) -> Mapping[object, tuple[str, Shape]]:
    """The elements of a type by their whole tags: name and shape."""
    return {_PREFIX + name: (name, shape) for name, shape in shapes_of(type_name).items()}


def _put(members: dict[str, Any], name: str, value: Any, shape: Shape) -> None:
    if shape.repeats:
        members.setdefault(name, []).append(value)
    elif name in members:
        members[name] = [members[name], value]
    else:
        members[name] = value


def _value(element: etree._Element, shape: Shape) -> Any:
    if shape.type_name == PRIMITIVE:
        return _primitive(element, shape.python_type)
    if shape.type_name == RESOURCE:
        inner = [child for child in element if _name(child)]
        return _resource(inner[0]) if len(inner) == 1 else {}
    members: dict[str, Any] = {}
    if shape.type_name != "Extension":
        _fill(members, element, _shapes_by_tag(shape.type_name))
    return members


def _primitive(element: etree._Element, python_type: type) -> Any:
    """The ``value`` attribute as JSON would have it; a text that fits no type stays a text."""
    text = element.get("value")
    attributes = {str(name) for name in element.attrib} - {"value", "id"}
    if any(not name.startswith(_XML_ATTRIBUTES) for name in attributes) or any(
        _name(child) not in _SKIPPED for child in element
    ):
        return {"#foreign": ""}
    if text is None:
        return {"#text": ""} if element.text and element.text.strip() else None
    return _typed(text, python_type)


def _typed(text: str, python_type: type) -> Any:
    if python_type is str:
        return text
    if python_type is bool and text in ("true", "false"):
        return text == "true"
    if python_type in (int, Decimal) and is_decimal_literal(text):
        try:
            whole = text.removeprefix("-").isdigit()
            return read_integer(text) if whole else LiteralDecimal(text)
        except ArithmeticError:
            return text
    return text
