"""The last gate before anything is sent: who the file, the card and the agreements speak for.

Exactly one institution uploads an order (NHI code 25), and its name stands in five places: the
settings, the package's name, each record of the file (h2), the card, and the agreement between
laboratory and clinic. They all agree, or nothing leaves.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from adapters.ports.channel import SealedPackage
from mapping.agreements import find_agreement
from mapping.errors import LabbrokerError
from mapping.profile import Agreement, Route

_H2 = re.compile(rb"<h2>([^<]*)</h2>")
_CHUNK = 1 << 20
_LONGEST_H2 = 64


class InstitutionsDisagree(LabbrokerError):
    code = "institutions-disagree"
    en = (
        "The package is {package}'s, but {what} names {other}.",
        "Nothing was sent. Set the channel and the credential of the right institution.",
    )
    zh = (
        "上傳檔屬於機構 {package}，但{what}為 {other}。",
        "未送出任何資料；請設定正確機構的通道與憑證。",
    )


class CredentialMismatch(LabbrokerError):
    code = "credential-mismatch"
    en = (
        "The credential belongs to institution {credential}, the package to {package}.",
        "Set the right credential for the institution; nothing was sent.",
    )
    zh = (
        "憑證屬於機構 {credential}，檔案屬於機構 {package}。",
        "請設定該機構正確的憑證；未送出任何資料。",
    )


@dataclass(frozen=True, slots=True)
class PackedRecord:
    """What the agreements are asked about one record. ``days`` are those on which its uploader may
    have been settled: the day of its receipt and the day its clock began."""

    record_id: int
    lab_code: str
    clinic_code: str
    order_code: str
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """A record that this institution must not upload: ``other_party`` says that another must;
    else nobody may until a person has agreed it."""

    record_id: int
    other_party: bool


def pass_gate(
    package: SealedPackage,
    settings_code: str,
    credential_code: str,
    records: Iterable[PackedRecord] = (),
    agreements: Sequence[Agreement] | None = None,
) -> tuple[Stray, ...]:
    """Raises :class:`InstitutionsDisagree` or :class:`CredentialMismatch` where the package as a
    whole must not leave; returns the records that the agreements give to nobody or to another.

    Without ``agreements`` they are not asked.
    """
    owner = package.institution_code
    for what, code in (("the setting", settings_code), ("the file name", package.stem[:10])):
        if code != owner:
            raise InstitutionsDisagree(package=owner, what=what, other=code)
    if credential_code != owner:
        raise CredentialMismatch(credential=credential_code, package=owner)
    for code in sorted(institutions_in(package.raw_zip)):
        if code != owner:
            raise InstitutionsDisagree(package=owner, what="a record (h2)", other=code)
    if agreements is None:
        return ()
    strays = []
    for record in records:
        uploaders = {
            found.clinic_code if found.route is Route.CLINIC else found.lab_code
            for day in record.days
            if (
                found := find_agreement(
                    agreements, record.lab_code, record.clinic_code, record.order_code, day
                )
            )
        }
        if owner not in uploaders:
            strays.append(Stray(record.record_id, other_party=bool(uploaders)))
    return tuple(strays)


def institutions_in(raw_zip: bytes) -> set[str]:
    """Each h2 of the XML in a package of ours; what is no plain text is shown as ``"?"``."""
    found: set[bytes] = set()
    with zipfile.ZipFile(io.BytesIO(raw_zip)) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                rest = b""
                while chunk := file.read(_CHUNK):
                    text = rest + chunk
                    found.update(_H2.findall(text))
                    # A name that the end of the chunk cuts is seen whole in the next one.
                    rest = text[-_LONGEST_H2:]
    return {_shown(code) for code in found}


def _shown(code: bytes) -> str:
    plain = code.isalnum() and len(code) == 10
    return code.decode("ascii") if plain else "?"
