"""Resources → bytes in the format that the client asked for (R4 http.html#mime-type)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from lxml import etree

from adapters.fhir.literals import LiteralDecimal, literal_text
from adapters.fhir.strict_xml import FHIR_NAMESPACE

JSON_TYPES = frozenset(
    {"application/fhir+json", "application/json", "text/json", "application/json+fhir"}
)
XML_TYPES = frozenset(
    {"application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir"}
)


class Format(StrEnum):
    """The two formats; the value is the media type of an answer."""

    JSON = "application/fhir+json"
    XML = "application/fhir+xml"


def format_of(media_type: str) -> Format | None:
    """The format of a media type without parameters, or None for one that is not FHIR's."""
    name = media_type.strip().lower()
    if name in JSON_TYPES:
        return Format.JSON
    return Format.XML if name in XML_TYPES else None


def acceptable(accept: str) -> Format | None:
    """What an ``Accept`` header (or ``_format``) asks for; JSON where all is welcome, or None."""
    best: tuple[float, Format] | None = None
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        media_type, *parameters = part.split(";")
        name = media_type.strip().lower()
        wild = name in ("*/*", "application/*", "text/*", "json")
        chosen = Format.JSON if wild else Format.XML if name == "xml" else format_of(name)
        quality = _quality(parameters)
        if chosen and quality > 0 and (best is None or quality > best[0]):
            best = (quality, chosen)
    return best[1] if best else None


def write(resource: Mapping[str, Any], form: Format) -> bytes:
    """The resource in UTF-8; numbers as they were written."""
    if form is Format.XML:
        root = _element(resource)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return _json(resource).encode("utf-8")


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _json(value: Any) -> str:
    if isinstance(value, LiteralDecimal):
        return value.literal
    if isinstance(value, Mapping):
        members = (f"{_json(name)}:{_json(item)}" for name, item in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else literal_text(value)


def _element(resource: Mapping[str, Any]) -> etree._Element:
    root = etree.Element(
        f"{{{FHIR_NAMESPACE}}}{resource['resourceType']}", nsmap={None: FHIR_NAMESPACE}
    )
    _append(root, resource)
    return root


def _append(parent: etree._Element, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        if name == "resourceType":
            continue
        for item in value if isinstance(value, list) else [value]:
            child = etree.SubElement(parent, f"{{{FHIR_NAMESPACE}}}{name}")
            if not isinstance(item, Mapping):
                child.set("value", _attribute(item))
            elif "resourceType" in item:
                child.append(_element(item))
            else:
                _append(child, item)
