"""Subscriptions as the FHIR door sees them, kept in the store, their headers encrypted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.ports.intake import StorageUnavailable
from adapters.ports.subscriptions import (
    Subscription,
    SubscriptionRefused,
    SubscriptionStatus,
    SubscriptionWish,
)
from broker.store.engine import open_snapshot
from broker.store.rows import AnyRow
from broker.store.storage_fault import storage_fault
from broker.store.subscriptions import (
    add_subscription,
    find_subscription,
    remove_subscription,
    replace_subscription,
    subscription_count,
    subscriptions_of,
)
from broker.store.writer import Writer
from mapping.errors import LabbrokerError

T = TypeVar("T")
_NONCE = 12


class HeadersUnreadable(LabbrokerError):
    code = "subscription-headers"
    en = (
        "The headers of a subscription cannot be read: the key is another than the one it was "
        "kept with.",
        "Set the former `[subscription] key`, or let the clinic send its subscription again.",
    )
    zh = (
        "無法讀取訂閱的 header：金鑰與保存時不同。",
        "請恢復原先的 `[subscription] key`，或請診所重送訂閱。",
    )


@dataclass(frozen=True, slots=True)
class HeaderVault:
    """AES-256-GCM under a key made of the settings' secret (SHA-256); bound to the source. ``key``
    gives the secret, None where none is set; it may raise LabbrokerError."""

    key: Callable[[], str | None]

    def seal(self, source_id: str, headers: Mapping[str, str]) -> bytes | None:
        """None for no headers. Raises :class:`SubscriptionRefused`."""
        if not headers:
            return None
        nonce = os.urandom(_NONCE)
        text = json.dumps(dict(headers)).encode()
        return nonce + self._cipher().encrypt(nonce, text, source_id.encode())

    def open(self, source_id: str, sealed: bytes | None) -> Mapping[str, str]:
        """Raises :class:`HeadersUnreadable`."""
        if sealed is None:
            return {}
        try:
            text = self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], source_id.encode())
        except (InvalidTag, ValueError, SubscriptionRefused):
            raise HeadersUnreadable from None
        found: dict[str, str] = json.loads(text)
        return found

    def _cipher(self) -> AESGCM:
        secret = self.key()
        if not secret:
            raise SubscriptionRefused(
                reason="no key is set to keep its header with",
                reason_zh="未設定保存 header 所需的金鑰",
                remedy="Send it without a header, or ask the operator to set `[subscription] key`.",
                remedy_zh="請移除 header 後重送，或請管理者設定 `[subscription] key`。",
            )
        return AESGCM(hashlib.sha256(secret.encode()).digest())


class StoredSubscriptions:
    """Implements :class:`adapters.ports.subscriptions.SubscriptionStore`. ``on_change`` is called
    after each change; ``most`` is how many a source may have."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        vault: HeaderVault,
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
        most: int = 20,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._vault = vault
        self._clock = clock
        self._on_change = on_change
        self._most = most

    async def create(self, source_id: str, wish: SubscriptionWish) -> Subscription:
        """Durable when it returns."""
        values = self._values(source_id, wish, {})

        def add(connection: Connection) -> AnyRow | None:
            if subscription_count(connection, source_id) >= self._most:
                return None
            return add_subscription(connection, source_id, values, self._clock())

        row = await self._writer.write(add)
        if row is None:
            raise SubscriptionRefused(
                reason=f"there are {self._most} already",
                reason_zh=f"已有 {self._most} 項訂閱",
                remedy="Remove (DELETE) those that are used no more, then send it again.",
                remedy_zh="請刪除（DELETE）不再使用的訂閱後重送。",
            )
        self._on_change()
        return kept_subscription(row)

    async def replace(
        self, source_id: str, subscription_id: str, wish: SubscriptionWish, version: int | None
    ) -> Subscription | None:
        """The new version; it is greeted anew. Headers whose values are not told stay where the
        endpoint stays."""
        number = _number(subscription_id)
        before = await self._look(lambda c: find_subscription(c, source_id, number))
        if before is None:
            return None
        known = {}
        # What was told for one endpoint is told to no other.
        if wish.endpoint == before.endpoint and any(value is None for _, value in wish.headers):
            known = dict(self._vault.open(source_id, before.headers))
        values = self._values(source_id, wish, known)
        # What the known values were taken from must stand still.
        expected = before.version if version is None else version
        row = await self._writer.write(
            lambda c: replace_subscription(c, source_id, number, values, expected, self._clock())
        )
        if row is None:
            return None
        self._on_change()
        return kept_subscription(row)

    async def remove(self, source_id: str, subscription_id: str) -> None:
        """Nothing is sent for it any more."""
        number = _number(subscription_id)
        if await self._writer.write(
            lambda c: remove_subscription(c, source_id, number, self._clock())
        ):
            self._on_change()

    async def find(self, source_id: str, subscription_id: str) -> Subscription | None:
        """One of the source's own."""
        number = _number(subscription_id)
        row = await self._look(lambda c: find_subscription(c, source_id, number))
        return None if row is None else kept_subscription(row)

    async def of(self, source_id: str) -> tuple[Subscription, ...]:
        """All of the source's own."""
        rows = await self._look(lambda c: subscriptions_of(c, source_id))
        return tuple(kept_subscription(row) for row in rows)

    def _values(
        self, source_id: str, wish: SubscriptionWish, known: Mapping[str, str]
    ) -> dict[str, Any]:
        headers = {}
        for name, value in wish.headers:
            told = known.get(name) if value is None else value
            if told is None:
                raise SubscriptionRefused(
                    reason="a header's value is masked, and none is known",
                    reason_zh="header 的值已遮蔽，且無原值可用",
                    remedy="Send the header's own value in place of ***.",
                    remedy_zh="請以 header 的原值取代 *** 後重送。",
                )
            headers[name] = told
        status = SubscriptionStatus.OFF if wish.is_off else SubscriptionStatus.REQUESTED
        return {
            "status": status.value,
            "type_name": wish.type_name,
            "criteria": wish.criteria,
            "national_id": wish.national_id,
            "chart_number": wish.chart_number,
            "endpoint": wish.endpoint,
            "payload": wish.payload,
            "reason": wish.reason,
            "header_names": "\n".join(headers),
            "headers": self._vault.seal(source_id, headers),
            "end_at": wish.end_at,
        }

    async def _look(self, question: Callable[[Connection], T]) -> T:
        def ask() -> T:
            with open_snapshot(self._reader) as connection:
                return question(connection)

        try:
            return await asyncio.to_thread(ask)
        except SQLAlchemyError as error:
            fault = storage_fault(error)
            if fault is None:
                raise
            raise StorageUnavailable(reason=fault.value) from None


def kept_subscription(row: AnyRow) -> Subscription:
    """A row as its owner may see it."""
    wish = SubscriptionWish(
        type_name=row.type_name,
        criteria=row.criteria,
        endpoint=row.endpoint,
        payload=row.payload,
        reason=row.reason,
        national_id=row.national_id,
        chart_number=row.chart_number,
        end_at=row.end_at,
        is_off=row.status == SubscriptionStatus.OFF,
    )
    return Subscription(
        subscription_id=str(row.id),
        version=row.version,
        status=SubscriptionStatus(row.status),
        wish=wish,
        header_names=tuple(row.header_names.split("\n")) if row.header_names else (),
        error=row.error,
        updated_at=row.updated_at,
    )


def _number(subscription_id: str) -> int:
    """0, which is nobody's, for an id that is none of ours."""
    fits = subscription_id.isascii() and subscription_id.isdigit() and len(subscription_id) < 16
    return int(subscription_id) if fits else 0
