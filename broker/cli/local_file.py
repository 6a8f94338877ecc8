"""Files that a person named on the command line, opened with care."""

from __future__ import annotations

import os
import stat
import sys
from typing import BinaryIO

from broker.system_reason import system_reason
from mapping.errors import UnreadablePayload

LARGEST_FILE = 64 * 1024 * 1024
_HEAD_BYTES = 4096
_RECURSIVE = (", or give --recursive", "，或加上 --recursive")


class NotAFile(UnreadablePayload):
    code = "not-a-file"
    en = ("{place} is {what}, not a file.", "{remedy_en}")
    zh = ("{place} 是{what_zh}，不是檔案。", "{remedy_zh}")


class FileNotReadable(UnreadablePayload):
    code = "file-not-readable"
    en = ("{place} cannot be opened: {reason}.", "Check the name and your right to read it.")
    zh = ("無法開啟 {place}：{reason_zh}。", "請確認檔名與讀取權限。")


class FileEmpty(UnreadablePayload):
    code = "file-empty"
    en = ("{place} is empty.", "Export or copy the file again; look whether the disk was full.")
    zh = ("{place} 是空檔案。", "請重新匯出或複製檔案，並確認磁碟空間足夠。")


class FileTooLarge(UnreadablePayload):
    code = "file-too-large"
    en = (
        "{place} is larger than {limit} MiB.",
        "A payload of that size is none: split the file, or check that it is the right one.",
    )
    zh = ("{place} 超過 {limit} MiB。", "請分割檔案，或確認是否為正確的檔案。")


def read_file(name: str, recursive: bool = False) -> bytes:
    """The bytes of a file, at most ``LARGEST_FILE``; ``-`` reads standard input. Opening never
    blocks on a pipe. ``recursive``: the command has that option. Raises UnreadablePayload."""
    if name == "-":
        return read_rest(sys.stdin.buffer, name)
    try:
        with _open(name, recursive) as file:
            return read_rest(file, name)
    except OSError as error:
        raise _not_readable(name, error) from None


def read_rest(file: BinaryIO, name: str) -> bytes:
    """What is left of an open file. Raises FileTooLarge or FileEmpty."""
    raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise FileTooLarge(place=name, limit=LARGEST_FILE // 1024 // 1024)
    if not raw.strip():
        raise FileEmpty(place=name)
    return raw


def open_file(name: str) -> bytes | BinaryIO:
    """Like :func:`read_file` of a command that goes into folders; a file that begins as an NHI
    upload XML is opened to be streamed, and may be larger."""
    if name == "-":
        return read_file(name)
    file = _open(name, recursive=True)
    try:
        head = file.read(_HEAD_BYTES)
        if b"<patient>" in head:
            file.seek(0)
            return file
    except OSError as error:
        file.close()
        raise _not_readable(name, error) from None
    file.close()
    return read_file(name, recursive=True)


def _open(name: str, recursive: bool) -> BinaryIO:
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            option_en, option_zh = _RECURSIVE if recursive else ("", "")
            raise NotAFile(
                place=name,
                what="a folder",
                what_zh="資料夾",
                remedy_en=f"Name its files{option_en}.",
                remedy_zh=f"請指定其中的檔案{option_zh}。",
            )
        if not stat.S_ISREG(mode):
            raise NotAFile(
                place=name,
                what="a device or pipe",
                what_zh="裝置或管線",
                remedy_en="Save its content to a file first.",
                remedy_zh="請先將內容存成檔案。",
            )
        return open(name, "rb")
    except (OSError, ValueError) as error:
        raise _not_readable(name, error) from None


def _not_readable(name: str, error: Exception) -> FileNotReadable:
    reason, reason_zh = system_reason(error)
    return FileNotReadable(place=name, reason=reason, reason_zh=reason_zh)
