"""Opens the ZIP of a check report: looked at before inflating, with or without a password."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from itertools import pairwise

import pyzipper

from mapping.errors import LabbrokerError

_MOST_ENTRIES = 20
_MOST_BYTES = 200_000_000
_HIGHEST_RATIO = 1_000
"""Printed pages are mostly blanks: deflate alone ends at 1,032 to 1."""
_SMALL = 1_000_000


class VerdictPasswordWrong(LabbrokerError):
    """The report is encrypted, and not with this password."""

    code = "verdict-password-wrong"
    en = (
        "The password does not open the check report.",
        "It is the national id of the person who was logged in, its first letter a capital. Set "
        "it and read the report again; the portal keeps it for 14 days.",
    )
    zh = (
        "密碼無法開啟檢核報告。",
        "密碼為登入使用者之身分證字號，首碼英文須大寫；請更正後重新讀取（網站保留 14 天）。",
    )


class VerdictArchiveUnsafe(LabbrokerError):
    """The ZIP is damaged or is not what a check report looks like; nothing was inflated."""

    code = "verdict-archive-unsafe"
    en = (
        "The archive of the check report cannot be opened: {reason}.",
        "Fetch it again; the portal keeps it for 14 days.",
    )
    zh = ("檢核報告壓縮檔無法開啟：{reason_zh}。", "請重新下載；檔案於網站保留 14 天。")


def read_entries(raw_zip: bytes, password: str) -> list[tuple[str, bytes]]:
    """Name and content of each text file. Raises ``VerdictPasswordWrong`` or
    ``VerdictArchiveUnsafe``."""
    try:
        archive = pyzipper.AESZipFile(BytesIO(raw_zip))
    except _DAMAGE:
        raise VerdictArchiveUnsafe(reason="it is damaged", reason_zh="檔案已損毀") from None
    with archive:
        entries = archive.infolist()
        _look_at(entries)
        return [(entry.filename, _inflate(archive, entry, password)) for entry in entries]


def _look_at(entries: list[pyzipper.ZipInfo]) -> None:
    if not 1 <= len(entries) <= _MOST_ENTRIES:
        raise VerdictArchiveUnsafe(
            reason=f"it has {len(entries)} entries", reason_zh=f"內有 {len(entries)} 個項目"
        )
    names = {entry.filename.lower() for entry in entries}
    if len(names) != len(entries) or not all(_is_plain_text_name(name) for name in names):
        raise VerdictArchiveUnsafe(
            reason="an entry is no plain text file", reason_zh="含有非純文字檔"
        )
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise VerdictArchiveUnsafe(reason="it is too large", reason_zh="檔案過大")
    for entry in entries:
        if entry.file_size > max(_SMALL, entry.compress_size * _HIGHEST_RATIO):
            raise VerdictArchiveUnsafe(reason="it would inflate too far", reason_zh="解壓縮後過大")
    spans = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    for (offset, size), (following, _) in pairwise(spans):
        if offset + size > following:
            raise VerdictArchiveUnsafe(reason="its entries overlap", reason_zh="項目重疊")


def _is_plain_text_name(name: str) -> bool:
    return name.endswith(".txt") and name.isascii() and not set(name) & set('/\\:*?"<>|\x00')


def _inflate(archive: pyzipper.AESZipFile, entry: pyzipper.ZipInfo, password: str) -> bytes:
    encrypted = bool(entry.flag_bits & 1)
    try:
        with archive.open(entry, pwd=password.encode("utf-8") if encrypted else None) as stream:
            raw: bytes = stream.read(entry.file_size + 1)
    except _DAMAGE:
        # A wrong ZipCrypto password passes the check byte once in 256 tries and then looks
        # like damage.
        if encrypted:
            raise VerdictPasswordWrong from None
        raise VerdictArchiveUnsafe(reason="it is damaged", reason_zh="檔案已損毀") from None
    if len(raw) != entry.file_size:
        raise VerdictArchiveUnsafe(reason="a size in it is wrong", reason_zh="檔案大小不符")
    return raw


_DAMAGE = (
    pyzipper.BadZipFile,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    NotImplementedError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
)
