"""Raw bytes as they may be shown: an allow-list says what stays, all else is masked. Pure."""

from __future__ import annotations

import json
from typing import Any

from broker.store.record_way import RecordWay
from broker.web.console.looks import MASK, masked_text, without_ids

LONGEST = 20_000
"""Characters of a payload that a page shows."""

# Segments whose content is about the order and its results; of the others only the structure.
_HL7_FIELDS = {
    "MSH": frozenset(range(1, 30)),
    "BHS": frozenset(range(1, 15)),
    "ORC": frozenset({1, 2, 3, 5, 9}),
    "OBR": frozenset({1, 2, 3, 4, 7, 8, 14, 15, 22, 24, 25}),
    "OBX": frozenset({1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 17, 19}),
    "SPM": frozenset({1, 4, 17, 18}),
    "MSA": frozenset({1, 2}),
}
_FHIR_KEYS = frozenset(
    {
        "resourceType", "type", "status", "intent", "system", "code", "display", "unit", "value",
        "comparator", "method", "url", "fullUrl", "reference", "effectiveDateTime", "issued",
        "receivedTime", "collectedDateTime", "valueString",
    }
)  # fmt: skip
_FHIR_PEOPLE = frozenset({"Patient", "Person", "RelatedPerson", "Practitioner", "Encounter"})


def decoded(raw: bytes) -> str | None:
    """The text of a payload for people; None where it is none."""
    for charset in ("utf-8", "cp950"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return None


def masked_raw(raw: bytes, media: str) -> str | None:
    """The payload with all masked that may say who the patient is; None where only its size can
    be told."""
    text = decoded(raw)
    if text is None:
        return None
    if media == "hl7v2":
        return _hl7(text)
    if media == "fhir+json":
        try:
            told = json.loads(text)
        except ValueError:
            return None
        return without_ids(json.dumps(_fhir(told), ensure_ascii=False, indent=1))
    return None


def masked_bytes_of(way: RecordWay) -> str | None:
    """What :func:`masked_raw` shows of a record's receipt; nothing of one that tells of other
    clinics too: their values and order numbers would stand there."""
    return None if way.is_shared else masked_raw(way.receipt.raw, way.receipt.media)


def lines(text: str) -> str:
    """Segments one a line, whatever ended them; cut where nobody reads on."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = "".join(
        each if each == "\n" or each == "\t" or each.isprintable() else "·" for each in plain
    )
    return plain if len(plain) <= LONGEST else plain[:LONGEST] + "\n…"


def _hl7(text: str) -> str:
    return "\n".join(_segment(line) for line in lines(text).split("\n"))


def _segment(line: str) -> str:
    name = line[:3]
    separator = line[3:4] or "|"
    shown = _HL7_FIELDS.get(name, frozenset())
    fields = line.split(separator)
    # The field separator itself is MSH-1.
    first = 1 if name in ("MSH", "BHS", "FHS") else 0
    out = [fields[0] if fields[0].isalnum() and len(fields[0]) == 3 else _dots(fields[0])]
    for number, field in enumerate(fields[1:], start=1 + first):
        if (name, number) == ("OBX", 5):
            out.append(masked_text(field, fields[2]))
        else:
            out.append(without_ids(field) if number in shown else _dots(field))
    return separator.join(out)


def _dots(text: str) -> str:
    return "".join(each if each in "^&~\\" else MASK for each in text)


def _fhir(value: Any, known: bool = True, key: str = "") -> Any:
    if isinstance(value, dict):
        known = known and value.get("resourceType") not in _FHIR_PEOPLE
        return {
            name: _fhir(each, known or name == "resourceType", name) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_fhir(each, known, key) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    if known and key == "valueString":
        return masked_text(str(value))
    if known and key in _FHIR_KEYS:
        return value
    return MASK * min(8, len(str(value)))
