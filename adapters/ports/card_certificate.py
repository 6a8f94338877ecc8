"""What a card's certificate says: whose it is, until when, and for which world it was made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mapping.errors import LabbrokerError

REHEARSAL_MARK = "REHEARSAL ONLY - NOT ISSUED BY NHI"
"""Stands in the issuer of every certificate that labbroker makes itself."""
_INSTITUTION = re.compile(r"[0-9A-Z]{10}")


class Environment(StrEnum):
    """Test and production cards are never mixed: mixing locks them (NHI, 雲端安全模組申請指引
    V2.0, 1)."""

    REHEARSAL = "rehearsal"
    TEST = "test"
    PRODUCTION = "production"


class CertificateUnreadable(LabbrokerError):
    code = "certificate-unreadable"
    en = (
        "The certificate of the card cannot be read ({reason}).",
        "Try the card with its maker's program; ask HCA for a new one if it fails there too.",
    )
    zh = (
        "無法讀取卡片憑證（{reason}）。",
        "請以原廠程式測試卡片；若仍失敗，請向 HCA 申請換發。",
    )


@dataclass(frozen=True, slots=True)
class CardCertificate:
    """``pem`` is the certificate itself; times are aware UTC."""

    pem: bytes
    subject: str
    """RFC 4514."""
    institution_code: str
    """From the subject's serial number or common name, where one of them has the form of an
    institution code; else empty. No public document says where HCA's certificates hold it."""
    valid_from: datetime
    valid_until: datetime
    sha256: str
    environment: Environment
    for_signing: bool

    @classmethod
    def read(cls, raw: bytes, test_issuers: tuple[str, ...] = ()) -> CardCertificate:
        """From DER or PEM. ``test_issuers`` are parts of the names of authorities for tests.

        Raises :class:`CertificateUnreadable`.
        """
        try:
            if raw.lstrip().startswith(b"-----"):
                certificate = x509.load_pem_x509_certificate(raw)
            else:
                certificate = x509.load_der_x509_certificate(raw)
            return cls(
                pem=certificate.public_bytes(Encoding.PEM),
                subject=certificate.subject.rfc4514_string(),
                institution_code=_institution(certificate),
                valid_from=certificate.not_valid_before_utc,
                valid_until=certificate.not_valid_after_utc,
                sha256=certificate.fingerprint(SHA256()).hex(),
                environment=_environment(certificate.issuer.rfc4514_string(), test_issuers),
                for_signing=_for_signing(certificate),
            )
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            # The cause is left out: its text may quote a person's name.
            raise CertificateUnreadable(reason=type(error).__name__) from None

    def is_valid(self, now: datetime) -> bool:
        return self.valid_from <= now <= self.valid_until

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative after its end."""
        return (self.valid_until - now).days

    def proves(self, digest: bytes, signature: bytes) -> bool:
        """Whether ``signature`` was made over the SHA-256 ``digest`` with this certificate's key
        (RSA PKCS#1 v1.5 or ECDSA in DER)."""
        key = x509.load_pem_x509_certificate(self.pem).public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, digest, padding.PKCS1v15(), Prehashed(SHA256()))
                return True
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
                return True
        except (InvalidSignature, ValueError):
            return False
        return False


def _institution(certificate: x509.Certificate) -> str:
    for name in (NameOID.SERIAL_NUMBER, NameOID.COMMON_NAME):
        for found in certificate.subject.get_attributes_for_oid(name):
            if _INSTITUTION.fullmatch(str(found.value)):
                return str(found.value)
    return ""


def _environment(issuer: str, test_issuers: tuple[str, ...]) -> Environment:
    if REHEARSAL_MARK in issuer:
        return Environment.REHEARSAL
    if any(part and part in issuer for part in test_issuers):
        return Environment.TEST
    return Environment.PRODUCTION


def _for_signing(certificate: x509.Certificate) -> bool:
    """A card holds one certificate to sign with and one to encrypt with."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature or usage.content_commitment
