"""A key file in the place of a card: for rehearsals against the stand-in gateway only."""

from __future__ import annotations

import datetime as dt
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from adapters.ports.card_certificate import REHEARSAL_MARK
from adapters.ports.credential import CredentialKind
from mapping.errors import LabbrokerError

KEY_FILE = "key.pem"
CERTIFICATE_FILE = "certificate.pem"
AUTHORITY_KEY_FILE = "authority-key.pem"
AUTHORITY_FILE = "authority.pem"

_LIFETIME = dt.timedelta(days=365)
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class KeyFileExposed(LabbrokerError):
    """Others on this machine can read the key."""

    code = "key-file-exposed"
    en = (
        "The key file {path} can be read by others (mode {mode}).",
        "Run `chmod 600 {path}`; make a new key when somebody may have copied it.",
    )
    zh = (
        "金鑰檔 {path} 可被其他人讀取（權限 {mode}）。",
        "請執行 `chmod 600 {path}`；若可能已被複製，請重新產生金鑰。",
    )


class KeyFileUnusable(LabbrokerError):
    """The folder holds no pair of key and certificate that belong together."""

    code = "key-file-unusable"
    en = (
        "The rehearsal key in {path} cannot be used: {reason}.",
        "Make a new rehearsal key in an empty folder and name it in the settings.",
    )
    zh = (
        "{path} 內的預演金鑰無法使用：{reason}。",
        "請於空白資料夾重新產生預演金鑰，並更新設定。",
    )


class KeyFileExists(LabbrokerError):
    """A key is never overwritten."""

    code = "key-file-exists"
    en = (
        "There is a key at {path} already.",
        "Choose an empty folder, or move the old key away.",
    )
    zh = ("{path} 已有金鑰檔。", "請改用空白資料夾，或先移走舊金鑰。")


class SoftwareKey:
    """Implements ``adapters.ports.credential.Credential``. Its ``repr`` shows no secret."""

    __slots__ = ("_certificate", "_institution_code", "_key")

    def __init__(self, key: _PrivateKey, certificate: bytes, institution_code: str) -> None:
        self._key = key
        self._certificate = certificate
        self._institution_code = institution_code

    @classmethod
    def load(cls, folder: Path) -> SoftwareKey:
        """The key of ``folder`` (``key.pem``, mode 0600, and ``certificate.pem``).

        Raises :class:`KeyFileExposed` or :class:`KeyFileUnusable`.
        """
        key = _load_key(folder / KEY_FILE)
        raw, certificate = _load_certificate(folder / CERTIFICATE_FILE)
        if _public_bytes(certificate.public_key()) != _public_bytes(key.public_key()):
            raise KeyFileUnusable(path=folder, reason="key and certificate do not belong together")
        found = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
        if not found:
            raise KeyFileUnusable(path=folder, reason="the certificate names no institution")
        return cls(key, raw, str(found[0].value))

    @property
    def kind(self) -> CredentialKind:
        return CredentialKind.SOFTWARE

    @property
    def institution_code(self) -> str:
        return self._institution_code

    @property
    def certificate(self) -> bytes:
        return self._certificate

    def sign(self, message: bytes) -> bytes:
        """ECDSA (DER) or RSA PKCS#1 v1.5 over SHA-256."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), SHA256())
        return self._key.sign(message, ec.ECDSA(SHA256()))

    def __repr__(self) -> str:
        return f"SoftwareKey({self._institution_code})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


@dataclass(frozen=True, slots=True)
class RehearsalAuthority:
    """A made-up authority: ``certificate_file`` is what the stand-in gateway trusts."""

    folder: Path

    @property
    def certificate_file(self) -> Path:
        return self.folder / AUTHORITY_FILE


def create_rehearsal_authority(folder: Path) -> RehearsalAuthority:
    """Make ``authority.pem`` and its key (ECDSA P-256). Raises :class:`KeyFileExists`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("labbroker rehearsal authority")
    usage = _usage(signs_certificates=True)
    certificate = _builder(name, name, key.public_key(), usage, authority=True).sign(key, SHA256())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_key(folder / AUTHORITY_KEY_FILE, key)
    _write_new(folder / AUTHORITY_FILE, certificate.public_bytes(_PEM), 0o644)
    return RehearsalAuthority(folder)


def create_rehearsal_key(
    folder: Path,
    institution_code: str,
    authority: RehearsalAuthority | None = None,
    rsa_key: bool = False,
) -> SoftwareKey:
    """Make a key and a certificate for ``institution_code`` (10 capitals and digits).

    ECDSA P-256, or RSA-2048 with ``rsa_key``. Without ``authority`` the one in ``folder`` is
    used, and made when there is none. Raises :class:`KeyFileExists`, :class:`KeyFileUnusable`,
    :class:`KeyFileExposed`.
    """
    if len(institution_code) != 10 or not (institution_code + "A").isascii():
        raise KeyFileUnusable(path=folder, reason="an institution code has ten characters")
    if not institution_code.isalnum() or institution_code != institution_code.upper():
        raise KeyFileUnusable(path=folder, reason="an institution code is capitals and digits")
    if authority is None:
        authority = RehearsalAuthority(folder)
        if not authority.certificate_file.exists():
            create_rehearsal_authority(folder)
    issuer_key = _load_key(authority.folder / AUTHORITY_KEY_FILE)
    _, issuer = _load_certificate(authority.certificate_file)
    key: _PrivateKey = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if rsa_key
        else ec.generate_private_key(ec.SECP256R1())
    )
    subject = _name(f"REHEARSAL {institution_code}", institution_code)
    usage = _usage(signs_certificates=False)
    certificate = _builder(subject, issuer.subject, key.public_key(), usage, authority=False).sign(
        issuer_key, SHA256()
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_key(folder / KEY_FILE, key)
    _write_new(folder / CERTIFICATE_FILE, certificate.public_bytes(_PEM), 0o644)
    return SoftwareKey(key, certificate.public_bytes(_PEM), institution_code)


_PEM = serialization.Encoding.PEM


def _load_key(path: Path) -> _PrivateKey:
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise KeyFileExposed(path=path, mode=f"{mode:04o}")
            raw = stream.read(65_536)
    except OSError as error:
        raise KeyFileUnusable(path=path, reason=error.strerror or "not readable") from None
    try:
        key = serialization.load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause is left out: its text may quote the file.
        raise KeyFileUnusable(path=path, reason="not an unencrypted PEM key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyFileUnusable(path=path, reason="only ECDSA and RSA keys are used")
    return key


def _load_certificate(path: Path) -> tuple[bytes, x509.Certificate]:
    try:
        raw = path.read_bytes()
        return raw, x509.load_pem_x509_certificate(raw)
    except OSError as error:
        raise KeyFileUnusable(path=path, reason=error.strerror or "not readable") from None
    except ValueError:
        raise KeyFileUnusable(path=path, reason="not a PEM certificate") from None


def _public_bytes(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return b""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _name(common_name: str, serial_number: str = "") -> x509.Name:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "TW"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "labbroker rehearsal"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, REHEARSAL_MARK),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    if serial_number:
        parts.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial_number))
    return x509.Name(parts)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    usage: x509.KeyUsage,
    authority: bool,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )


def _write_key(path: Path, key: _PrivateKey) -> None:
    raw = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_new(path, raw, 0o600)


def _write_new(path: Path, raw: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise KeyFileExists(path=path) from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(raw)
