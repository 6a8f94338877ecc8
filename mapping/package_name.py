"""The name of an upload package: institution, upload date, serial of the day.

SPEC114 p. 2 四(一): (醫事機構代碼)(上傳日期)(流水號).zip; 10 + 7 + 3 characters, letters and digits
only, and the XML inside has the same stem.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from mapping.rocdate import parse_roc_date, roc_date

LAST_SERIAL = 999


class PackageName(NamedTuple):
    institution_code: str
    upload_on: date
    serial: int


def package_stem(institution_code: str, upload_on: date, serial: int) -> str:
    """``package_stem("3501234567", date(2025, 1, 2), 7)`` → ``"35012345671140102007"``.

    Raises ``ValueError`` for a serial outside 1-999 or an institution code that is not ten
    capital letters and digits.
    """
    if not _is_institution_code(institution_code):
        raise ValueError("an institution code has ten capital letters and digits")
    if not 1 <= serial <= LAST_SERIAL:
        raise ValueError(f"a day has the serials 1 to {LAST_SERIAL}")
    return f"{institution_code}{roc_date(upload_on)}{serial:03d}"


def parse_stem(stem: str) -> PackageName:
    """The parts of a stem. Raises ``ValueError`` when it is none."""
    institution_code, day, serial = stem[:10], stem[10:17], stem[17:]
    if len(stem) != 20 or not _is_institution_code(institution_code):
        raise ValueError("a package name has 20 letters and digits")
    if not (serial.isascii() and serial.isdigit()) or serial == "000":
        raise ValueError("a package name ends in a serial from 001 to 999")
    return PackageName(institution_code, parse_roc_date(day), int(serial))


def _is_institution_code(text: str) -> bool:
    return len(text) == 10 and text.isascii() and text.isalnum() and text == text.upper()
