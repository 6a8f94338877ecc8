"""FHIR payload → LabReports: the Readers of this door, for JSON and for XML.

Bundles of any type, a lone DiagnosticReport, a lone Observation. References are followed inside
the payload only.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.fhir.elements import codes_of, element_of, elements_of, text_of
from adapters.fhir.elements import codings_of as _codings_of
from adapters.fhir.errors import NoUsableResult
from adapters.fhir.observation import has_own_value, members_of, order_codings
from adapters.fhir.payload import FhirPayload, open_json, open_xml
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node, ReferenceIndex, target_key
from adapters.fhir.report import Member, read_group, read_report
from adapters.fhir.subject import is_of_a_patient, is_same_subject, subject_of
from mapping.finding import Severity
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.report import Coding, LabReport

_NOT_LABORATORY = frozenset(
    {"vital-signs", "social-history", "survey", "exam", "therapy", "activity"}
)
"""R4 observation-category: what no laboratory measured."""


def read_fhir_json(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """FHIR R4 JSON → reports. Raises a subclass of ``UnreadablePayload``."""
    return read_payload(open_json(raw), profile)


def read_fhir_xml(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """FHIR R4 XML → reports. Raises a subclass of ``UnreadablePayload``."""
    return read_payload(open_xml(raw), profile)


def read_payload(payload: FhirPayload, profile: SourceProfile) -> ParsedPayload:
    """The reports of a payload already taken apart.

    Raises ``TransactionRefused``, or ``NoUsableResult`` where faults have left no report, so that
    the whole is kept for a person instead of passing as empty.
    """
    refusal = payload.refusal()
    if refusal is not None:
        raise refusal
    reading = Reading(ReferenceIndex(payload.nodes()), profile, list(payload.findings))
    used: set[int] = set()
    reports: list[LabReport] = []
    for node in reading.index.of_type("DiagnosticReport"):
        members = _members_of_report(node, reading, used)
        if is_of_a_patient(node, reading):
            report = read_report(node, members, reading)
            reports += [report] if report is not None else []
    reports += [read_group(roots, members, reading) for roots, members in _groups(reading, used)]
    faults = tuple(item for item in reading.findings if item.severity is Severity.ERROR)
    if faults and not reports:
        raise NoUsableResult(faults)
    return ParsedPayload(
        content=Content.REPORTS if reports else Content.NOTHING,
        reports=tuple(reports),
        findings=tuple(reading.findings),
        kind=payload.kind,
        control_id=payload.control_id,
    )


def _members_of_report(report: Node, reading: Reading, used: set[int]) -> list[Member]:
    """The Observations of ``result``, panels opened, without those of another subject."""
    members: list[Member] = []
    seen: set[int] = set()
    for index, reference in enumerate(elements_of(report.resource, "result")):
        node = reading.index.resolve(reference, report, "Observation")
        if node is None:
            place = f"{report.place}.result[{index}]"
            reading.note("fhir-reference-unresolved", place, Severity.ERROR)
        elif not is_same_subject(report, node, reading):
            reading.note("fhir-subject-differs", f"{node.place}.subject")
        else:
            _open_panel(node, (), members, seen, reading)
    used.update(seen)
    return members


def _open_panel(
    root: Node,
    inherited: tuple[Coding, ...],
    members: list[Member],
    seen: set[int],
    reading: Reading,
) -> None:
    """``root`` and all its members, depth first in the sender's order, each once."""
    waiting = [(root, inherited)]
    while waiting:
        node, codes = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        reading.count_line(node.place)
        if not is_of_a_patient(node, reading):
            continue
        if has_own_value(node) or not members_of(node) or node.resource.get("component"):
            members.append(Member(node, codes))
        own_codes = order_codings(_codings_of(element_of(node.resource, "code"))) or codes
        below = []
        for index, reference in enumerate(members_of(node)):
            member = reading.index.resolve(reference, node)
            if member is None:
                place = f"{node.place}.hasMember[{index}]"
                reading.note("fhir-reference-unresolved", place, Severity.ERROR)
            elif member.type_name == "Observation":
                if is_same_subject(node, member, reading):
                    below.append((member, own_codes))
                else:
                    reading.note("fhir-subject-differs", f"{member.place}.subject")
        waiting.extend(reversed(below))


def _groups(reading: Reading, used: set[int]) -> Iterable[tuple[list[Node], list[Member]]]:
    """Observations that no report names, by subject, order or specimen, and time."""
    rest = [node for node in reading.index.of_type("Observation") if id(node) not in used]
    below = {
        id(member)
        for node in rest
        for reference in members_of(node)
        if (member := reading.index.resolve(reference, node, "Observation")) is not None
        and is_same_subject(node, member, reading)
    }
    groups: dict[tuple[str, ...], tuple[list[Node], list[Member]]] = {}
    roots = [node for node in rest if id(node) not in below]
    for node in [*roots, *(node for node in rest if id(node) in below)]:
        if id(node) in used:
            continue
        categories = _categories(node)
        if categories & _NOT_LABORATORY and "laboratory" not in categories:
            used.add(id(node))
            reading.note("fhir-not-laboratory", node.place, Severity.INFORMATION)
            continue
        members: list[Member] = []
        _open_panel(node, (), members, used, reading)
        if members:
            roots_so_far, members_so_far = groups.setdefault(_group_key(node, reading), ([], []))
            roots_so_far.append(node)
            members_so_far.extend(members)
    return groups.values()


def _categories(node: Node) -> set[str]:
    return {
        code for concept in elements_of(node.resource, "category") for code in codes_of(concept)
    }


def _group_key(node: Node, reading: Reading) -> tuple[str, ...]:
    def key(name: str) -> str:
        value = node.resource.get(name)
        references = value if isinstance(value, list) else [value]
        return " ".join(
            target_key(item, reading.index.resolve(item, node))
            for item in references
            if isinstance(item, dict)
        )

    subject = subject_of(node)
    whose = target_key(subject, reading.index.resolve(subject, node))
    when = "effectiveDateTime", "effectiveInstant"
    times = "".join(text_of(node.resource, name) for name in when)
    period = element_of(node.resource, "effectivePeriod")
    times += text_of(period, "start") + text_of(period, "end")
    return whose, key("basedOn") or key("specimen"), times
