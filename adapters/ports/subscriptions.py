"""Subscriptions: a clinic's system asks to be told of its results. The broker keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from mapping.errors import LabbrokerError


class SubscriptionStatus(StrEnum):
    """R4 subscription-status."""

    REQUESTED = "requested"
    """Nothing has arrived yet."""
    ACTIVE = "active"
    ERROR = "error"
    """Nothing arrives now; it is tried again."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SubscriptionWish:
    """What was asked for. ``is_off`` says that nothing is to be sent. ``national_id`` and
    ``chart_number`` are of the one patient that it is about, else ``""``. ``payload`` is
    ``application/fhir+json``, ``application/fhir+xml``, or ``""`` for a call without content. A
    header's value None stays as it is kept already."""

    type_name: str
    criteria: str = field(repr=False)
    endpoint: str
    payload: str = ""
    reason: str = ""
    headers: tuple[tuple[str, str | None], ...] = field(default=(), repr=False)
    national_id: str = field(default="", repr=False)
    chart_number: str = field(default="", repr=False)
    end_at: datetime | None = None
    is_off: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """One that is kept. ``headers`` are the names alone: no value is ever told again."""

    subscription_id: str
    version: int
    status: SubscriptionStatus
    wish: SubscriptionWish
    header_names: tuple[str, ...]
    error: str
    updated_at: datetime


class SubscriptionRefused(LabbrokerError):
    """It cannot be kept; ``reason`` and ``remedy`` in both languages."""

    code = "subscription-refused"
    en = (
        "The subscription cannot be kept: {reason}.",
        "{remedy}",
    )
    zh = (
        "無法保存此訂閱：{reason_zh}。",
        "{remedy_zh}",
    )


class SubscriptionStore(Protocol):
    """Each source has subscriptions of its own: nothing of another's is found. Raises
    ``StorageUnavailable``."""

    async def create(self, source_id: str, wish: SubscriptionWish) -> Subscription:
        """Durable when it returns. Raises :class:`SubscriptionRefused`."""
        ...

    async def replace(
        self, source_id: str, subscription_id: str, wish: SubscriptionWish, version: int | None
    ) -> Subscription | None:
        """The new version; None where there is none, or it is not ``version`` any more. Raises
        :class:`SubscriptionRefused`."""
        ...

    async def remove(self, source_id: str, subscription_id: str) -> None:
        """Nothing is sent for it any more; one that is not there is no fault."""
        ...

    async def find(self, source_id: str, subscription_id: str) -> Subscription | None: ...

    async def of(self, source_id: str) -> tuple[Subscription, ...]:
        """All of a source, the oldest first."""
        ...
