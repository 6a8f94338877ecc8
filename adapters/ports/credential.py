"""A key that can sign in the name of one institution."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class CredentialKind(StrEnum):
    SOFTWARE = "software"
    """A key file, for rehearsal only: refused for every channel but the sandbox."""
    PKCS11 = "pkcs11"
    PCSC = "pcsc"
    SAM = "sam"
    """The security access module of the reader, or its cloud file: the EII library signs with it,
    we never do."""
    PERSON = "person"
    """A person's own card at the portal: we never see it."""


class Credential(Protocol):
    """Calls may block (a card, a reader): run them off the event loop."""

    @property
    def kind(self) -> CredentialKind: ...

    @property
    def institution_code(self) -> str: ...

    @property
    def certificate(self) -> bytes:
        """X.509, PEM."""
        ...

    def sign(self, message: bytes) -> bytes:
        """RSA PKCS#1 v1.5 or ECDSA with SHA-256, by the certificate's key type."""
        ...
