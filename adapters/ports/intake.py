"""The one way in, as the doors see it. The broker implements it and hands it to each door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from mapping.errors import LabbrokerError


class Door(StrEnum):
    MLLP = "mllp"
    HTTP = "http"
    FOLDER = "folder"
    COMMAND = "command"
    """A person at the command line of this machine."""


class Media(StrEnum):
    """What the sender says the bytes are. The reader for each is found by this."""

    HL7V2 = "hl7v2"
    FHIR_JSON = "fhir+json"
    FHIR_XML = "fhir+xml"
    FHIR_NDJSON = "fhir+ndjson"
    """One FHIR resource on each line."""
    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    DBF = "dbf"
    FIXED_WIDTH = "fixed-width"
    ZIP = "zip"
    """Several files in one; each is stored by itself."""
    VISITS_CSV = "visits-csv"
    """A clinic's visits and orders as a plain table."""
    IC_CARD_XML = "ic-card-xml"
    NHI_XML = "nhi-xml"
    NHI_ZIP = "nhi-zip"
    CHECK_REPORT = "check-report"
    """NHI's printed check report, or the ZIP of it."""
    CORRECTION = "correction"
    """What a person put right here; only the broker itself writes it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes exactly as received. ``control_id`` is the sender's own number for it, or ``""``."""

    source_id: str
    door: Door
    media: Media
    raw: bytes
    control_id: str = ""
    name: str = ""
    """File name or request path, for people; it is a label, never a path to open."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The payload is durable. ``duplicate``: the very same bytes under the same control id from
    the same source were stored before; nothing new was stored and the answer is the same."""

    receipt_id: int
    duplicate: bool = False


class StorageUnavailable(LabbrokerError):
    """The payload is not stored: answer AE / 503, leave the file, never acknowledge."""

    code = "storage-unavailable"
    en = (
        "The store cannot take the payload now ({reason}).",
        "Free disk space or repair the store and let the sender send again; "
        "nothing was acknowledged.",
    )
    zh = (
        "目前無法儲存此筆資料（{reason}）。",
        "請釋出磁碟空間或修復資料庫後由送件端重送；本筆尚未回覆收訖。",
    )


Settle: TypeAlias = Callable[[Accepted | LabbrokerError], None]


class Intake(Protocol):
    """Durable first, then acknowledge."""

    def offer(self, payload: Payload, settle: Settle) -> None:
        """Queue ``payload``; ``settle`` is called on the event loop after its commit returned
        (``Accepted``) or failed (an error). Must be called on the event loop's thread."""

    async def receive(self, payload: Payload) -> Accepted:
        """Like :meth:`offer`, awaited. Raises the error instead of passing it."""

    def acknowledged(self, receipt_id: int, delivered: bool) -> None:
        """Tell how the answer went out: written to the peer, or the peer was gone."""
