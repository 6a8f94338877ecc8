"""Documents in a result: ED with its content, RP with a reference (HL7 v2.5.1 2.A.24, 2.A.62).

ED is source application ^ type (table 0191) ^ subtype (table 0291) ^ encoding (table 0299) ^
data; RP is pointer ^ application ^ type ^ subtype. A document is no value: it is kept beside the
results and never uploaded.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Final

from adapters.hl7.er7 import Message, Segment
from mapping.report import Attachment, Coding

ENCAPSULATED: Final = frozenset({"ED", "RP"})
"""Value types of OBX-2 that hold documents."""

_TYPES: Final = {"ap": "application", "im": "image", "au": "audio", "tx": "text", "ft": "text"}


def read_attachment(
    message: Message, obx: Segment, value_type: str, codings: tuple[Coding, ...]
) -> tuple[Attachment, bool]:
    """The document of an OBX, and whether all of it could be read. Never raises; a document that
    does not decode is kept without its content. References are kept as text and not followed."""
    parts = [message.decode(part) for part in obx.raw(5).split(message.delimiters.component)]
    parts += [""] * (5 - len(parts))
    if value_type == "RP":
        pointer, _, kind, subtype = (part.strip() for part in parts[:4])
        return Attachment(codings, _media(kind, subtype), b"", pointer, obx.place()), bool(pointer)
    _, kind, subtype, encoding = (part.strip() for part in parts[:4])
    content = _decoded(encoding.upper(), message.delimiters.component.join(parts[4:]))
    return Attachment(codings, _media(kind, subtype), content or b"", "", obx.place()), bool(
        content
    )


def _media(kind: str, subtype: str) -> str:
    kind = _TYPES.get(kind.lower(), kind.lower())
    if not subtype:
        return f"application/{kind}" if kind == "pdf" else kind
    return f"{kind or 'application'}/{subtype.lower()}"


def _decoded(encoding: str, data: str) -> bytes | None:
    read = _READERS.get(encoding)
    if read is None:
        return None
    try:
        return read(data)
    except (ValueError, binascii.Error):
        return None


def _base64(data: str) -> bytes:
    return binascii.a2b_base64("".join(data.split()).encode("ascii"), strict_mode=True)


_READERS: Final[dict[str, Callable[[str], bytes]]] = {
    "BASE64": _base64,
    "HEX": bytes.fromhex,
    "A": lambda data: data.encode("utf-8"),
}
