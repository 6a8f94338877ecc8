"""``labbroker check FILE…``: what files hold and what is wrong in them, with no service."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from broker.bootstrap.lists import required_lists
from broker.cli.check_json import check_as_json, finding_as_json, summary_as_json
from broker.cli.check_text import check_as_text
from broker.cli.decided_codes import add_data_option, with_decided_codes
from broker.cli.file_check import check_file
from broker.cli.local_file import open_file
from broker.cli.record_preview import PreviewContext
from broker.cli.source_choice import source_profile
from broker.cli.visit_files import read_visits
from broker.config import load_settings
from mapping.errors import Language
from mapping.finding import Finding
from mapping.profile import Agreement, SourceProfile
from mapping.rules import NO_LISTS
from mapping.visit import Visit

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_TEXT_LIMIT = 50
_JSON_LIMIT = 1000


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "check",
        description="Say what files are, which results they hold, which NHI records would come "
        "of them, and everything that is wrong. Exit code 0 clean, 1 findings, 2 unreadable.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="files to check; - reads stdin")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    shape.add_argument(
        "--jsonl", action="store_true", help="one JSON object a line for each finding, as found"
    )
    parser.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="of an NHI upload show the first N records and findings "
        f"({_TEXT_LIMIT}, with --json {_JSON_LIMIT}); all are counted",
    )
    parser.add_argument("--recursive", action="store_true", help="go into folders")
    parser.add_argument("--strict", action="store_true", help="also check HL7 v2 conformance")
    parser.add_argument(
        "--visits", type=Path, help="IC-card upload file, or table, with the visits"
    )
    parser.add_argument("--config", type=Path, help="settings file: agreements, code tables, lists")
    parser.add_argument("--source", default="", help="which source of the settings sent the files")
    add_data_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """The worst of the files' exit codes."""
    context = _context(arguments)
    language: Language = arguments.language
    limit = arguments.limit
    if limit is None:
        limit = _JSON_LIMIT if arguments.json else 0 if arguments.jsonl else _TEXT_LIMIT
    code = 0
    for name in _expanded(arguments.files, arguments.recursive):
        tell = partial(_write_finding, name, language) if arguments.jsonl else None
        load = partial(open_file, name)
        result = check_file(name, load, context, arguments.strict, limit, tell)
        if arguments.json:
            sys.stdout.write(check_as_json(result, language) + "\n")
        elif arguments.jsonl:
            sys.stdout.write(summary_as_json(result, language) + "\n")
        else:
            sys.stdout.write(check_as_text(result, language))
        code = max(code, result.exit_code)
    return code


def _write_finding(name: str, language: Language, finding: Finding) -> None:
    sys.stdout.write(finding_as_json(name, finding, language) + "\n")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError("a number of 0 or more")
    return int(text)


def _context(arguments: argparse.Namespace) -> PreviewContext:
    profile, agreements = SourceProfile(source_id="check"), tuple[Agreement, ...]()
    visits: tuple[Visit, ...] = ()
    lists = NO_LISTS
    if arguments.config is not None or arguments.data is not None:
        settings = load_settings(arguments.config, os.environ)
        profile, agreements = source_profile(settings, arguments.source), settings.agreements
        profile = with_decided_codes(profile, settings, arguments.data)
        lists = required_lists(settings.lists).lists
    if arguments.visits is not None:
        visits = read_visits(str(arguments.visits), profile)
    return PreviewContext(profile, agreements, visits, lists=lists)


def _expanded(names: list[str], recursive: bool) -> Iterator[str]:
    for name in names:
        if not (recursive and os.path.isdir(name)):
            yield name
            continue
        for folder, folders, files in os.walk(name):
            folders.sort()
            yield from (os.path.join(folder, file) for file in sorted(files))
