"""Credentials of channels that sign by themselves: we only know whose they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from adapters.ports.channel import CredentialUnusable
from adapters.ports.credential import CredentialKind

_SAM_FILE = re.compile(r"([0-9A-Z]{10})[0-9A-Z]+\.SAM", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PersonCard:
    """The card of the person who uploads on the portal; the portal checks it, not we."""

    institution_code: str
    kind: CredentialKind = CredentialKind.PERSON
    certificate: bytes = b""

    def sign(self, message: bytes) -> bytes:
        """Raises ``CredentialUnusable``: the card is never in our hands."""
        raise CredentialUnusable(institution=self.institution_code, reason="it is a person's card")


@dataclass(frozen=True, slots=True)
class CloudSam:
    """The SAM file of a PC; the EII library signs with it.

    Its name is institution code + SAM code + ``.SAM``, one file in a folder such as
    ``C:\\NHI\\SAM\\COMX1`` (NHI, 控制軟體 5.1 安裝指引 V2.2, 108.5.28; error 9200 for more).
    ``expected`` is the institution of the settings, named in errors alone.
    """

    folder: Path
    expected: str
    kind: CredentialKind = CredentialKind.SAM
    certificate: bytes = b""

    @property
    def institution_code(self) -> str:
        """Read anew each time: the file may be exchanged. Raises ``CredentialUnusable``."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except OSError:
            raise CredentialUnusable(
                institution=self.expected, reason=f"the SAM folder {self.folder} cannot be read"
            ) from None
        found = [match for name in names if (match := _SAM_FILE.fullmatch(name))]
        if len(found) != 1:
            raise CredentialUnusable(
                institution=self.expected,
                reason=f"{self.folder} must hold one .SAM file and holds {len(found)}",
            )
        return found[0].group(1).upper()

    def sign(self, message: bytes) -> bytes:
        """Raises ``CredentialUnusable``: the library alone signs."""
        raise CredentialUnusable(institution=self.expected, reason="the SAM signs in its library")
