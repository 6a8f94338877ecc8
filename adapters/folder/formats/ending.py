"""Does the end of a format stand in the bytes? A quiet file without it may still be growing."""

from __future__ import annotations

import re

from adapters.folder.formats.safe_xml import peek_root
from adapters.ports.intake import Media

_ZIP_START = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
# Where a DBF says how many records it has, how long its header is and each of its records.
_DBF_SIZES = ((4, 8), (8, 10), (10, 12))
_LONGEST_COMMENT = 65535
_XML_TAIL_BYTES = 4096
_CLOSING = rb"</(?:[\w.-]+:)?%s\s*>\s*(?:<!--.*)?\Z"
_LINES = frozenset(
    {Media.CSV, Media.VISITS_CSV, Media.FIXED_WIDTH, Media.FHIR_NDJSON, Media.CHECK_REPORT}
)
_XML = frozenset({Media.FHIR_XML, Media.IC_CARD_XML, Media.NHI_XML})


def ends_whole(raw: bytes, media: Media) -> bool:
    """False where a file of this kind is certainly or probably cut off.

    Not proof of a sound file, only of its end: a closing root tag, a closing brace, a line end,
    the end record of a ZIP.
    """
    if media in _XML:
        return _closes_root(raw)
    if media in (Media.NHI_ZIP, Media.XLSX, Media.ZIP) or (
        media is Media.CHECK_REPORT and raw.startswith(_ZIP_START)
    ):
        return _has_zip_end(raw)
    if media is Media.FHIR_JSON:
        return raw.rstrip().endswith(b"}")
    if media in _LINES:
        return raw.rstrip(b"\x00").endswith((b"\n", b"\r"))
    if media is Media.DBF:
        count, header, record = (int.from_bytes(raw[a:b], "little") for a, b in _DBF_SIZES)
        return len(raw) >= header + count * record
    if media is Media.HL7V2:
        return raw.rstrip(b"\x00").endswith((b"\r", b"\n", b"\x1c"))
    return True


def _closes_root(raw: bytes) -> bool:
    root = peek_root(raw)
    # Without its zeros UTF-16 shows the same ASCII markup.
    tail = raw[-_XML_TAIL_BYTES:].replace(b"\x00", b"").rstrip()
    if root is None or not tail.endswith(b">"):
        return False
    if root.is_empty:
        return True
    return re.search(_CLOSING % re.escape(root.name.encode()), tail, re.DOTALL) is not None


def _has_zip_end(raw: bytes) -> bool:
    at = raw.rfind(_ZIP_END, max(0, len(raw) - _ZIP_END_BYTES - _LONGEST_COMMENT))
    if at < 0 or len(raw) < at + _ZIP_END_BYTES:
        return False
    comment = int.from_bytes(raw[at + 20 : at + 22], "little")
    return len(raw) >= at + _ZIP_END_BYTES + comment
