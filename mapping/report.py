"""What a laboratory said: one ``LabReport`` for each ordered service (an OBR, a DiagnosticReport).

Texts are kept exactly as sent (after the payload was decoded once, strictly). Empty means the
sender said nothing. Nothing here is NHI's: conversion is a later step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mapping.moment import Moment


class ReportStatus(StrEnum):
    """HL7 table 0123 and FHIR diagnostic-report-status, folded to what matters here."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"


class ObservationStatus(StrEnum):
    """HL7 table 0085 letters folded to what matters here (F | P R S I | C | D W | X N O)."""

    FINAL = "final"
    PRELIMINARY = "preliminary"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    NOT_DONE = "not_done"


@dataclass(frozen=True, slots=True)
class Coding:
    """A code with its name and coding system (``""`` where not given)."""

    code: str
    display: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceRange:
    """A reference range as text: ``low`` and ``high`` are bounds that the lab wrote as bounds.

    ``text`` is what the lab wrote where it is no bound (``Negative``), else ``""``. A bound that
    the lab did not write is ``""``, never invented. ``raw`` is the whole as sent.
    """

    low: str = ""
    high: str = ""
    text: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Specimen:
    """``kind`` is free text or a name (``Serum``, ``尿液``)."""

    kind: str = ""
    collected_at: Moment | None = None
    received_at: Moment | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """Who the result belongs to. ``national_id`` is upper case, 10 characters, or ``""``."""

    national_id: str = ""
    birth_on: date | None = None
    sex: str = ""
    """``M``, ``F`` or ``""``."""
    name: str = ""
    chart_number: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One result line (an OBX, an Observation or one of its components)."""

    codings: tuple[Coding, ...]
    value: str = ""
    """The value as text, comparator included (``<0.1``), never reformatted."""
    value_type: str = ""
    """HL7 value type or FHIR type name: ``NM``, ``ST``, ``TX``, ``Quantity`` …"""
    unit: str = ""
    reference: ReferenceRange = ReferenceRange()
    abnormal_flags: tuple[str, ...] = ()
    status: ObservationStatus = ObservationStatus.FINAL
    method: str = ""
    sub_id: str = ""
    performer_id: str = ""
    """National id of the person who performed it, where the lab sent one."""
    observed_at: Moment | None = None
    analysed_at: Moment | None = None
    notes: tuple[str, ...] = ()
    place: str = ""
    """Where in the payload: ``OBX[3]``, ``Bundle.entry[2].resource``, ``row 7``."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document beside the results (a PDF of the report). Kept with them, never uploaded."""

    codings: tuple[Coding, ...]
    media_type: str = ""
    """``application/pdf``, as far as the sender said it."""
    content: bytes = b""
    """The document; empty where it could not be decoded or only its place elsewhere was sent."""
    reference: str = ""
    """Where the sender keeps it. Never fetched."""
    place: str = ""


@dataclass(frozen=True, slots=True)
class ParentResult:
    """The result that gave rise to this report, such as the culture to a susceptibility test."""

    placer_order_number: str = ""
    filler_order_number: str = ""
    codings: tuple[Coding, ...] = ()
    """The line of the parent (its OBX-3) …"""
    sub_id: str = ""
    """… and which of several: the isolate's number."""
    value: str = ""
    """What that line said: the organism."""


@dataclass(frozen=True, slots=True)
class LabReport:
    """One ordered service with its results."""

    patient: Patient
    service: tuple[Coding, ...]
    """OBR-4 / DiagnosticReport.code: the ordered service, possibly empty for files."""
    observations: tuple[Observation, ...]
    status: ReportStatus = ReportStatus.FINAL
    lab_code: str = ""
    """Institution code of the performing laboratory, as sent."""
    clinic_code: str = ""
    """Institution code (or the sender's code) of the ordering clinic, as sent."""
    placer_order_number: str = ""
    filler_order_number: str = ""
    accession_number: str = ""
    specimen: Specimen = Specimen()
    ordered_at: Moment | None = None
    reported_at: Moment | None = None
    """When the lab released the report (OBR-22, DiagnosticReport.issued)."""
    ordering_provider_id: str = ""
    reporting_physician_id: str = ""
    notes: tuple[str, ...] = ()
    place: str = ""
    """Where in the payload: ``OBR[2]``, ``Bundle.entry[0].resource``, ``rows 2-13``."""
    attachments: tuple[Attachment, ...] = ()
    parent: ParentResult | None = None
