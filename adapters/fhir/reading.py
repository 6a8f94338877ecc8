"""What the readers of one payload share: the resources, the profile, and the findings so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.fhir.errors import TooManyResults
from adapters.fhir.moments import read_moment
from adapters.fhir.references import Node, ReferenceIndex
from mapping.collection_time import usable
from mapping.finding import Finding, Severity
from mapping.moment import Moment
from mapping.profile import SourceProfile
from mapping.report import Patient

MAX_LINES = 50_000


@dataclass(slots=True)
class Reading:
    """One pass over one payload. ``findings`` grows; the rest stands still."""

    index: ReferenceIndex
    profile: SourceProfile
    findings: list[Finding] = field(default_factory=list)
    patients: dict[str, Patient] = field(default_factory=dict)
    roles: dict[int, list[Node]] | None = None
    """PractitionerRoles by the identity of the Practitioner node; filled when first needed."""
    header_clinics: tuple[str, ...] | None = None
    """Institution codes named in message headers; filled when first needed."""
    line_count: int = 0
    unread_births: set[str] = field(default_factory=set)
    """Keys of patients whose date of birth is given and cannot be used."""
    unread_collections: list[str] = field(default_factory=list)
    """Places of collection times of the report in hand that are given and cannot be used."""
    holding: list[str] = field(default_factory=list)
    """Places in the report in hand for which it must not go out as it was read."""

    def count_line(self, place: str) -> None:
        """Panels may be named many times; a small payload must not unfold without end."""
        self.line_count += 1
        if self.line_count > MAX_LINES:
            raise TooManyResults(place=place, limit=MAX_LINES)

    def note(
        self,
        code: str,
        place: str,
        severity: Severity = Severity.WARNING,
        **parameters: str,
    ) -> None:
        """Add a finding; the same one is said once."""
        finding = Finding(
            code, place=place, severity=severity, parameters=tuple(sorted(parameters.items()))
        )
        if finding not in self.findings[-8:]:
            self.findings.append(finding)

    def hold(self, code: str, place: str, **parameters: str) -> None:
        """Add an error for which the report in hand is held."""
        self.note(code, place, Severity.ERROR, **parameters)
        self.holding.append(place)

    def begin_report(self) -> None:
        """What is found from here on is about another report."""
        self.unread_collections.clear()
        self.holding.clear()

    def finish_report(self, place: str, *, is_collected: bool) -> None:
        """Say at the place of the report what holds it: its parts stand in other entries."""
        parts = self.holding if is_collected else [*self.holding, *self.unread_collections]
        for part in dict.fromkeys(parts):
            self.note("fhir-report-held", place, Severity.ERROR, part=part)

    def collection_moment(self, text: str, place: str) -> Moment | None:
        """:meth:`moment` for a time of collection; the time of the card must not go out instead
        of one that cannot be read."""
        moment = usable(self.moment(text, place))
        if text and moment is None:
            self.unread_collections.append(place)
        return moment

    def moment(self, text: str, place: str) -> Moment | None:
        """The time in ``text``; what is wrong with it becomes a finding at ``place``."""
        if not text:
            return None
        moment, fault = read_moment(text)
        if fault:
            self.note(fault, place)
        return moment
