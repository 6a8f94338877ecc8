"""How a sealed package reaches NHI, as the broker sees it. One contract, several channels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from adapters.ports.credential import Credential
from mapping.errors import LabbrokerError


@dataclass(frozen=True, slots=True)
class SealedPackage:
    """Frozen bytes of one ZIP. ``stem`` is institution(10) + ROC date(7) + serial(3)."""

    package_id: int
    stem: str
    institution_code: str
    raw_zip: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class ChannelReceipt:
    """The gateway's own number for the package and when it confirmed receipt (aware UTC)."""

    receipt_number: str
    confirmed_at: datetime
    raw_answer: bytes = b""


class Arrival(StrEnum):
    ARRIVED = "arrived"
    ABSENT = "absent"
    """The gateway does not know the package. Right after a time-out that is no proof."""
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    arrival: Arrival
    receipt: ChannelReceipt | None = None
    reason: str = ""
    """A word of our code for why nothing more is known."""


class NotDelivered(LabbrokerError):
    """Definitely not delivered (refused connection, no byte of the body sent): safe to retry."""

    code = "not-delivered"
    en = (
        "The gateway was not reached ({reason}).",
        "Check the network; it is tried again by itself.",
    )
    zh = ("無法連線至上傳閘道（{reason}）。", "請檢查網路；系統會自動重試。")


class CredentialUnusable(NotDelivered):
    """The credential could not sign, or the gateway did not let it in; no byte of the package
    was sent."""

    code = "credential-unusable"
    en = (
        "The credential of {institution} could not be used: {reason}.",
        "Check the card or key, its certificate and its institution, then try again.",
    )
    zh = (
        "{institution} 的憑證無法使用：{reason}。",
        "請檢查卡片或金鑰、憑證及其醫事機構代碼後再試。",
    )


class RefusedByGateway(LabbrokerError):
    """The gateway read the package and said no: do not resend unchanged."""

    code = "refused-by-gateway"
    en = (
        "The gateway refused the package: {reason}.",
        "Correct the cause, then requeue its records.",
    )
    zh = ("上傳閘道拒絕此檔案：{reason}。", "請更正原因後將該批資料重新排入。")


class OutcomeUnknown(LabbrokerError):
    """Anything else after the first byte was sent: ask first, never resend blindly."""

    code = "outcome-unknown"
    en = (
        "It is unknown whether the gateway took the package ({reason}).",
        "The gateway is asked; if it cannot say, a person decides with the evidence.",
    )
    zh = (
        "無法確定上傳閘道是否已收檔（{reason}）。",
        "系統將先查詢；若仍無法確定，請人工依證據判定。",
    )


class HandedOver(OutcomeUnknown):
    """A person has the file now; whether it is uploaded is known when that person says so, or
    when a check report of it comes."""

    code = "handed-over"
    en = (
        "The file lies in {folder} for a person to upload.",
        "Upload it on the portal, then record it with `labbroker uploaded`.",
    )
    zh = (
        "檔案已置於 {folder}，待人工上傳。",
        "請於健保資訊網上傳後，以 `labbroker uploaded` 登錄。",
    )


class SubmissionChannel(Protocol):
    """Raises NotDelivered, RefusedByGateway or OutcomeUnknown; never anything else."""

    @property
    def name(self) -> str: ...

    async def submit(self, package: SealedPackage, credential: Credential) -> ChannelReceipt: ...

    async def query(self, package: SealedPackage, credential: Credential) -> QueryAnswer:
        """Does the gateway know this file name with these bytes?"""
        ...

    async def fetch_verdict(
        self, package: SealedPackage, receipt: ChannelReceipt, credential: Credential
    ) -> bytes | None:
        """The raw check report (a ZIP), or None while it is not ready."""
        ...
