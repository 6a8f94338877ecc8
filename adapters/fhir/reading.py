"""What the readers of one payload share: the resources, the profile, and the findings so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.fhir.errors import TooManyResults
from adapters.fhir.moments import read_moment
from adapters.fhir.references import Node, ReferenceIndex
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

    def moment(self, text: str, place: str) -> Moment | None:
        """The time in ``text``; what is wrong with it becomes a finding at ``place``."""
        if not text:
            return None
        moment, fault = read_moment(text)
        if fault:
            self.note(fault, place)
        return moment
