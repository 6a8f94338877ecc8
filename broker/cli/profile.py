"""``labbroker profile suggest FILE`` and ``labbroker profile try PROFILE FILE``: connect a
laboratory's result files by data."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from adapters.folder.formats.identify import identify, text_media
from adapters.folder.profile_proposal import Proposal, propose_profile
from broker.bootstrap.readers import READERS
from broker.cli.local_file import read_file
from broker.config.profile_file import read_file_profile
from mapping.errors import LabbrokerError, Language
from mapping.file_profile import FileProfile
from mapping.file_profile_toml import file_profile_toml, parse_file_profile
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI, Moment, Precision
from mapping.parsed import ParsedPayload
from mapping.profile import SourceProfile
from mapping.report import LabReport, Observation

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_ROWS = 5
_FINDINGS = 20


class ProfileExists(LabbrokerError):
    code = "profile-exists"
    en = ("{file} is there already.", "Name another file with --out, or remove this one first.")
    zh = ("{file} 已存在。", "請以 --out 指定其他檔名，或先移除該檔。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "profile", description="Describe the layout of a laboratory's result files."
    )
    inner = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    suggest = inner.add_parser(
        "suggest",
        description="Propose a profile from a sample, show how its last rows would read and what "
        "is not sure. Exit code 0: nothing to ask, 1: look at the doubts, 2: no table.",
    )
    suggest.add_argument("file", metavar="FILE")
    suggest.add_argument("--out", type=Path, metavar="PROFILE", help="write the profile here")
    attempt = inner.add_parser(
        "try",
        description="Read a file by a profile and say what is wrong. Exit code 0: all rows are "
        "read, 1: findings, 2: it cannot be read.",
    )
    attempt.add_argument("profile", metavar="PROFILE", type=Path)
    attempt.add_argument("file", metavar="FILE")
    for each in (suggest, attempt):
        each.add_argument("--rows", type=int, default=_ROWS, metavar="N", help="last rows to show")
        each.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 all is clear, 1 a person should look, 2 (as an error) nothing can be read."""
    if arguments.action == "suggest":
        return _suggest(arguments)
    raw = read_file(arguments.file)
    parsed = _read(raw, arguments.file, read_file_profile(arguments.profile))
    _write(arguments, {"read": _told(parsed, arguments)}, _reading(parsed, arguments))
    return int(_is_wrong(parsed))


def _suggest(arguments: argparse.Namespace) -> int:
    zh = arguments.language == "zh"
    raw = read_file(arguments.file)
    today = datetime.now(UTC).astimezone(TAIPEI).date()
    proposal = propose_profile(raw, PurePath(arguments.file).name, today)
    text = _document(proposal, zh)
    if arguments.out is not None:
        try:
            with arguments.out.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise ProfileExists(file=arguments.out) from None
    plain: dict[str, Any] = {
        "profile": text,
        "doubts": {key: doubt.text(arguments.language) for key, doubt in proposal.doubts.items()},
        "missing": list(proposal.missing),
    }
    lines = [] if arguments.out is not None else [text]
    lines += [_doubts(proposal, zh)]
    wrong = bool(proposal.doubts or proposal.missing)
    try:
        # As it will be read: a profile that a person must complete first cannot be tried.
        layout = parse_file_profile(_parsed(text))
        parsed = _read(raw, arguments.file, layout)
    except LabbrokerError as error:
        plain["read"] = None
        wrong = True
        lines.append(f"{error.sentence(arguments.language)}\n{error.remedy(arguments.language)}\n")
    else:
        plain["read"] = _told(parsed, arguments)
        lines.append(_reading(parsed, arguments))
        wrong = wrong or _is_wrong(parsed)
    _write(arguments, plain, "\n".join(line for line in lines if line))
    return int(wrong)


def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _document(proposal: Proposal, zh: bool) -> str:
    title = (
        "# 檢驗所結果檔的欄位設定，由樣本推測：請核對有註解的各行。"
        if zh
        else "# How a laboratory lays out its result files, proposed from a sample.\n"
        "# Look at the lines with remarks; then name this file as file_profile of its [[source]]."
    )
    language: Language = "zh" if zh else "en"
    notes = {key: doubt.text(language) for key, doubt in proposal.doubts.items()}
    return f"{title}\n\n{file_profile_toml(proposal.profile, notes)}"


