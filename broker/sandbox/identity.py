"""Who may log in: a certificate of a trusted authority and a signature over a fresh nonce."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from broker.sandbox.reception import Refused
from broker.sandbox.settings import SandboxSettings

_MOST_NONCES = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    institution: str
    ends_at: datetime


class Doorkeeper:
    """Hands out nonces and sessions; both are short-lived and kept in memory only."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._trusted = [x509.load_pem_x509_certificate(pem) for pem in settings.trusted]
        self._nonces: dict[str, tuple[str, datetime]] = {}
        self._sessions: dict[str, Session] = {}

    def challenge(self, institution: str) -> str:
        """A text to sign, once, soon. Its prefix keeps the signature from meaning anything else."""
        now = self._settings.clock()
        self._nonces = {nonce: entry for nonce, entry in self._nonces.items() if entry[1] > now}
        if len(self._nonces) >= _MOST_NONCES:
            raise Refused("busy", "系統忙碌中，請稍後再試", 503)
        nonce = f"labbroker-sandbox-login:{institution}:{secrets.token_hex(32)}"
        self._nonces[nonce] = (institution, now + self._settings.nonce_lifetime)
        return nonce

    def login(
        self, institution: str, nonce: str, certificate_pem: bytes, signature: bytes
    ) -> tuple[str, Session]:
        """A token and its session. Raises :class:`Refused` (``login``) and says no more why."""
        now = self._settings.clock()
        asked_for, ends_at = self._nonces.pop(nonce, ("", now))
        if asked_for != institution or ends_at <= now:
            raise _no("挑戰碼不符或已逾時")
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except ValueError:
            raise _no("憑證無法讀取") from None
        self._check_chain(certificate, now)
        if _institution_of(certificate) != institution:
            raise _no("憑證之醫事機構代碼不符")
        _check_signature(certificate, nonce.encode("ascii"), signature)
        session = Session(institution, now + self._settings.session_lifetime)
        self._sessions = {
            token: known for token, known in self._sessions.items() if known.ends_at > now
        }
        token = secrets.token_urlsafe(32)
        self._sessions[token] = session
        return token, session

    def session(self, token: str) -> Session:
        """The session of ``token``. Raises :class:`Refused` (``session``)."""
        session = self._sessions.get(token)
        if session is None or session.ends_at <= self._settings.clock():
            raise Refused("session", "尚未登入或已逾時", 401)
        return session

    def _check_chain(self, certificate: x509.Certificate, now: datetime) -> None:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise _no("憑證不在有效期間內")
        for authority in self._trusted:
            if not _is_authority(authority) or now > authority.not_valid_after_utc:
                continue
            try:
                certificate.verify_directly_issued_by(authority)
            except (InvalidSignature, ValueError, TypeError):
                continue
            return
        raise _no("憑證非由受信任之機構簽發")


def _no(text: str) -> Refused:
    return Refused("login", text, 403)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _institution_of(certificate: x509.Certificate) -> str:
    """The subject's serialNumber, else its common name."""
    for name in (NameOID.SERIAL_NUMBER, NameOID.COMMON_NAME):
        found = certificate.subject.get_attributes_for_oid(name)
        if found:
            return str(found[0].value)
    return ""


def _check_signature(certificate: x509.Certificate, message: bytes, signature: bytes) -> None:
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(SHA256()))
        else:
            raise _no("金鑰種類不受支援")
    except InvalidSignature:
        raise _no("簽章錯誤") from None
