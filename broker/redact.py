"""The allow-list of the log: what is on it passes in its expected shape, all else is masked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import TypeAlias

from broker.log_events import ERROR_FIELDS, EVENTS, FIELDS, Shape
from mapping.errors import LabbrokerError

MASK = "***"

Scalar: TypeAlias = str | int | float | bool

# A citizen's id or either form of residence permit, anywhere in a text.
_NATIONAL_ID = re.compile(r"[A-Za-z][A-Da-d1289][0-9]{8}")
_OUR_PACKAGES = ("broker", "adapters", "mapping")
_MAX_TEXT = 80


def redact_event(event: str, fields: Mapping[str, object]) -> tuple[str, dict[str, Scalar]]:
    """The event and fields as they may be written.

    An event that is not listed becomes ``unlisted``. A field that is not listed for the event is
    kept by name and masked; so is a value that has not the shape of its field.
    """
    rule = EVENTS.get(event)
    if rule is None:
        event, rule = "unlisted", EVENTS["unlisted"]
    allowed = rule.fields | ERROR_FIELDS
    return event, {
        name if name in FIELDS else MASK: _value(FIELDS[name].shape, value)
        if name in allowed
        else MASK
        for name, value in fields.items()
    }


def redact_error(error: BaseException) -> dict[str, Scalar]:
    """An exception as class, code and place. Its message may quote a payload: never used."""
    fields: dict[str, Scalar] = {"error_class": _class_name(error)}
    if isinstance(error, LabbrokerError):
        fields["error_code"] = _value(Shape.WORD, error.code)
    fields["where"] = _value(Shape.PLACE, place_of(error.__traceback__))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        fields["cause"] = _class_name(cause)
    return fields


def place_of(traceback: TracebackType | None) -> str:
    """``broker/intake.py:52`` of the innermost frame in our code, else of the innermost frame."""
    place = "unknown:0"
    ours = False
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        is_ours = module.partition(".")[0] in _OUR_PACKAGES
        if is_ours or not ours:
            place = f"{module.replace('.', '/') or 'unknown'}.py:{traceback.tb_lineno}"
            ours = ours or is_ours
        traceback = traceback.tb_next
    return place


def _class_name(error: BaseException) -> Scalar:
    return _value(Shape.WORD, type(error).__name__)


def _value(shape: Shape, value: object) -> Scalar:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return value if shape is Shape.YES_NO else MASK
    if isinstance(value, int | float):
        return value if shape is Shape.NUMBER else MASK
    if isinstance(value, datetime):
        return value.isoformat() if shape is Shape.DATE_TIME else MASK
    fits = _TEXTS.get(shape)
    if not isinstance(value, str) or fits is None:
        return MASK
    text = str(value)
    if text and (len(text) > _MAX_TEXT or not fits(text)):
        return MASK
    return MASK if _NATIONAL_ID.search(text) else text


def _matcher(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


_TEXTS: Mapping[Shape, Callable[[str], bool]] = {
    Shape.WORD: _matcher(r"[A-Za-z0-9][A-Za-z0-9_.+^/-]{0,63}"),
    Shape.NAME: lambda text: text.isprintable(),
    Shape.INSTITUTION: _matcher(r"[0-9A-Z]{10}"),
    Shape.ADDRESS: _matcher(r"[0-9A-Za-z.:%\[\]-]{1,64}"),
    Shape.STEM: _matcher(r"[0-9A-Z]{10}[0-9]{10}"),
    Shape.DIGITS: _matcher(r"[0-9]{1,20}"),
    Shape.PLACE: _matcher(r"[A-Za-z0-9_./<>-]{1,64}:[0-9]{1,6}"),
    Shape.DATE_TIME: _matcher(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{5,24}"),
}
