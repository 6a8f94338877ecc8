"""Which NHI order code and result row each line of a report belongs to.

Evidence in this order, and the first that speaks decides: the source's profile; an NHI order
code among the line's own codings; the ordered service (OBR-4) being an order code; NHI's own
LOINC links where exactly one order code remains. What none of them decides is reported and
belongs to no order; the other lines go on.

Rows (r1, r2) of panels follow the official table (SPEC114 table 9); an order code outside it
numbers its lines 1, 2, 3 … in the lab's order, under the lab's own names. The lines of an imaging
or pathology report are one text: none of them rivals another, and they wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from mapping.by_service import BY_SERVICE
from mapping.catalogue.tables import order_code as catalogue_order_code
from mapping.catalogue.tables import report_items, report_type_of
from mapping.code_evidence import Decision, Undecided
from mapping.code_memory import decisions_for
from mapping.finding import Finding, Severity
from mapping.profile import SourceProfile
from mapping.report import LabReport, Observation, ObservationStatus, ReportStatus
from mapping.report_text import NARRATIVE_TYPES
from mapping.units import is_accepted


class ResolvedLine(NamedTuple):
    """One line and the row that it becomes: ``item_number`` is r1, ``item_name`` r2.

    ``origin`` says where the name came from (``report-items``, ``OBX[1]-3``, ``order-codes``),
    ``number_origin`` the same for the number (``report-items``, ``profile.codes``, ``code-map``,
    ``sequence``, or ``service:`` with the line's own code where only the ordered service speaks
    for the row). ``item_name`` is ``""`` where nobody named the line.
    """

    observation: Observation
    item_number: int
    item_name: str
    origin: str
    number_origin: str = "sequence"


class OrderResult(NamedTuple):
    """The lines of one order code. ``lines`` are final or corrected and can be uploaded.

    ``awaited`` are preliminary: the order is complete when there are none. ``withdrawn`` are
    those that the lab took back or could not do. An order with no ``lines`` waits, or was
    cancelled. ``origin`` is the evidence for the order code.
    """

    order_code: str
    lines: tuple[ResolvedLine, ...]
    awaited: tuple[ResolvedLine, ...] = ()
    withdrawn: tuple[ResolvedLine, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SplitReport:
    """The orders of a report in the order of their first line, and what was left out."""

    orders: tuple[OrderResult, ...]
    findings: tuple[Finding, ...]


class LinePlaces(NamedTuple):
    """Where the elements of one line stand: ``OBX[3]-5`` in HL7 v2, ``row 7.value`` elsewhere."""

    code: str
    value: str
    unit: str
    reference: str
    abnormal_flags: str
    method: str


_Lines = list[tuple[Observation, Decision]]


def split_orders(report: LabReport, profile: SourceProfile) -> SplitReport:
    """Sort the lines of ``report`` into NHI orders. Never raises; what cannot be sorted is a
    finding (``unmapped-code``, ``unmapped-item``, ``duplicate-item``)."""
    findings: list[Finding] = []
    orders: dict[str, tuple[str, _Lines]] = {}
    decisions = decisions_for(report, profile)
    service, decide = decisions.order_code, decisions.decide
    decided = [(observation, decide(observation)) for observation in report.observations]
    for line in decided:
        observation, decision = line
        if decision.problem is not None:
            problem: Undecided | None = decision.problem
            if problem is Undecided.UNLESS_ALONE:
                # Beside the order's own line it is another test, which nobody may lose sight of.
                alone = sum(1 for _, each in decided if each.order_code == service) == 1
                problem = None if alone else Undecided.NO_ORDER
            if problem is not None:
                findings.append(_undecided(observation, decision, problem))
                continue
            own = observation.codings[0].code if observation.codings else ""
            line = (observation, decision._replace(number_origin=f"{BY_SERVICE}{own}"))
        gathered = orders.get(decision.order_code)
        if gathered is None:
            origin = decision.evidence
            if decision.by_service:
                origin = _service_origin(report, decisions.origin)
            elif origin == "code":
                origin = line_places(observation.place).code
            gathered = orders[decision.order_code] = (origin, [])
        gathered[1].append(line)
    if service and not report.observations and report.status is ReportStatus.CANCELLED:
        orders[service] = (_service_origin(report, decisions.origin), [])
    results = tuple(
        [
            _order_result(code, origin, lines, report, findings)
            for code, (origin, lines) in orders.items()
        ]
    )
    return SplitReport(results, tuple(findings))


def _service_origin(report: LabReport, origin: str) -> str:
    if origin != "service":
        return origin
    return f"{report.place}-4" if report.place.startswith("OBR[") else f"{report.place}.service"


@lru_cache(maxsize=4096)
def line_places(place: str) -> LinePlaces:
    """The places of the elements of the line at ``place``."""
    if "OBX[" in place:
        return LinePlaces(*(f"{place}-{number}" for number in (3, 5, 6, 7, 8, 17)))
    return LinePlaces(*(f"{place}.{name}" for name in LinePlaces._fields))


def _undecided(observation: Observation, decision: Decision, problem: Undecided) -> Finding:
    coding = observation.codings[0] if observation.codings else None
    code, name = (coding.code, coding.display) if coding else ("", "")
    severity = {
        Undecided.NO_ORDER: Severity.ERROR,
        Undecided.NO_ITEM: Severity.WARNING,
        Undecided.NOT_UPLOADED: Severity.INFORMATION,
    }[problem]
    parameters = (("code", code), ("name", name), ("order_code", decision.order_code))
    return Finding(problem.value, "", observation.place, code or name, severity, parameters)


def _order_result(
    code: str, origin: str, lines: _Lines, report: LabReport, findings: list[Finding]
) -> OrderResult:
    narrative = _is_narrative(code)
    kept = lines if narrative else _without_rivals(code, lines, findings)
    numbered = _numbered(code, kept)
    cancelled = report.status is ReportStatus.CANCELLED
    if not cancelled and all(
        line.observation.status is _FINAL or line.observation.status is _CORRECTED
        for line in numbered
    ):
        return OrderResult(code, tuple(numbered), origin=origin)
    final: list[ResolvedLine] = []
    awaited: list[ResolvedLine] = []
    withdrawn: list[ResolvedLine] = []
    for line in numbered:
        kind = "withdrawn" if cancelled else _STANDING.get(line.observation.status, "")
        if kind == "":
            final.append(line)
            continue
        (awaited if kind == "not-final" else withdrawn).append(line)
        findings.append(_note(kind, code, line.observation, Severity.INFORMATION))
    if narrative and awaited:
        # Half of a report text could be read as the whole: it waits until all of it is final.
        awaited = sorted([*final, *awaited], key=lambda line: line.item_number)
        final = []
    return OrderResult(code, tuple(final), tuple(awaited), tuple(withdrawn), origin)


@lru_cache(maxsize=4096)
def _is_narrative(code: str) -> bool:
    return report_type_of(code) in NARRATIVE_TYPES


_FINAL, _CORRECTED = ObservationStatus.FINAL, ObservationStatus.CORRECTED
_STANDING = {
    ObservationStatus.PRELIMINARY: "not-final",
    ObservationStatus.WITHDRAWN: "withdrawn",
    ObservationStatus.NOT_DONE: "not-done",
}


def _note(code: str, order_code: str, observation: Observation, severity: Severity) -> Finding:
    coding = observation.codings[0] if observation.codings else None
    name = (coding.display or coding.code) if coding else ""
    parameters = (("order_code", order_code), ("name", name))
    return Finding(code, "", observation.place, "", severity, parameters)


def _numbered(code: str, lines: _Lines) -> list[ResolvedLine]:
    """Awaited and withdrawn lines are counted too, so that numbers stay when they turn final."""
    taken: set[int] | None = None
    next_number = 1
    resolved = []
    for observation, decision in lines:
        _, number, name, origin, number_origin, *_ = decision
        if not number:
            if taken is None:
                taken = {each.number for _, each in lines}
            while next_number in taken:
                next_number += 1
            number, number_origin = next_number, "sequence"
            next_number += 1
        if origin == "code":
            origin = line_places(observation.place).code
        resolved.append(ResolvedLine(observation, number, name, origin, number_origin))
    if len(resolved) == 1 and not resolved[0].item_name and (known := catalogue_order_code(code)):
        resolved[0] = resolved[0]._replace(item_name=known.name_zh, origin="order-codes")
    return resolved


def _without_rivals(code: str, lines: _Lines, findings: list[Finding]) -> _Lines:
    """One line for each row number. Of several that claim the same row a correction stands for
    what it corrects, a repetition for its twin, an accepted unit before another; rivals that
    remain are all left out, since nobody could say which is meant."""
    if len(lines) == 1:
        return lines
    numbers = [decision.number for _, decision in lines if decision.number]
    if len(set(numbers)) == len(numbers):
        return lines
    by_number: dict[int, list[int]] = {}
    for index, (_, decision) in enumerate(lines):
        if decision.number:
            by_number.setdefault(decision.number, []).append(index)
    dropped: set[int] = set()
    for number, rivals in by_number.items():
        if len(rivals) == 1:
            continue
        chosen = _chosen(code, number, rivals, lines)
        kind = "duplicate-item" if chosen is None else "line-superseded"
        severity = Severity.ERROR if chosen is None else Severity.INFORMATION
        for index in rivals:
            if index != chosen:
                dropped.add(index)
                finding = _note(kind, code, lines[index][0], severity)
                parameters = (*finding.parameters, ("item_number", str(number)))
                findings.append(replace(finding, parameters=parameters))
    return [line for index, line in enumerate(lines) if index not in dropped]


def _chosen(code: str, number: int, rivals: list[int], lines: _Lines) -> int | None:
    def having(*statuses: ObservationStatus) -> list[int]:
        return [index for index in rivals if lines[index][0].status in statuses]

    corrected, final = having(ObservationStatus.CORRECTED), having(ObservationStatus.FINAL)
    left = corrected or final or rivals
    first = lines[left[0]][0]
    if all(_says_the_same(lines[index][0], first) for index in left):
        return left[0]
    units = next((item.units for item in report_items(code) if item.number == number), ())
    accepted = [
        index
        for index in left
        if units and lines[index][0].unit and is_accepted(lines[index][0].unit, units)
    ]
    return accepted[0] if len(accepted) == 1 else None


def _says_the_same(one: Observation, other: Observation) -> bool:
    return (one.value, one.unit, one.observed_at) == (other.value, other.unit, other.observed_at)
