"""The token that signs in a rehearsal, and the pairing of the agent that holds it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from adapters.card.software_key import CERTIFICATE_FILE, KEY_FILE
from broker.demo.people import CLINIC
from broker.demo.virtual_token import TokenEntry, VirtualToken, create_token

LABEL = "labbroker rehearsal"


@dataclass(frozen=True, slots=True)
class DemoToken:
    """A token with the clinic's rehearsal key. The PIN lives in this process alone, and stands
    for the one that a person knows."""

    token: VirtualToken
    pin: str
    secret: str
    folder: Path

    @property
    def pairing(self) -> str:
        """Its part of the settings."""
        digest = hashlib.sha256(self.secret.encode()).hexdigest()
        return (
            f'\n[[pairing]]\nagent = "front-desk"\nsecret_sha256 = ["{digest}"]\n'
            f'institutions = ["{CLINIC}"]\n'
        )


def make_token(folder: Path, keys: Path) -> DemoToken:
    """Move the rehearsal key of ``keys`` onto a token. Raises :class:`PartMissing`."""
    pin = f"{secrets.randbelow(10**8):08d}"
    entry = TokenEntry((keys / KEY_FILE).read_bytes(), (keys / CERTIFICATE_FILE).read_bytes())
    token = create_token(folder / "softhsm", LABEL, pin, [entry])
    (keys / KEY_FILE).unlink()
    return DemoToken(token, pin, secrets.token_urlsafe(32), folder)
