"""What the gateway looks at before it says that it has the file: name, archive, day, serial."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO

from broker.sandbox.calendar import parse_day, taipei_day
from broker.sandbox.settings import SandboxSettings

_NAME = re.compile(r"([A-Z0-9]{10})([0-9]{7})([0-9]{3})\.zip")


class Refused(Exception):
    """A definite no: nothing was taken. ``code`` is for programs, ``text`` for people."""

    def __init__(self, code: str, text: str, status: int = 422, **details: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text
        self.status = status
        self.details = details


@dataclass(frozen=True, slots=True)
class PackageName:
    """institution(10) + ROC date(7) + serial(3) (SPEC114 p. 2; the serial's width is inferred)."""

    institution: str
    upload_day: str
    serial: str

    @property
    def stem(self) -> str:
        return self.institution + self.upload_day + self.serial


def parse_name(name: str) -> PackageName:
    """The parts of a file name. Raises :class:`Refused` (``file-name``)."""
    match = _NAME.fullmatch(name)
    if match is None or parse_day(match.group(2)) is None or match.group(3) == "000":
        raise Refused("file-name", "檔名須為醫事機構代碼(10)+上傳日期(7)+流水號(3).zip")
    return PackageName(*match.groups())


def check_owner_and_day(name: PackageName, institution: str, settings: SandboxSettings) -> None:
    """The session's institution, and today or yesterday in Taipei. Raises :class:`Refused`."""
    if name.institution != institution:
        raise Refused("institution", "檔名之醫事機構代碼與登入機構不符", 403)
    today = taipei_day(settings.clock())
    if parse_day(name.upload_day) not in (today, today - timedelta(days=1)):
        raise Refused("upload-date", "上傳日期僅限當天或前一天")


def open_package(raw: bytes, name: PackageName, largest: int) -> bytes:
    """The one XML of the ZIP. Raises :class:`Refused` (``archive``)."""
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            entries = archive.infolist()
            if len(entries) != 1 or entries[0].filename != f"{name.stem}.xml":
                raise Refused("archive", "壓縮檔內須僅有一個與檔名相同之XML檔")
            if entries[0].flag_bits & 1 or entries[0].file_size > largest:
                raise Refused("archive", "壓縮檔不可加密或過大")
            with archive.open(entries[0]) as stream:
                document = stream.read(largest + 1)
            if len(document) > largest:
                raise Refused("archive", "壓縮檔不可加密或過大")
            return document
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
    ) as error:
        raise Refused("archive", "壓縮檔無法讀取") from error
