"""``labbroker check FILE…``: what files hold and what is wrong in them, with no service."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.ports.intake import Media
from broker.bootstrap.readers import READERS
from broker.cli.check_json import check_as_json
from broker.cli.check_text import check_as_text
from broker.cli.file_check import check_file
from broker.cli.record_preview import PreviewContext
from broker.config import load_settings
from mapping.errors import LabbrokerError, UnreadablePayload
from mapping.profile import Agreement, SourceProfile
from mapping.visit import Visit

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

LARGEST_FILE = 64 * 1024 * 1024


class NotAFile(UnreadablePayload):
    code = "not-a-file"
    en = ("{place} is {what}, not a file.", "{remedy_en}")
    zh = ("{place} 是{what_zh}，不是檔案。", "{remedy_zh}")


class FileNotReadable(UnreadablePayload):
    code = "file-not-readable"
    en = ("{place} cannot be opened ({reason}).", "Check the name and your right to read it.")
    zh = ("無法開啟 {place}（{reason}）。", "請確認檔名與讀取權限。")


class FileTooLarge(UnreadablePayload):
    code = "file-too-large"
    en = (
        "{place} is larger than {limit} MiB.",
        "A payload of that size is none: split the file, or check that it is the right one.",
    )
    zh = ("{place} 超過 {limit} MiB。", "請分割檔案，或確認是否為正確的檔案。")


class NoSuchSource(LabbrokerError):
    code = "no-such-source"
    en = ("There is no source {source} in the settings.", "The settings know: {known}.")
    zh = ("設定中沒有來源 {source}。", "設定中的來源：{known}。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "check",
        description="Say what files are, which results they hold, which NHI records would come "
        "of them, and everything that is wrong. Exit code 0 clean, 1 findings, 2 unreadable.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="files to check; - reads stdin")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    parser.add_argument("--recursive", action="store_true", help="go into folders")
    parser.add_argument("--strict", action="store_true", help="also check HL7 v2 conformance")
    parser.add_argument("--visits", type=Path, help="IC-card upload file with the visits")
    parser.add_argument("--config", type=Path, help="settings file: agreements and code tables")
    parser.add_argument("--source", default="", help="which source of the settings sent the files")


def run(arguments: argparse.Namespace) -> int:
    """The worst of the files' exit codes."""
    context = _context(arguments)
    code = 0
    for name in _expanded(arguments.files, arguments.recursive):
        result = check_file(name, partial(_read, name), context, arguments.strict)
        show = check_as_json(result, arguments.language) + "\n" if arguments.json else ""
        sys.stdout.write(show or check_as_text(result, arguments.language))
        code = max(code, result.exit_code)
    return code


def _context(arguments: argparse.Namespace) -> PreviewContext:
    profile, agreements = SourceProfile(source_id="check"), tuple[Agreement, ...]()
    visits: tuple[Visit, ...] = ()
    if arguments.config is not None:
        settings = load_settings(arguments.config, os.environ)
        profiles, agreements = settings.profiles, settings.agreements
        if arguments.source or len(profiles) == 1:
            wanted = arguments.source or next(iter(profiles))
            if wanted not in profiles:
                raise NoSuchSource(source=wanted, known=", ".join(profiles))
            profile = profiles[wanted]
    if arguments.visits is not None:
        raw = _read(str(arguments.visits))
        visits = READERS[Media.IC_CARD_XML](raw, profile).visits
    return PreviewContext(profile, agreements, visits)


def _expanded(names: list[str], recursive: bool) -> Iterator[str]:
    for name in names:
        if not (recursive and os.path.isdir(name)):
            yield name
            continue
        for folder, folders, files in os.walk(name):
            folders.sort()
            yield from (os.path.join(folder, file) for file in sorted(files))


def _read(name: str) -> bytes:
    """The file's bytes. Opening never blocks on a pipe; raises UnreadablePayload."""
    if name == "-":
        raw = sys.stdin.buffer.read(LARGEST_FILE + 1)
    else:
        try:
            mode = os.stat(name).st_mode
            if stat.S_ISDIR(mode):
                raise NotAFile(
                    place=name,
                    what="a folder",
                    what_zh="資料夾",
                    remedy_en="Name its files, or give --recursive.",
                    remedy_zh="請指定檔案，或加上 --recursive。",
                )
            if not stat.S_ISREG(mode):
                raise NotAFile(
                    place=name,
                    what="a device or pipe",
                    what_zh="裝置或管線",
                    remedy_en="Save its content to a file first.",
                    remedy_zh="請先將內容存成檔案。",
                )
            with open(name, "rb") as file:
                raw = file.read(LARGEST_FILE + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise FileNotReadable(place=name, reason=reason) from None
    if len(raw) > LARGEST_FILE:
        raise FileTooLarge(place=name, limit=LARGEST_FILE // 1024 // 1024)
    return raw
