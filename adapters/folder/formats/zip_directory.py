"""The names in a ZIP, without inflating anything. What is in it is read elsewhere, guarded."""

from __future__ import annotations

import io
import zipfile

from adapters.folder.formats.errors import ZipUnreadable

_MAX_MEMBERS = 1000
# zipfile answers damaged input with all of these.
_BAD = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    LookupError,
    NotImplementedError,
)


def member_names(raw: bytes) -> tuple[str, ...]:
    """The names as the directory gives them. Raises ZipUnreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = tuple(archive.namelist())
    except _BAD:
        raise ZipUnreadable(
            reason="it is damaged or cut off", reason_zh="檔案損毀或不完整", place="ZIP"
        ) from None
    if len(names) > _MAX_MEMBERS:
        raise ZipUnreadable(reason="it holds too many files", reason_zh="內含檔案過多", place="ZIP")
    return names
