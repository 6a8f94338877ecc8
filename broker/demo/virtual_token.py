"""A card made of SoftHSM, for rehearsals: a token with keys, certificates and a PIN of its own."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from broker.demo.channels import PartMissing

_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
_CONFIGURATION = """\
directories.tokendir = {folder}/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
"""
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A key (PEM, PKCS#8, no password) and its certificate (PEM)."""

    key: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class VirtualToken:
    """``folder`` holds the tokens; ``module`` is SoftHSM's library."""

    folder: Path
    module: Path
    label: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process that uses the token needs in its environment."""
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}


def softhsm_module() -> Path:
    """SoftHSM's library on this machine. Raises :class:`PartMissing`."""
    named = os.environ.get("SOFTHSM2_MODULE", "")
    for path in (named, *_MODULES):
        if path and Path(path).is_file():
            return Path(path)
    raise PartMissing(
        what_en="SoftHSM, which plays the card",
        what_zh=" SoftHSM（模擬卡片）",
        how_en="Install it: `apt install softhsm2` on Debian and Ubuntu, `brew install softhsm` "
        "on macOS.",
        how_zh="請安裝：Debian、Ubuntu 用 `apt install softhsm2`，macOS 用 "
        "`brew install softhsm`。",
    )


def create_token(
    folder: Path, label: str, pin: str, entries: Sequence[TokenEntry], module: Path | None = None
) -> VirtualToken:
    """Make a token with these keys in ``folder``, in a process of its own.

    Neither PIN nor key is an argument of a process. Raises :class:`PartMissing`.
    """
    module = softhsm_module() if module is None else module
    if find_spec("pkcs11") is None:
        raise PartMissing(
            what_en="python-pkcs11, which speaks to the card",
            what_zh=" python-pkcs11（與卡片溝通）",
            how_en="Install it: pip install 'labbroker[card]'.",
            how_zh="請安裝：pip install 'labbroker[card]'。",
        )
    if shutil.which("softhsm2-util") is None:
        raise PartMissing(
            what_en="softhsm2-util, which makes the token",
            what_zh=" softhsm2-util（建立模擬卡片）",
            how_en="It comes with SoftHSM: `apt install softhsm2`.",
            how_zh="隨 SoftHSM 提供：`apt install softhsm2`。",
        )
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    (folder / "softhsm2.conf").write_text(_CONFIGURATION.format(folder=folder), "utf-8")
    token = VirtualToken(folder, module, label)
    job = {
        "module": str(module),
        "label": label,
        "pin": pin,
        "entries": [
            {
                "key": base64.b64encode(entry.key).decode("ascii"),
                "certificate": base64.b64encode(entry.certificate).decode("ascii"),
            }
            for entry in entries
        ],
    }
    subprocess.run(
        [sys.executable, "-m", "broker.demo.virtual_token"],
        input=json.dumps(job).encode("ascii"),
        env={**os.environ, **token.environment},
        check=True,
        timeout=_SECONDS,
    )
    return token


def _main() -> None:
    import pkcs11

    job = json.load(sys.stdin)
    # softhsm2-util takes PINs as arguments, which everybody can see: this one is changed at once.
    passing = secrets.token_hex(8)
    subprocess.run(  # noqa: S603
        [
            *("softhsm2-util", "--init-token", "--free", "--label", job["label"]),
            *("--so-pin", secrets.token_hex(8), "--pin", passing),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_SECONDS,
    )
    token = next(pkcs11.lib(job["module"]).get_tokens(token_label=job["label"]))
    with token.open(rw=True, user_pin=passing) as session:
        session.set_pin(passing, job["pin"])
        for number, entry in enumerate(job["entries"], 1):
            key, certificate = (base64.b64decode(entry[name]) for name in ("key", "certificate"))
            _store(session, bytes([number]), key, certificate)


def _store(session: object, key_id: bytes, key_pem: bytes, certificate_pem: bytes) -> None:
    from typing import Any, cast

    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from pkcs11 import Attribute, CertificateType, ObjectClass
    from pkcs11.util.ec import decode_ec_private_key
    from pkcs11.util.rsa import decode_rsa_private_key

    key = serialization.load_pem_private_key(key_pem, password=None)
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    decode = decode_rsa_private_key if isinstance(key, rsa.RSAPrivateKey) else decode_ec_private_key
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    card = cast(Any, session)
    card.create_object(
        {
            **decode(der),
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.SIGN: True,
            Attribute.ID: key_id,
        }
    )
    card.create_object(
        {
            Attribute.CLASS: ObjectClass.CERTIFICATE,
            Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: False,
            Attribute.ID: key_id,
            Attribute.SUBJECT: certificate.subject.public_bytes(),
            Attribute.VALUE: certificate.public_bytes(serialization.Encoding.DER),
        }
    )


if __name__ == "__main__":
    _main()
