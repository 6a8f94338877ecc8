"""DiagnosticReport, or Observations that no report names → LabReport (R4 diagnosticreport.html)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from adapters.fhir.elements import Element, codings_of, element_of, elements_of, text_of
from adapters.fhir.identifiers import typed_value, untyped_value
from adapters.fhir.observation import (
    effective_moment,
    has_own_value,
    order_codings,
    read_lines,
)
from adapters.fhir.order import PlacedOrder, read_order, read_specimen
from adapters.fhir.parties import first_person_id, ordering_clinic, performing_lab
from adapters.fhir.patient import read_patient
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node
from adapters.fhir.statuses import REPORT_STATUS
from adapters.fhir.subject import subject_of
from mapping.finding import Severity
from mapping.moment import Moment
from mapping.report import (
    Coding,
    LabReport,
    Observation,
    ObservationStatus,
    Patient,
    ReportStatus,
    Specimen,
)


@dataclass(frozen=True, slots=True)
class Member:
    """An Observation of a report, with the NHI order codes of the panels above it."""

    node: Node
    inherited: tuple[Coding, ...] = ()


def read_report(report: Node, members: list[Member], reading: Reading) -> LabReport | None:
    """One DiagnosticReport with the Observations found for it.

    None, with a finding, where it says nothing: no result, no conclusion, and not cancelled.
    """
    reading.begin_report()
    resource, place = report.resource, report.place
    status = REPORT_STATUS[text_of(resource, "status")]
    service = codings_of(element_of(resource, "code"))
    patient = read_patient(_first_subject(report, members), report, reading)
    lines = _lines(members, patient, reading)
    conclusion = text_of(resource, "conclusion")
    if not lines and conclusion:
        lines = [_conclusion_line(report, service, status, reading)]
    elif not lines and status is not ReportStatus.CANCELLED:
        attached = bool(elements_of(resource, "presentedForm"))
        code = "fhir-attachment-only" if attached else "fhir-empty-report"
        waits = status is ReportStatus.PRELIMINARY and not resource.get("result")
        reading.note(code, place, Severity.INFORMATION if waits else Severity.ERROR)
        return None
    identifiers = elements_of(resource, "identifier")
    filler = typed_value(identifiers, "FILL") or untyped_value(identifiers)
    issued = reading.moment(text_of(resource, "issued"), f"{place}.issued")
    draft = LabReport(
        patient=patient,
        service=service,
        observations=tuple(lines),
        status=status,
        placer_order_number=typed_value(identifiers, "PLAC"),
        filler_order_number=filler,
        accession_number=typed_value(identifiers, "ACSN"),
        reported_at=issued or _latest_issued(members, reading),
        notes=(conclusion,) if conclusion and members else (),
        place=place,
    )
    return _completed(draft, report, members, reading)


def read_group(roots: list[Node], members: list[Member], reading: Reading) -> LabReport:
    """Observations without a report that belong together, as one LabReport.

    ``members`` are the ``roots`` with their panels opened. Its service is what was ordered, else
    the code of the one panel that it is.
    """
    reading.begin_report()
    first = roots[0]
    patient = read_patient(subject_of(first), first, reading)
    lines = _lines(members, patient, reading)
    is_panel = len(roots) == 1 and not has_own_value(first)
    identifiers = elements_of(first.resource, "identifier")
    draft = LabReport(
        patient=patient,
        service=codings_of(element_of(first.resource, "code")) if is_panel else (),
        observations=tuple(lines),
        status=_joint_status(lines),
        placer_order_number=typed_value(identifiers, "PLAC"),
        filler_order_number=typed_value(identifiers, "FILL"),
        accession_number=typed_value(identifiers, "ACSN"),
        reported_at=_latest_issued(members, reading),
        place=first.place,
    )
    return _completed(draft, first, members, reading)


def _completed(
    draft: LabReport, source: Node, members: list[Member], reading: Reading
) -> LabReport:
    """With all that stands in other resources: order, specimen, laboratory, clinic, persons."""
    order = _order_of(source, members, reading)
    specimen, accession = _specimen_of(source, members, reading)
    nodes = [source, *(member.node for member in members if member.node is not source)]
    requesters, asked_performers = _asked(order, source)
    performers = [*_references(nodes, "performer"), *asked_performers]
    lab_code = performing_lab(performers, reading)
    ordered = order.service if not draft.service else order_codings(order.service)
    service = draft.service
    if not order_codings(service):
        service = service + tuple(coding for coding in ordered if coding not in service)
    reading.finish_report(draft.place, is_collected=specimen.collected_at is not None)
    interpreters = _references([source], "resultsInterpreter") or _references([source], "performer")
    ordering_id = first_person_id(requesters, reading)
    return replace(
        draft,
        service=service,
        placer_order_number=order.placer_order_number or draft.placer_order_number,
        accession_number=draft.accession_number or accession,
        specimen=specimen,
        lab_code=lab_code,
        clinic_code=ordering_clinic(requesters, lab_code, reading),
        ordered_at=order.ordered_at,
        ordering_provider_id=ordering_id,
        reporting_physician_id=first_person_id(interpreters, reading),
    )


def _lines(members: list[Member], patient: Patient, reading: Reading) -> list[Observation]:
    return [
        line
        for member in members
        for line in read_lines(member.node, patient, reading, member.inherited)
    ]


def _conclusion_line(
    report: Node, service: tuple[Coding, ...], status: ReportStatus, reading: Reading
) -> Observation:
    """A report in words: the conclusion is its result, under the report's own code."""
    line_status = {
        ReportStatus.FINAL: ObservationStatus.FINAL,
        ReportStatus.CORRECTED: ObservationStatus.CORRECTED,
        ReportStatus.CANCELLED: ObservationStatus.WITHDRAWN,
    }.get(status, ObservationStatus.PRELIMINARY)
    return Observation(
        codings=service,
        value=text_of(report.resource, "conclusion"),
        value_type="string",
        status=line_status,
        observed_at=effective_moment(report, reading),
        place=f"{report.place}.conclusion",
    )