def _doubts(proposal: Proposal, zh: bool) -> str:
    lines = []
    if proposal.doubts:
        lines.append("請核對：" if zh else "Not sure, please look:")
        lines += [
            f"  {key}: {doubt.text('zh' if zh else 'en')}" for key, doubt in proposal.doubts.items()
        ]
    if proposal.missing:
        lines.append("未找到：" if zh else "Not found:")
        lines += [f"  {name}" for name in proposal.missing]
    return "\n".join([*lines, ""]) if lines else ""


def _read(raw: bytes, name: str, layout: FileProfile) -> ParsedPayload:
    source = SourceProfile("profile", file=layout)
    return READERS[identify(raw, PurePath(name).name, text_media(source))](raw, source)


def _is_wrong(parsed: ParsedPayload) -> bool:
    bad = any(finding.severity is not Severity.INFORMATION for finding in parsed.findings)
    return bad or not parsed.reports


def _lines(parsed: ParsedPayload) -> list[tuple[LabReport, Observation]]:
    return [(report, line) for report in parsed.reports for line in report.observations]


def _told(parsed: ParsedPayload, arguments: argparse.Namespace) -> dict[str, Any]:
    lines = _lines(parsed)
    return {
        "reports": len(parsed.reports),
        "results": len(lines),
        "rows": [dict(_row(*each)) for each in lines[-arguments.rows :]],
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity.value,
                "place": finding.place,
                "message": finding.message(arguments.language),
                "count": count,
            }
            for finding, count in _grouped(parsed.findings)
        ],
    }


def _grouped(findings: tuple[Finding, ...]) -> list[tuple[Finding, int]]:
    """The first of each code, with how many there are."""
    counts = Counter(finding.code for finding in findings)
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.code, finding)
    return [(finding, counts[code]) for code, finding in first.items()][:_FINDINGS]


def _reading(parsed: ParsedPayload, arguments: argparse.Namespace) -> str:
    language: Language = arguments.language
    zh = language == "zh"
    lines = _lines(parsed)
    told = [
        f"{len(parsed.reports)} 份報告、{len(lines)} 項結果"
        if zh
        else f"{len(parsed.reports)} report(s), {len(lines)} result(s)"
    ]
    if lines:
        told.append("最後幾列讀為：" if zh else "The last rows read as:")
    for report, line in lines[-arguments.rows :]:
        row = _row(report, line)
        told.append(f"  {line.place}")
        told += [f"    {name} = {value}" for name, value in row if value]
    for finding, count in _grouped(parsed.findings):
        many = f" (x{count})" if count > 1 else ""
        told.append(f"[{finding.code}]{many} {finding.message(language)}")
        told.append(f"  {finding.remedy(language)}")
    return "\n".join(told) + "\n"


def _row(report: LabReport, line: Observation) -> list[tuple[str, str]]:
    """One result as the profile reads it; the person is shown in part only."""
    coding = line.codings[0] if line.codings else None
    return [
        ("national_id", _masked(report.patient.national_id)),
        ("birth_on", str(report.patient.birth_on or "")[:4]),
        ("sex", report.patient.sex),
        ("clinic_code", report.clinic_code),
        ("placer_order_number", report.placer_order_number),
        ("accession_number", report.accession_number),
        ("order_code", report.service[0].code if report.service else ""),
        ("item_code", coding.code if coding else ""),
        ("item_name", coding.display if coding else ""),
        ("value", line.value),
        ("unit", line.unit),
        ("reference", _reference(line)),
        ("flag", " ".join(line.abnormal_flags)),
        ("status", line.status.value),
        ("method", line.method),
        ("specimen", report.specimen.kind),
        ("collected_at", _time(report.specimen.collected_at)),
        ("received_at", _time(report.specimen.received_at)),
        ("reported_at", _time(report.reported_at)),
    ]


def _reference(line: Observation) -> str:
    bounds = line.reference
    if bounds.low or bounds.high:
        return f"{bounds.low} … {bounds.high}"
    return bounds.text


def _time(moment: Moment | None) -> str:
    if moment is None:
        return ""
    form = {Precision.DAY: "%Y-%m-%d", Precision.MINUTE: "%Y-%m-%d %H:%M"}
    return moment.taipei.strftime(form.get(moment.precision, "%Y-%m-%d %H:%M:%S"))


def _masked(national_id: str) -> str:
    return f"{national_id[:3]}****{national_id[-3:]}" if national_id else ""


def _write(arguments: argparse.Namespace, plain: dict[str, Any], text: str) -> None:
    shown = json.dumps(plain, ensure_ascii=False) + "\n" if arguments.json else text
    sys.stdout.write(shown)
