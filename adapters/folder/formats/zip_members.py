"""The files in a ZIP, inflated with care: names, counts, sizes and ratios are looked at before."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.folder.formats.errors import ZipUnreadable

_MAX_MEMBERS = 1000
_LARGEST_TOTAL = 256 * 1024 * 1024
_LARGEST_RATIO = 400
_SMALL = 64 * 1024
_ENCRYPTED = 0x1
# zipfile and zlib answer damaged input with all of these.
_BAD = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    LookupError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
)


class ZipMembers:
    """An opened ZIP whose members may be inflated: at most 1,000, not encrypted, of plausible
    ratio, each name once, together at most 256 MiB. Raises ZipUnreadable."""

    def __init__(self, raw: bytes) -> None:
        with _damage_named():
            self._archive = zipfile.ZipFile(io.BytesIO(raw))
            entries = [each for each in self._archive.infolist() if not each.is_dir()]
        if len(entries) > _MAX_MEMBERS:
            raise _unreadable("it holds too many files", "內含檔案過多")
        self._entries = {each.filename: each for each in entries}
        if len(self._entries) != len(entries):
            raise _unreadable("it holds two files of one name", "內含同名檔案")
        if any(each.flag_bits & _ENCRYPTED for each in entries):
            raise _unreadable("it is encrypted", "檔案已加密")
        if sum(each.file_size for each in entries) > _LARGEST_TOTAL:
            raise _unreadable("it inflates to too much", "解壓縮後過大")
        for each in entries:
            if each.file_size > max(_SMALL, each.compress_size * _LARGEST_RATIO):
                raise _unreadable("its ratio of compression is not plausible", "壓縮比異常")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files, in the order of the directory."""
        return tuple(self._entries)

    def read(self, name: str) -> bytes:
        """The bytes of a member; ``b""`` where there is none."""
        entry = self._entries.get(name)
        if entry is None:
            return b""
        with _damage_named(), self._archive.open(entry) as file:
            raw = file.read(entry.file_size + 1)
        if len(raw) != entry.file_size:
            raise _unreadable("it is damaged or cut off", "檔案損毀或不完整")
        return raw


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except _BAD:
        raise _unreadable("it is damaged or cut off", "檔案損毀或不完整") from None


def _unreadable(reason: str, reason_zh: str) -> ZipUnreadable:
    return ZipUnreadable(reason=reason, reason_zh=reason_zh, place="ZIP")
