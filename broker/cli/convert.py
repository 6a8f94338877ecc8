"""``labbroker convert FILE… --visits FILE… --config FILE --out DIR``: packages from a
laboratory's own files, with no service and no credential. Nothing is sent."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from adapters.folder.formats.identify import identify, text_media
from adapters.ports.intake import Media
from broker.bootstrap.lists import required_lists
from broker.bootstrap.readers import READERS
from broker.cli.check_text import KINDS
from broker.cli.convert_report import ConversionReport, report_as_json, report_as_text
from broker.cli.decided_codes import add_data_option, with_decided_codes
from broker.cli.local_file import read_file
from broker.cli.source_choice import source_profile
from broker.cli.visit_files import no_visits, no_visits_finding
from broker.config import Settings, load_settings
from broker.drafting import Drafting
from broker.pipeline import WITHHOLDS
from broker.redact import redact_error
from broker.system_reason import system_reason
from broker.trial_packages import TrialResult, VisitIndex, seal_into
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.rules import unchecked_codes

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


class FolderUnusable(LabbrokerError):
    code = "folder-unusable"
    en = ("Packages cannot be written to {folder}: {reason}.", "Name a folder that you may write.")
    zh = ("無法將上傳檔寫入 {folder}：{reason_zh}。", "請指定可寫入的資料夾。")


def folder_unusable(folder: Path, error: OSError) -> FolderUnusable:
    reason, reason_zh = system_reason(error)
    return FolderUnusable(folder=folder, reason=reason, reason_zh=reason_zh)


class _NothingToConvert(LabbrokerError):
    code = "nothing-to-convert"
    en = ("This is: {content}. It holds no {missing}.", "{remedy_en}")
    zh = ("檔案為{content_zh}，其中沒有{missing_zh}。", "{remedy_zh}")


_WANTED = {"results": ("laboratory results", "檢驗結果"), "visits": ("visits", "就醫資料")}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "convert",
        description="Make upload packages from result files and the clinic's card data, to try "
        "your own files out. Needs no service and sends nothing. Exit code 0: every result is in "
        "a package, 1: some are held, 2: a file is unreadable.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="result files of any known format")
    parser.add_argument(
        "--visits",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="IC-card upload files, or tables, with the visits",
    )
    parser.add_argument("--config", type=Path, help="settings file: agreements, code tables, lists")
    parser.add_argument("--source", default="", help="which source of the settings sent the files")
    add_data_option(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 all packed, 1 some held, 2 a file could not be read (the others are packed)."""
    settings = load_settings(arguments.config, os.environ)
    profile = source_profile(settings, arguments.source, needed=True)
    profile = with_decided_codes(profile, settings, arguments.data)
    now = datetime.now(UTC)
    lists = required_lists(settings.lists).lists
    unchecked = unchecked_codes(lists.context(now.astimezone(TAIPEI).date()))
    report = ConversionReport(arguments.out, unchecked=unchecked)
    told = _read_all(arguments.visits, profile, report, "visits")
    for name, payload in told:
        if not payload.visits:
            warning = no_visits_finding(no_visits(name, payload))
            report.notes.append((name, warning))
    known = {name for name, _ in told}
    rest = [name for name in arguments.files if name not in known]
    payloads = told + _read_all(rest, profile, report)
    visits = VisitIndex()
    for _, payload in payloads:
        visits.add(payload.visits)
    report.visits = len(visits)
    drafting = Drafting(settings.agreements, _uploaders(settings), lists)
    results = [
        TrialResult(name, draft)
        for name, payload in payloads
        for draft in drafting.drafts(
            payload.reports, profile, now, visits.visits_of, _withheld(payload), payload.findings
        )
    ]
    try:
        arguments.out.mkdir(parents=True, exist_ok=True, mode=0o700)
        report.packages, report.held = seal_into(
            arguments.out,
            results,
            now,
            settings.schedule.max_records_per_package,
            settings.schedule.max_package_bytes,
            lists,
        )
    except OSError as error:
        raise folder_unusable(arguments.out, error) from None
    show = report_as_json if arguments.json else report_as_text
    sys.stdout.write(show(report, arguments.language))
    return report.exit_code


def _read_all(
    names: list[str], profile: SourceProfile, report: ConversionReport, wanted: str = "results"
) -> list[tuple[str, ParsedPayload]]:
    """What could be read; what could not is told in ``report`` and stops nothing else."""
    payloads = []
    for name in names:
        try:
            payload = _read(name, profile, wanted)
        except LabbrokerError as error:
            report.unreadable.append((name, error, ""))
        except Exception as error:  # noqa: BLE001 - one bad file must not stop the others
            place = redact_error(error)
            where = f"{place['error_class']} {place['where']}"
            report.unreadable.append((name, LabbrokerError(), where))
        else:
            payloads.append((name, payload))
            report.notes += ((name, finding) for finding in payload.findings)
    return payloads


def _read(name: str, profile: SourceProfile, wanted: str) -> ParsedPayload:
    raw = read_file(name)
    media = identify(raw, PurePath(name).name, text_media(profile))
    payload = READERS[media](raw, profile)
    if payload.content not in (Content.REPORTS, Content.VISITS):
        is_upload = media in (Media.NHI_XML, Media.NHI_ZIP)
        kind, kind_zh = KINDS.get(media.value, (media.value, media.value))
        missing, missing_zh = _WANTED[wanted]
        raise _NothingToConvert(
            content=kind,
            content_zh=kind_zh,
            missing=missing,
            missing_zh=missing_zh,
            remedy_en="It is an upload file already: `labbroker check` says what is in it."
            if is_upload
            else "Name files with results; `labbroker check` says what a file is.",
            remedy_zh="此為已完成的上傳檔，請以 `labbroker check` 檢視。"
            if is_upload
            else "請指定檢驗結果檔；`labbroker check` 可辨識檔案內容。",
        )
    return payload


def _uploaders(settings: Settings) -> frozenset[str]:
    """Those of the settings; where none are set, both sides of every agreement."""
    if settings.institutions:
        return frozenset(institution.code for institution in settings.institutions)
    return frozenset(
        code
        for agreement in settings.agreements
        for code in (agreement.clinic_code, agreement.lab_code)
    )


def _withheld(payload: ParsedPayload) -> tuple[Finding, ...]:
    return tuple(
        Finding(each.code, each.field, each.place, each.value, Severity.ERROR, each.parameters)
        for each in payload.findings
        if each.code in WITHHOLDS
    )
