"""One file, from its bytes to everything that can be said about it. Never raises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePath
from typing import BinaryIO

from adapters.folder.formats.archive import archive_members
from adapters.folder.formats.identify import identify, text_media
from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS
from broker.cli.local_file import read_rest
from broker.cli.record_preview import PreviewContext, RecordPreview, preview_records
from broker.cli.upload_check import check_upload
from broker.redact import redact_error
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity
from mapping.report import LabReport
from mapping.rules import unchecked_codes
from mapping.rules.unchecked import NOT_RUN

_UPLOADS = (Media.NHI_XML, Media.NHI_ZIP)
_HEAD_BYTES = 1 << 16


@dataclass(slots=True)
class FileCheck:
    """What a file holds. ``error`` is set when it, or the rest of it, could not be read;
    ``fault_place`` then says where in our code, if the fault is ours.

    All records and findings are counted; of a finished upload, which may be long, only the first
    ``limit`` are kept. ``tell`` is called with each finding as it is found.
    """

    file: str
    kind: str = Media.UNKNOWN.value
    message: str = ""
    """The payload's own name for itself: ``ORU^R01``, ``Bundle/transaction``, ``monthly``."""
    reports: list[LabReport] = field(default_factory=list)
    records: list[RecordPreview] = field(default_factory=list)
    record_count: int = 0
    visits: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[tuple[Severity, str, str]] = field(default_factory=Counter)
    """Findings by severity, code and field."""
    limit: int | None = None
    tell: Callable[[Finding], None] | None = None
    unchecked: list[Finding] = field(default_factory=list)
    """Those of the findings that say which code needs a list that is not there; all of them."""
    error: LabbrokerError | None = None
    fault_place: str = ""

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings that ask for action, 2 unreadable."""
        if self.error is not None:
            return 2
        return int(any(severity is not Severity.INFORMATION for severity, _, _ in self.counts))

    def add_findings(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.counts[finding.severity, finding.code, finding.field] += 1
            if finding.code == NOT_RUN and finding not in self.unchecked:
                self.unchecked.append(finding)
            if self.limit is None or len(self.findings) < self.limit:
                self.findings.append(finding)
            if self.tell is not None:
                self.tell(finding)

    @property
    def keeps_records(self) -> bool:
        return self.limit is None or len(self.records) < self.limit

    def add_records(self, previews: Iterable[RecordPreview]) -> None:
        for preview in previews:
            self.record_count += 1
            if self.keeps_records:
                self.records.append(preview)


def check_file(
    name: str,
    load: Callable[[], bytes | BinaryIO],
    context: PreviewContext,
    strict: bool = False,
    limit: int | None = None,
    tell: Callable[[Finding], None] | None = None,
) -> FileCheck:
    """Everything about the file ``name`` whose bytes, or an open stream that is closed here,
    ``load`` gives. Whatever goes wrong becomes ``error``: a clear one of ours, or ``internal``
    for a fault of the program."""
    result = FileCheck(name, tell=tell)
    try:
        loaded = load()
        if isinstance(loaded, bytes):
            _fill(result, loaded, context, strict, limit)
        else:
            with loaded:
                _fill_from_stream(result, loaded, context, strict, limit)
    except LabbrokerError as error:
        result.error = error
    except Exception as error:  # noqa: BLE001 - one bad file must not stop the others
        result.error = LabbrokerError()
        place = redact_error(error)
        result.fault_place = f"{place['error_class']} {place['where']}"
    return result


def _fill_from_stream(
    result: FileCheck, stream: BinaryIO, context: PreviewContext, strict: bool, limit: int | None
) -> None:
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    media = identify(head, PurePath(result.file).name, text_media(context.profile))
    if media is not Media.NHI_XML:
        _fill(result, read_rest(stream, result.file), context, strict, limit)
        return
    result.kind, result.limit = media.value, limit
    check_upload(stream, media, context.today, result, context.lists, context.packages)


def _fill(
    result: FileCheck, raw: bytes, context: PreviewContext, strict: bool, limit: int | None
) -> None:
    media = identify(raw, PurePath(result.file).name, text_media(context.profile))
    result.kind = media.value
    if media in _UPLOADS:
        result.limit = limit
        check_upload(BytesIO(raw), media, context.today, result, context.lists, context.packages)
        return
    if media is Media.ZIP and _check_uploads_inside(result, raw, context, limit):
        return
    if strict and media is Media.HL7V2:
        # hl7apy takes a while to load and is needed for this alone.
        from adapters.hl7.conformance import conformance_findings

        result.add_findings(conformance_findings(raw))
    parsed = READERS[media](raw, context.profile)
    result.message = parsed.kind
    result.visits = len(parsed.visits)
    result.add_findings(parsed.findings)
    for report in parsed.reports:
        result.reports.append(report)
        previews, findings = preview_records(report, context, result.record_count + 1)
        result.add_records(previews)
        result.add_findings(findings)
    if parsed.reports:
        result.add_findings(unchecked_codes(context.lists.context(context.today)))


def _check_uploads_inside(
    result: FileCheck, raw: bytes, context: PreviewContext, limit: int | None
) -> bool:
    """Upload files that share a ZIP, each checked as it stands; False where there are none."""
    members = archive_members(raw, text_media(context.profile))
    uploads = [member for member in members if member.media is Media.NHI_XML]
    if not uploads:
        return False
    counts = (("uploads", str(len(uploads))), ("files", str(len(members))))
    result.limit = limit
    result.add_findings([Finding("nhi-zip-several", parameters=counts)])
    for member in uploads:
        check_upload(
            BytesIO(member.raw),
            member.media,
            context.today,
            result,
            context.lists,
            context.packages,
        )
    return True
