"""One file, from its bytes to everything that can be said about it. Never raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePath

from adapters.folder.formats.identify import identify
from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS
from broker.cli.record_preview import (
    PreviewContext,
    RecordPreview,
    check_upload_records,
    preview_records,
)
from broker.redact import redact_error
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity
from mapping.package_file import read_package
from mapping.package_name import parse_stem
from mapping.report import LabReport
from mapping.rules import RuleContext, check_package
from mapping.upload_xml import read_upload

_UPLOADS = (Media.NHI_XML, Media.NHI_ZIP)


@dataclass(slots=True)
class FileCheck:
    """What a file holds. ``error`` is set when it, or the rest of it, could not be read;
    ``fault_place`` then says where in our code, if the fault is ours."""

    file: str
    kind: str = Media.UNKNOWN.value
    message: str = ""
    """The payload's own name for itself: ``ORU^R01``, ``Bundle/transaction``."""
    reports: list[LabReport] = field(default_factory=list)
    records: list[RecordPreview] = field(default_factory=list)
    visits: int = 0
    findings: list[Finding] = field(default_factory=list)
    error: LabbrokerError | None = None
    fault_place: str = ""

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings that ask for action, 2 unreadable."""
        if self.error is not None:
            return 2
        return int(any(each.severity is not Severity.INFORMATION for each in self.findings))


def check_file(
    name: str, load: Callable[[], bytes], context: PreviewContext, strict: bool = False
) -> FileCheck:
    """Everything about the file ``name`` whose bytes ``load`` gives. Whatever goes wrong becomes
    ``error``: a clear one of ours, or ``internal`` for a fault of the program."""
    result = FileCheck(name)
    try:
        _fill(result, load(), context, strict)
    except LabbrokerError as error:
        result.error = error
    except Exception as error:  # noqa: BLE001 - one bad file must not stop the others
        result.error = LabbrokerError()
        place = redact_error(error)
        result.fault_place = f"{place['error_class']} {place['where']}"
    return result


def _fill(result: FileCheck, raw: bytes, context: PreviewContext, strict: bool) -> None:
    media = identify(raw, PurePath(result.file).name)
    result.kind = media.value
    if media in _UPLOADS:
        _fill_upload(result, raw, media, context)
        return
    if strict and media is Media.HL7V2:
        # hl7apy takes a while to load and is needed for this alone.
        from adapters.hl7.conformance import conformance_findings

        result.findings += conformance_findings(raw)
    parsed = READERS[media](raw, context.profile)
    result.message = parsed.kind
    result.visits = len(parsed.visits)
    result.findings += parsed.findings
    for report in parsed.reports:
        result.reports.append(report)
        previews, findings = preview_records(report, context, len(result.records) + 1)
        result.records += previews
        result.findings += findings


def _fill_upload(result: FileCheck, raw: bytes, media: Media, context: PreviewContext) -> None:
    stem = PurePath(result.file).stem
    if media is Media.NHI_ZIP:
        stem, records = read_package(BytesIO(raw))
    else:
        records = read_upload(BytesIO(raw))
    rules = RuleContext(today=context.today, sealed=True)
    for preview, findings in check_upload_records(records, rules):
        result.records.append(preview)
        result.findings += findings
    found = [preview.record for preview in result.records]
    if found:
        result.findings += check_package(iter(found), _package_stem(stem, result), rules)


def _package_stem(stem: str, result: FileCheck) -> str:
    """The file's own name where it is a package name; a file for the web page may have any name
    (SPEC114 p. 2), then the name that its first record asks for."""
    try:
        parse_stem(stem)
    except ValueError:
        first = result.records[0].record
        return f"{first.value('h2')}{first.value('h16')[:7]}001"
    return stem
