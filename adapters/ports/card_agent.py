"""What a card agent and the broker say to each other: JSON, one object a WebSocket message.

The agent tells how its cards stand; the broker sends a SHA-256 digest to be signed; the signature
comes back. A PIN is never part of it; a digest says nothing of a patient. Where the agent has NHI's
EII library, sealed files go to it too (:mod:`adapters.ports.eii_job`).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from adapters.ports.card_state import CardCondition, CardState, ReaderState, TriesLeft
from adapters.ports.eii_job import EiiMessage, eii_fields, eii_message
from adapters.ports.message_unreadable import MessageUnreadable

PATH = "/card-agent"
"""The route at the broker's HTTP door."""
HEARTBEAT_SECONDS = 10.0
"""How often each side asks whether the other is still there; half of it later it counts as gone."""
MOST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class SamState:
    """An institution whose files the agent can send with NHI's library; ``reason`` is a word of
    our code where it cannot now."""

    institution_code: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """Everything that the agent holds; it takes the place of what was told before. ``journal``
    names its memory of what was sent, where it has NHI's library."""

    cards: tuple[CardState, ...]
    readers: tuple[ReaderState, ...]
    version: str
    sams: tuple[SamState, ...] = ()
    journal: str = ""


@dataclass(frozen=True, slots=True)
class SignRequest:
    """``certificate_sha256`` is that of the card that shall sign and no other."""

    request_id: str
    card: str
    certificate_sha256: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class SignAnswer:
    """``reason`` is the code of an error where there is no signature."""

    request_id: str
    signature: bytes = b""
    reason: str = ""


Message: TypeAlias = StatusMessage | SignRequest | SignAnswer | EiiMessage


def encode(message: Message) -> str:
    """As it goes over the wire."""
    if not isinstance(message, StatusMessage | SignRequest | SignAnswer):
        return json.dumps(eii_fields(message), ensure_ascii=False)
    kind = {StatusMessage: "status", SignRequest: "sign", SignAnswer: "signed"}[type(message)]
    fields = asdict(message)
    for name, value in fields.items():
        if isinstance(value, bytes):
            fields[name] = base64.b64encode(value).decode("ascii")
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def decode(text: str) -> Message:
    """Raises :class:`MessageUnreadable`."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageUnreadable(field="json") from None
    if not isinstance(fields, dict):
        raise MessageUnreadable(field="json")
    kind = fields.get("type")
    if kind == "status":
        return StatusMessage(
            cards=tuple(_card(each) for each in _list(fields, "cards")),
            readers=tuple(_reader(each) for each in _list(fields, "readers")),
            version=_text(fields, "version"),
            # An agent of an older version does not tell of these.
            sams=tuple(_sam(each) for each in _list({"sams": [], **fields}, "sams")),
            journal=_text({"journal": "", **fields}, "journal"),
        )
    if kind == "sign":
        digest = _bytes(fields, "digest")
        if len(digest) != 32:
            raise MessageUnreadable(field="digest")
        return SignRequest(
            _text(fields, "request_id"),
            _text(fields, "card"),
            _text(fields, "certificate_sha256"),
            digest,
        )
    if kind == "signed":
        return SignAnswer(
            _text(fields, "request_id"), _bytes(fields, "signature"), _text(fields, "reason")
        )
    message = eii_message(fields)
    if message is None:
        raise MessageUnreadable(field="type")
    return message


def _sam(fields: Any) -> SamState:
    if not isinstance(fields, dict):
        raise MessageUnreadable(field="sams")
    return SamState(_text(fields, "institution_code"), _text(fields, "reason"))


def _card(fields: Any) -> CardState:
    if not isinstance(fields, dict):
        raise MessageUnreadable(field="cards")
    wrong = fields.get("wrong_entries")
    if not isinstance(wrong, int) or not isinstance(fields.get("keypad"), bool):
        raise MessageUnreadable(field="cards")
    try:
        condition = CardCondition(_text(fields, "condition"))
        tries = TriesLeft(_text(fields, "tries"))
    except ValueError:
        raise MessageUnreadable(field="condition") from None
    return CardState(
        name=_text(fields, "name"),
        condition=condition,
        institution_code=_text(fields, "institution_code"),
        label=_text(fields, "label"),
        serial=_text(fields, "serial"),
        certificate=_text(fields, "certificate"),
        tries=tries,
        wrong_entries=wrong,
        keypad=fields["keypad"],
        reason=_text(fields, "reason"),
    )


def _reader(fields: Any) -> ReaderState:
    if not isinstance(fields, dict):
        raise MessageUnreadable(field="readers")
    if not all(isinstance(fields.get(name), bool) for name in ("has_card", "mute")):
        raise MessageUnreadable(field="readers")
    return ReaderState(
        _text(fields, "name"), fields["has_card"], _text(fields, "atr"), fields["mute"]
    )


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    found = fields.get(name)
    if not isinstance(found, list) or len(found) > 64:
        raise MessageUnreadable(field=name)
    return found


def _text(fields: dict[str, Any], name: str) -> str:
    found = fields.get(name)
    if not isinstance(found, str) or len(found) > 16_384:
        raise MessageUnreadable(field=name)
    return found


def _bytes(fields: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(fields, name), validate=True)
    except (binascii.Error, ValueError):
        raise MessageUnreadable(field=name) from None
