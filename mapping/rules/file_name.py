"""Checks of the name of an upload file, apart from what is in it.

SPEC114 p. 2 四: for the API (institution)(date)(serial).zip with 10, 7 and 3 characters and an XML
of the same stem; on the web page any name of letters and digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from mapping.finding import Finding, Severity
from mapping.package_name import parse_stem

# An institution code and a date of this century's years 100-199, then what is no three digits.
_NEARLY = re.compile(r"([0-9A-Z]{10})(1[0-9]{2}[01][0-9][0-3][0-9])[-_ ]?([0-9]{0,6})", re.I)


def name_findings(file: str, inner_stem: str = "") -> Iterator[Finding]:
    """Code 22 or ``package-stem-differs`` where a ZIP and its XML (``inner_stem``) are named
    differently, ``package-name-form`` for what is nearly a package name. ``file`` may be ``-``."""
    stem = PurePath(file).stem
    if file == "-" or not stem:
        return
    if inner_stem and inner_stem.casefold() != stem.casefold():
        about = (("found", inner_stem),)
        if _is_package_name(stem) or _is_package_name(inner_stem):
            yield Finding("22", "", "package", f"{stem}.zip ≠ {inner_stem}.xml")
        else:
            yield Finding("package-stem-differs", "", "package", stem, Severity.WARNING, about)
    nearly = _NEARLY.fullmatch(stem)
    if nearly is not None and not _is_package_name(stem):
        serial = int(nearly.group(3) or 1) or 1
        meant = f"{nearly.group(1)}{nearly.group(2)}{serial:03d}".upper()
        about = (("meant", meant if serial <= 999 else meant[:17] + "001"),)
        yield Finding("package-name-form", "", "package", stem, Severity.WARNING, about)


def _is_package_name(stem: str) -> bool:
    try:
        parse_stem(stem)
    except ValueError:
        return False
    return True
