"""Which of the tokens in the readers is meant, and which of its certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from adapters.card.errors import CardAbsent, CardAmbiguous, CertificateUnfit
from adapters.ports.card_certificate import CardCertificate


class _Token(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def serial(self) -> bytes: ...


_Found = TypeVar("_Found", bound=_Token)


@dataclass(frozen=True, slots=True)
class TokenCriteria:
    """What tells the card among others; empty criteria fit any.

    ``label`` and ``serial`` are the token's, whole; ``certificate_subject`` is a part of the
    certificate's subject (RFC 4514), such as ``2.5.4.5=3501200000``.
    """

    name: str
    label: str = ""
    serial: str = ""
    certificate_subject: str = ""

    def choose_token(self, tokens: Sequence[_Found]) -> list[_Found]:
        """Those that label and serial fit. Raises :class:`CardAbsent`, which says which
        criterion nothing fits."""
        if not tokens:
            raise CardAbsent(name=self.name, reason="no card is in any reader")
        fitting = [each for each in tokens if not self.label or each.label == self.label]
        if not fitting:
            raise CardAbsent(name=self.name, reason=f"no card has the label {self.label}")
        fitting = [
            each for each in fitting if not self.serial or serial_of(each.serial) == self.serial
        ]
        if not fitting:
            raise CardAbsent(name=self.name, reason=f"no card has the serial {self.serial}")
        return fitting

    def choose_certificate(self, certificates: Sequence[CardCertificate]) -> CardCertificate | None:
        """The one to sign with, or None where the subject fits none (it is another card).

        Raises :class:`CardAmbiguous` or :class:`CertificateUnfit`.
        """
        if not certificates:
            raise CertificateUnfit(name=self.name, reason="the card holds none")
        fitting = [each for each in certificates if self.certificate_subject in each.subject]
        if not fitting:
            return None
        signing = [each for each in fitting if each.for_signing]
        if not signing:
            raise CertificateUnfit(name=self.name, reason="it is not for signing")
        if len({each.sha256 for each in signing}) > 1:
            raise CardAmbiguous(name=self.name, what="certificate", found=len(signing))
        return signing[0]


def serial_of(raw: bytes) -> str:
    """A token's serial number as text: PKCS#11 pads it with blanks."""
    return raw.decode("ascii", "backslashreplace").strip(" \0")
