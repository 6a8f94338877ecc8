"""FHIR resources line by line (NDJSON): read as one collection, so that they may refer to each
other. https://hl7.org/fhir/R4/nd-json.html"""

from __future__ import annotations

import json

from adapters.fhir.bundle import read_fhir_json
from mapping.errors import UnreadablePayload
from mapping.finding import Finding
from mapping.parsed import ParsedPayload
from mapping.profile import SourceProfile


def read_fhir_ndjson(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read the resources of all lines. A line that is no resource is a finding with its number and
    stops no other; places are entries of the collection, in the order of the lines that are read.

    Raises UnreadablePayload where the bytes are no UTF-8 or no line is a resource.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = raw.count(b"\n", 0, error.start) + 1
        raise UnreadablePayload(reason="it is no UTF-8", place=f"line {at}") from None
    entries, findings = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line:
            continue
        if _is_resource(line):
            entries.append(f'{{"resource":{line}}}')
        else:
            findings.append(Finding("fhir-ndjson-line", "", f"line {number}"))
    if not entries:
        raise UnreadablePayload(reason="no line is a FHIR resource", place="line 1")
    # The lines themselves, joined: their numbers keep every digit.
    bundle = f'{{"resourceType":"Bundle","type":"collection","entry":[{",".join(entries)}]}}'
    parsed = read_fhir_json(bundle.encode(), profile)
    return ParsedPayload(
        parsed.content,
        parsed.reports,
        parsed.visits,
        (*findings, *parsed.findings),
        kind="NDJSON",
        control_id=parsed.control_id,
    )


def _is_resource(line: str) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)