def _first_subject(report: Node, members: list[Member]) -> Element:
    subjects = [subject_of(report), *(subject_of(member.node) for member in members)]
    return next((subject for subject in subjects if subject), {})


def _joint_status(lines: list[Observation]) -> ReportStatus:
    statuses = {line.status for line in lines}
    standing = statuses - {ObservationStatus.WITHDRAWN, ObservationStatus.NOT_DONE}
    if not standing:
        return ReportStatus.CANCELLED
    if ObservationStatus.PRELIMINARY in standing:
        return ReportStatus.PRELIMINARY
    corrected = ObservationStatus.CORRECTED in standing
    return ReportStatus.CORRECTED if corrected else ReportStatus.FINAL


def _latest_issued(members: Iterable[Member], reading: Reading) -> Moment | None:
    moments = [
        reading.moment(text_of(member.node.resource, "issued"), f"{member.node.place}.issued")
        for member in members
    ]
    return max((moment for moment in moments if moment), key=lambda it: it.at, default=None)


def _order_of(source: Node, members: list[Member], reading: Reading) -> PlacedOrder:
    for node in (source, *(member.node for member in members)):
        references = elements_of(node.resource, "basedOn")
        if references:
            order = read_order(references, node, reading)
            if order.node is not None or order.placer_order_number:
                return order
    return PlacedOrder()


def _asked(
    order: PlacedOrder, source: Node
) -> tuple[list[tuple[Element, Node]], list[tuple[Element, Node]]]:
    """The requester of the order, and whom it asked to perform it."""
    if order.node is None:
        return [], []
    requester = element_of(order.node.resource, "requester")
    requesters = [(requester, order.node)] if requester else []
    return requesters, _references([order.node], "performer")


def _references(nodes: Iterable[Node], name: str) -> list[tuple[Element, Node]]:
    return [(item, node) for node in nodes for item in elements_of(node.resource, name)]


def _specimen_of(source: Node, members: list[Member], reading: Reading) -> tuple[Specimen, str]:
    """The report's specimen, else its Observations'. Of several the first, with a finding."""
    references = []
    if source.type_name == "DiagnosticReport":
        references = _references([source], "specimen")
    references = references or [
        (element_of(member.node.resource, "specimen"), member.node) for member in members
    ]
    found: dict[int, Node] = {}
    for reference, node in references:
        target = reading.index.resolve(reference, node, "Specimen")
        if target is not None:
            found.setdefault(id(target), target)
    if len(found) > 1:
        reading.note("fhir-several-specimens", source.place, count=str(len(found)))
    return read_specimen(next(iter(found.values()), None), reading)
