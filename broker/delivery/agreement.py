"""What is agreed with a clinic: where its results go, in which form, and from which laboratory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.config.secret import SecretReference


class DeliveryKind(StrEnum):
    MLLP = "mllp"
    FOLDER = "folder"
    FHIR_HOOK = "fhir-hook"
    INBOX = "inbox"


class DeliveryFormat(StrEnum):
    HL7 = "hl7"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


class DeliveryState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    """A try is under way or was cut off: the receiver may have it."""
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    """The last try did not arrive; it is sent again."""
    REFUSED = "refused"
    """The receiver will not have it, or it cannot be written: for a person."""


OPEN_STATES = (DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True)
class DeliveryTls:
    """``ca`` None: the system's own certificates. ``certificate`` is ours, PEM."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class DeliveryAgreement:
    """One destination of one clinic. ``lab_code`` ``""`` means every laboratory."""

    name: str
    clinic_code: str
    kind: DeliveryKind
    format: DeliveryFormat = DeliveryFormat.HL7
    lab_code: str = ""
    host: str = ""
    port: int = 0
    tls: DeliveryTls | None = None
    folder: Path | None = None
    url: str = ""
    secret: SecretReference | None = None
    charset: str = "utf-8"
    receiving_application: str = ""
    receiving_facility: str = ""
    heading: str = ""
    """The laboratory's name atop a PDF."""
    preliminary: bool = True
    answer_seconds: float = 30.0


class Agreements:
    """The destinations of each clinic. ``readers`` are the clinics that each source reads for by
    FHIR: it may subscribe to their results."""

    def __init__(
        self,
        agreements: Iterable[DeliveryAgreement] = (),
        readers: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        self.all = tuple(agreements)
        self._readers: dict[str, list[str]] = {}
        for source_id, clinics in readers.items():
            for clinic in clinics:
                self._readers.setdefault(clinic, []).append(source_id)
        self._by_clinic: dict[str, list[DeliveryAgreement]] = {}
        for each in self.all:
            self._by_clinic.setdefault(each.clinic_code, []).append(each)

    def readers_of(self, clinic_code: str) -> Sequence[str]:
        """The sources that may subscribe to a clinic's results."""
        return self._readers.get(clinic_code, ()) if clinic_code else ()

    def of(self, clinic_code: str, lab_code: str, *, preliminary: bool) -> list[DeliveryAgreement]:
        """Where a report of the laboratory for the clinic goes. Nowhere without a clinic."""
        found = self._by_clinic.get(clinic_code)
        if not found or not clinic_code:
            return []
        return [
            each
            for each in found
            if each.lab_code in ("", lab_code) and (each.preliminary or not preliminary)
        ]
