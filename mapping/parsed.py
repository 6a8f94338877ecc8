"""What a door's reader makes of one payload. Readers are pure: ``bytes → ParsedPayload``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from mapping.finding import Finding
from mapping.profile import SourceProfile
from mapping.report import LabReport
from mapping.visit import Visit


class Content(StrEnum):
    """What the payload turned out to hold."""

    REPORTS = "reports"
    VISITS = "visits"
    QUALITY_CONTROL = "quality_control"
    """Calibration or control runs of an analyser: kept, never a report."""
    RECORDS = "records"
    """A finished NHI upload file: checked and shown, never sent on by itself."""
    CHECK_REPORT = "check_report"
    """NHI's word on packages that were uploaded."""
    CORRECTION = "correction"
    """What a person put right: evidence, never read again."""
    NOTHING = "nothing"
    """Readable, but it carries no result and no visit."""


@dataclass(frozen=True, slots=True)
class ParsedPayload:
    """``findings`` are about parts that could not be used; the usable parts stand beside them."""

    content: Content
    reports: tuple[LabReport, ...] = ()
    visits: tuple[Visit, ...] = ()
    findings: tuple[Finding, ...] = ()
    kind: str = ""
    """The payload's own name for itself: ``ORU^R01``, ``Bundle/transaction``."""
    control_id: str = ""


Reader: TypeAlias = Callable[[bytes, SourceProfile], ParsedPayload]
"""Raises :class:`mapping.errors.UnreadablePayload` when the bytes as a whole cannot be read."""
