"""Files that a person named after ``--visits``: what is in them, and what to say where it is not
visits."""

from __future__ import annotations

from pathlib import PurePath

from adapters.folder.formats.identify import identify, text_media
from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS
from broker.cli.local_file import read_file
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity
from mapping.parsed import ParsedPayload
from mapping.profile import SourceProfile
from mapping.visit import Visit

_RESULTS = ("laboratory results", "檢驗結果")
_NOTHING = ("nothing that is read here", "無可讀取的內容")


class NoVisits(LabbrokerError):
    code = "no-visits"
    en = (
        "{file} was named with --visits and holds no visits but {found}.",
        "Name the clinic's IC-card upload file (RECS), or a table of visits and orders, after "
        "--visits; result files stand without it.",
    )
    zh = (
        "{file} 以 --visits 指定，但其中沒有就醫資料，內容為 {found_zh}。",
        "請於 --visits 之後指定診所的健保卡上傳檔（RECS）或就醫與醫令表；結果檔不需加 --visits。",
    )


def no_visits(file: str, payload: ParsedPayload) -> NoVisits:
    """The error that says what ``file`` holds instead."""
    kind = payload.kind or payload.content.value
    found, found_zh = _NOTHING
    if payload.reports:
        count = len(payload.reports)
        found, found_zh = f"{count} report(s) of {_RESULTS[0]}", f"{count} 份{_RESULTS[1]}報告"
    return NoVisits(file=file, found=f"{found} ({kind})", found_zh=f"{found_zh}（{kind}）")


def no_visits_finding(error: NoVisits) -> Finding:
    """The same as a warning, where the results in the file are taken all the same."""
    about = tuple((name, str(value)) for name, value in error.parameters.items())
    return Finding("no-visits", severity=Severity.WARNING, parameters=about)


def read_visits(file: str, profile: SourceProfile) -> tuple[Visit, ...]:
    """The visits of an IC-card upload or a table. Raises :class:`NoVisits`, ``UnreadablePayload``
    and what the reader of the format raises."""
    raw = read_file(file)
    media = identify(raw, PurePath(file).name, text_media(profile))
    if media in (Media.NHI_XML, Media.NHI_ZIP, Media.CHECK_REPORT):
        raise NoVisits(
            file=file,
            found=f"an upload or report for NHI ({media.value})",
            found_zh=f"健保署上傳檔或檢核報告（{media.value}）",
        )
    payload = READERS[media](raw, profile)
    if not payload.visits:
        raise no_visits(file, payload)
    return payload.visits
