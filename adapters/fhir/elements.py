"""Typed access to FHIR in its JSON form: a wrong shape reads as absent, never as a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from mapping.report import Coding

Element: TypeAlias = Mapping[str, Any]

NOTHING: Element = {}


def text_of(element: Element, name: str) -> str:
    """The string under ``name``, or ``""``."""
    value = element.get(name)
    return value if isinstance(value, str) else ""


def element_of(element: Element, name: str) -> Element:
    """The object under ``name``, or an empty one."""
    value = element.get(name)
    return value if isinstance(value, dict) else NOTHING


def elements_of(element: Element, name: str) -> list[Element]:
    """The objects in the list under ``name``; whatever else is in it is passed over."""
    value = element.get(name)
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def codings_of(concept: Element) -> tuple[Coding, ...]:
    """The codings of a CodeableConcept in the sender's order, its text as a name among them.

    The text names the first coding where that has no display; else it follows as a coding
    without code.
    """
    text = text_of(concept, "text")
    codings = [
        Coding(text_of(item, "code"), text_of(item, "display"), text_of(item, "system"))
        for item in elements_of(concept, "coding")
    ]
    codings = [coding for coding in codings if coding.code or coding.display]
    if not codings:
        return (Coding("", text),) if text else ()
    first = codings[0]
    if text and not first.display:
        codings[0] = Coding(first.code, text, first.system)
    elif text and all(text != coding.display for coding in codings):
        codings.append(Coding("", text))
    return tuple(codings)


def concept_text(concept: Element) -> str:
    """What a CodeableConcept says in words: its text, else a display, else a code."""
    text = text_of(concept, "text")
    if text:
        return text
    codings = elements_of(concept, "coding")
    chosen = [item for item in codings if item.get("userSelected") is True] or codings
    for name in ("display", "code"):
        for coding in chosen:
            if text_of(coding, name):
                return text_of(coding, name)
    return ""


def codes_of(concept: Element) -> set[str]:
    """The bare codes of a CodeableConcept."""
    return {text_of(item, "code") for item in elements_of(concept, "coding")} - {""}
