"""What reads the files that a person downloads from NHI about cases not uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapters.folder.formats.nhi_overview import read_nhi_overview
from adapters.folder.formats.unuploaded_list import open_unuploaded, read_unuploaded
from adapters.folder.formats.xlsx_table import is_workbook
from adapters.folder.formats.zip_members import ZipMembers
from broker.config.secret import SecretUnavailable
from broker.config.settings import Settings
from broker.rates.nhi_files import (
    InstitutionUnknown,
    NhiFile,
    NhiListFile,
    NhiOverviewFile,
)
from broker.store.unuploaded import ListHead
from mapping.errors import LabbrokerError
from mapping.finding import Finding


def is_overview(raw: bytes) -> bool:
    """Whether the bytes are a workbook, as NHI's overview is and its list is not."""
    if not raw.startswith(b"PK\x03\x04"):
        return False
    try:
        return is_workbook(ZipMembers(raw).names)
    except LabbrokerError:
        return False


def read_nhi_file(
    raw: bytes, name: str, institution_code: str, passwords: Sequence[str]
) -> NhiFile:
    """The list, or the overview, that a file is: see :data:`broker.rates.nhi_files.ReadNhiFile`."""
    findings: list[Finding] = []
    if is_overview(raw):
        overview = read_nhi_overview(raw, name, findings, institution_code)
        return NhiOverviewFile(overview, tuple(findings))
    opened = open_unuploaded(raw, name, passwords)
    whose = institution_code or opened.institution_code
    if not whose:
        raise InstitutionUnknown
    rows = tuple(read_unuploaded(opened.raw, findings))
    head = ListHead.of(opened.raw, whose, opened.from_on, opened.until_on)
    return NhiListFile(head, rows, tuple(findings))


def list_passwords(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Those of the settings: institution and login (院所代號_登入者ID), and the login alone."""
    for institution in settings.institutions:
        if institution.verdict_password is not None:
            try:
                login = institution.verdict_password.read(environ).reveal()
            except SecretUnavailable:
                continue
            yield f"{institution.code}_{login}"
            yield login
