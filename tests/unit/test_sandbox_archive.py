"""The ZIP of a report opens with the password, by other people's readers too."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest
import pyzipper

from broker.sandbox.archive import pack_reports
from broker.sandbox.settings import ReportEncryption

REPORTS = {"a.txt": "檢核錯誤".encode("cp950") * 500, "b.txt": b""}
PASSWORD = "A123456789"


def test_zipcrypto_opens_with_the_standard_library() -> None:
    raw = pack_reports(REPORTS, ReportEncryption.ZIPCRYPTO, PASSWORD)
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        assert {n: archive.read(n, PASSWORD.encode()) for n in archive.namelist()} == REPORTS


def test_aes_opens_with_the_password_only() -> None:
    raw = pack_reports(REPORTS, ReportEncryption.AES, PASSWORD)
    with pyzipper.AESZipFile(BytesIO(raw)) as archive:
        assert archive.read("a.txt", PASSWORD.encode()) == REPORTS["a.txt"]
        with pytest.raises(RuntimeError):
            archive.read("a.txt", b"wrong")


def test_an_open_archive_needs_none() -> None:
    raw = pack_reports(REPORTS, ReportEncryption.NONE, PASSWORD)
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        assert archive.read("a.txt") == REPORTS["a.txt"]
