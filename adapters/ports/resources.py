"""What senders call their resources: for updates and conditional creates. The broker keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KnownResource:
    """The newest version of a resource that a source has sent. ``payload_sha256`` is of the bytes
    it came in, ``digest`` of its own content."""

    resource_id: str
    version: int
    receipt_id: int
    entry: int
    payload_sha256: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class WrittenResource:
    """A version of a resource, with the identifiers (``system|value``) it is found by."""

    type_name: str
    resource_id: str
    version: int
    entry: int
    digest: bytes
    identifiers: tuple[str, ...] = ()


class ResourceLedger(Protocol):
    """Each source has names of its own: nothing of another's is found."""

    async def by_id(self, source_id: str, type_name: str, resource_id: str) -> KnownResource | None:
        """The newest version under an id, if it was registered."""
        ...

    async def by_identifier(
        self, source_id: str, type_name: str, identifier: str
    ) -> tuple[KnownResource, ...]:
        """The newest versions of all that were ever registered with ``system|value``."""
        ...

    async def payload_sha256(self, source_id: str, receipt_id: int) -> bytes | None:
        """The digest of a receipt's bytes; None for what this source did not send."""
        ...

    async def register(
        self, source_id: str, receipt_id: int, written: Sequence[WrittenResource]
    ) -> None:
        """Durable when it returns; again the same changes nothing. Raises
        ``StorageUnavailable``."""
        ...
