"""The names that senders give their results, kept in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Engine

from adapters.ports.resources import KnownResource, WrittenResource
from broker.store.fhir_resources import (
    payload_sha256,
    register_resources,
    resource_by_id,
    resources_by_identifier,
)
from broker.store.writer import Writer

T = TypeVar("T")


class StoredResources:
    """Implements :class:`adapters.ports.resources.ResourceLedger`."""

    def __init__(self, writer: Writer, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader

    async def by_id(self, source_id: str, type_name: str, resource_id: str) -> KnownResource | None:
        """The newest version under an id."""
        return await self._look(lambda it: resource_by_id(it, source_id, type_name, resource_id))

    async def by_identifier(
        self, source_id: str, type_name: str, identifier: str
    ) -> tuple[KnownResource, ...]:
        """The newest versions of all with the identifier."""
        return await self._look(
            lambda it: resources_by_identifier(it, source_id, type_name, identifier)
        )

    async def payload_sha256(self, source_id: str, receipt_id: int) -> bytes | None:
        """The digest of a receipt's bytes, if this source sent it."""
        return await self._look(lambda it: payload_sha256(it, source_id, receipt_id))

    async def register(
        self, source_id: str, receipt_id: int, written: Sequence[WrittenResource]
    ) -> None:
        """Returns after the commit. Raises ``StorageUnavailable``."""
        await self._writer.write(lambda it: register_resources(it, source_id, receipt_id, written))

    async def _look(self, question: Callable[[Connection], T]) -> T:
        def ask() -> T:
            with self._reader.connect() as connection:
                return question(connection)

        return await asyncio.to_thread(ask)
