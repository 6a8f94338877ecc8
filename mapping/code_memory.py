"""Decisions about lines, remembered for each source: a lab sends the same few hundred lines all
year, and what they mean changes only when its profile does."""

from __future__ import annotations

from mapping.code_evidence import (
    Decision,
    Line,
    decide_by_catalogue,
    decide_by_profile,
    service_order_code,
)
from mapping.profile import SourceProfile
from mapping.report import Coding, LabReport, Observation

_MOST_PROFILES = 64
_MOST_SERVICES = 512
_MOST_LINES = 4096


class ServiceDecisions:
    """What one ordered service of a source is, and what each of its lines is."""

    __slots__ = ("_known", "_profile", "_service", "_specimen", "order_code", "origin")

    def __init__(self, service: tuple[Coding, ...], specimen: str, profile: SourceProfile) -> None:
        self._service = service
        self._specimen = specimen
        self._profile = profile
        self._known: dict[tuple[tuple[Coding, ...], str, str], Decision] = {}
        self.order_code, self.origin = service_order_code(service, specimen, profile)

    def decide(self, observation: Observation) -> Decision:
        """The decision for one line."""
        key = (observation.codings, observation.unit, observation.method)
        known = self._known.get(key)
        if known is None:
            # Bounded, since a sender may write anything into a code.
            if len(self._known) >= _MOST_LINES:
                self._known.clear()
            known = self._known[key] = self._decide(Line(*key, self._specimen))
        return known

    def _decide(self, line: Line) -> Decision:
        profile = self._profile
        if profile.code_map or profile.codes:
            decision = decide_by_profile(line, self._service, profile)
            if decision is not None:
                return decision
        return decide_by_catalogue(line.codings, line.unit, self.order_code)


_Services = dict[tuple[tuple[Coding, ...], str], ServiceDecisions]
_remembered: dict[int, tuple[SourceProfile, _Services]] = {}


def decisions_for(report: LabReport, profile: SourceProfile) -> ServiceDecisions:
    """The decisions for the lines of ``report``. A profile must not be changed in place."""
    remembered = _remembered.get(id(profile))
    if remembered is None:
        if len(_remembered) >= _MOST_PROFILES:
            _remembered.clear()
        # The profile is kept with its decisions, so that its id becomes nobody else's.
        remembered = _remembered[id(profile)] = (profile, {})
    services = remembered[1]
    key = (report.service, report.specimen.kind)
    known = services.get(key)
    if known is None:
        if len(services) >= _MOST_SERVICES:
            services.clear()
        known = services[key] = ServiceDecisions(*key, profile)
    return known
