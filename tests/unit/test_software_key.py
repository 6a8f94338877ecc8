"""The rehearsal key: guarded on disk, marked as made up, silent about itself."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.card.software_key import (
    KeyFileExists,
    KeyFileExposed,
    KeyFileUnusable,
    SoftwareKey,
    create_rehearsal_authority,
    create_rehearsal_key,
)
from adapters.ports.credential import Credential, CredentialKind

CODE = "3501234567"


def test_a_new_key_is_loaded_again_and_signs(tmp_path: Path) -> None:
    create_rehearsal_key(tmp_path, CODE)
    key: Credential = SoftwareKey.load(tmp_path)
    assert (key.kind, key.institution_code) == (CredentialKind.SOFTWARE, CODE)
    public = x509.load_pem_x509_certificate(key.certificate).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(key.sign(b"nonce"), b"nonce", ec.ECDSA(SHA256()))


def test_an_rsa_key_signs_with_pkcs1_v15(tmp_path: Path) -> None:
    key = create_rehearsal_key(tmp_path, CODE, rsa_key=True)
    public = x509.load_pem_x509_certificate(key.certificate).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(SoftwareKey.load(tmp_path).sign(b"n"), b"n", padding.PKCS1v15(), SHA256())


def test_the_certificate_says_that_it_is_made_up_and_comes_from_the_authority(
    tmp_path: Path,
) -> None:
    authority = create_rehearsal_authority(tmp_path / "authority")
    key = create_rehearsal_key(tmp_path / "clinic", CODE, authority)
    certificate = x509.load_pem_x509_certificate(key.certificate)
    issuer = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    certificate.verify_directly_issued_by(issuer)
    assert "REHEARSAL ONLY" in certificate.subject.rfc4514_string()
    assert "REHEARSAL ONLY" in issuer.subject.rfc4514_string()


def test_key_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    create_rehearsal_key(tmp_path / "k", CODE)
    for name in ("key.pem", "authority-key.pem"):
        assert (tmp_path / "k" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    create_rehearsal_key(tmp_path, CODE)
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(KeyFileExposed) as refusal:
        SoftwareKey.load(tmp_path)
    assert "chmod 600" in refusal.value.remedy()
    assert "chmod 600" in refusal.value.remedy("zh")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    create_rehearsal_key(tmp_path, CODE)
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(KeyFileExists):
        create_rehearsal_key(tmp_path, CODE)
    assert (tmp_path / "key.pem").read_bytes() == before


def test_a_foreign_certificate_is_refused(tmp_path: Path) -> None:
    create_rehearsal_key(tmp_path / "a", CODE)
    create_rehearsal_key(tmp_path / "b", CODE)
    foreign = (tmp_path / "b" / "certificate.pem").read_bytes()
    (tmp_path / "a" / "certificate.pem").write_bytes(foreign)
    with pytest.raises(KeyFileUnusable):
        SoftwareKey.load(tmp_path / "a")


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem"])
@pytest.mark.parametrize("raw", [None, b"", b"secret words"])
def test_a_missing_or_odd_file_is_named_and_not_quoted(
    tmp_path: Path, name: str, raw: bytes | None
) -> None:
    create_rehearsal_key(tmp_path, CODE)
    path = tmp_path / name
    path.unlink()
    if raw is not None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(handle, raw)
        os.close(handle)
    with pytest.raises(KeyFileUnusable) as refusal:
        SoftwareKey.load(tmp_path)
    assert name in refusal.value.sentence()
    assert "secret" not in refusal.value.sentence()


@pytest.mark.parametrize(
    "code", ["", "350123456", "35012345678", "350123456a", "35012345 7", "３501234567"]
)
def test_an_institution_code_is_ten_capitals_or_digits(tmp_path: Path, code: str) -> None:
    with pytest.raises(KeyFileUnusable):
        create_rehearsal_key(tmp_path, code)


def test_a_key_tells_nothing_and_is_not_pickled(tmp_path: Path) -> None:
    key = create_rehearsal_key(tmp_path, CODE)
    assert repr(key) == f"SoftwareKey({CODE})"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)
