"""A token of SoftHSM behind the library that counts, and certificates of a test authority."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from broker.demo.virtual_token import TokenEntry, VirtualToken, create_token
from mapping.errors import LabbrokerError
from tests.conftest import Require

PIN = "481516"
WRONG = "000000"
CLINIC = "3501200000"
ELLIPTIC = "3501200001"
"""An institution whose card has an elliptic key."""
NAMELESS = "Clinic without a code"
SOURCE = Path(__file__).parents[1] / "native" / "counting_token.c"


@dataclass(frozen=True)
class CountingToken:
    """``folder`` holds the counters; see ``tests/native/counting_token.c``."""

    token: VirtualToken
    module: Path
    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **self.token.environment,
            "COUNTING_TOKEN_MODULE": str(self.token.module),
            "COUNTING_TOKEN_FOLDER": str(self.folder),
        }

    @property
    def calls(self) -> int:
        """How often a PIN was given to the card."""
        file = self.folder / "calls"
        return file.stat().st_size if file.exists() else 0

    @property
    def wrong(self) -> int:
        file = self.folder / "wrong"
        return file.stat().st_size if file.exists() else 0

    def set(self, fault: str) -> None:
        (self.folder / fault).touch()

    def clear(self, *names: str) -> None:
        for name in names or ("calls", "wrong", "absent", "hang", "crash"):
            (self.folder / name).unlink(missing_ok=True)


def counting_token(folder: Path, require: Require, *entries: TokenEntry) -> CountingToken:
    """Made once for a test session: a library is loaded once in a process."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    require(compiler, "a C compiler (cc or gcc) makes the library that counts PIN entries")
    try:
        token = create_token(folder / "softhsm", "labbroker test", PIN, entries)
    except LabbrokerError as error:
        require(False, f"{error.sentence()} {error.remedy()}")
        raise
    module = folder / "counting_token.so"
    options = ("-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC")
    subprocess.run([str(compiler), *options, "-o", module, SOURCE, "-ldl"], check=True, timeout=120)
    counters = folder / "counters"
    counters.mkdir()
    made = CountingToken(token, module, counters)
    os.environ.update(made.environment)
    return made


def entry(
    subject: Mapping[x509.ObjectIdentifier, str],
    *,
    days: int = 365,
    encrypts: bool = False,
    elliptic: bool = False,
) -> TokenEntry:
    """A key and a certificate that a made-up authority signed; valid from yesterday."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        ec.generate_private_key(ec.SECP256R1())
        if elliptic
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(k, v) for k, v in subject.items()]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(_usage(encrypts), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    )
    return TokenEntry(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def institution(code: str) -> dict[x509.ObjectIdentifier, str]:
    return {NameOID.COMMON_NAME: "Test clinic", NameOID.SERIAL_NUMBER: code}


def _usage(encrypts: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not encrypts,
        key_encipherment=encrypts,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
