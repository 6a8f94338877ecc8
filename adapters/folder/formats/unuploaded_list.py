"""NHI's list of cases not uploaded: a CSV, as downloaded in a ZIP that has a password.

Columns by their tags: A12 A13 A20 A21 A24 A17 A23 A18 A73 A77 A78 A91 and a mark of what is
incomplete (seed 000, sample of the list). The password is 院所代號_登入者ID.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter

import pyzipper

from adapters.folder.formats.cell_dates import read_moment
from adapters.folder.formats.csv_text import csv_rows, csv_text
from mapping.errors import UnreadablePayload
from mapping.finding import Finding
from mapping.unuploaded import UnuploadedRow

_LARGEST = 256 * 1024 * 1024
_NAME = re.compile(r"_([0-9A-Z]{10})_([0-9]{8})_([0-9]{8})")
_TAG = re.compile(r"[（(]\s*(A[0-9]{2})\s*[)）]")
_NEEDED = ("A12", "A17", "A23", "A18", "A73", "A77")
_OTHERS = ("A78", "INCOMPLETE")
_INCOMPLETE = "未完整上傳註記"
_ENCRYPTED = 0x1


class UnuploadedUnreadable(UnreadablePayload):
    code = "unuploaded-unreadable"
    en = (
        "The list of cases not uploaded cannot be read: {reason} (at {place}).",
        "Download it again from the VPN (未上傳案件日報表查詢作業); the CSV in the ZIP works too.",
    )
    zh = (
        "未上傳案件明細無法讀取：{reason_zh}（位置：{place}）。",
        "請由 VPN 未上傳案件日報表查詢作業重新下載；亦可直接指定 ZIP 內的 CSV。",
    )


class UnuploadedLocked(UnreadablePayload):
    code = "unuploaded-password"
    en = (
        "The ZIP of the list has a password that is not known here.",
        "It is 院所代號_登入者ID: name where it is kept with --password-from, or type it.",
    )
    zh = (
        "未上傳案件明細的 ZIP 有密碼，且目前無法取得。",
        "密碼為「院所代號_登入者ID」：請以 --password-from 指定存放處，或於提示時輸入。",
    )


@dataclass(frozen=True, slots=True)
class OpenedList:
    """``raw`` is the CSV. What the file's name says, or empty: institution and days of visits."""

    raw: bytes
    institution_code: str = ""
    from_on: date | None = None
    until_on: date | None = None


def open_unuploaded(raw: bytes, name: str, passwords: Sequence[str] = ()) -> OpenedList:
    """The CSV of a list, out of its ZIP where it is in one.

    Raises UnuploadedLocked where no password fits, or UnuploadedUnreadable.
    """
    if not raw.startswith(b"PK\x03\x04"):
        return _named(raw, name)
    try:
        with pyzipper.AESZipFile(io.BytesIO(raw)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) != 1 or entries[0].file_size > _LARGEST:
                raise _unreadable(
                    "its ZIP holds not exactly one file", "ZIP 內應僅有一個檔案", "ZIP"
                )
            entry = entries[0]
            name = name if _NAME.search(name) else entry.filename
            if not entry.flag_bits & _ENCRYPTED:
                return _named(archive.read(entry), name)
            for password in passwords:
                try:
                    return _named(archive.read(entry, pwd=password.encode()), name)
                except RuntimeError:
                    continue
                except (zlib.error, pyzipper.BadZipFile):
                    # One byte in 256 of a wrong password passes the first test of the old cipher.
                    continue
    except (pyzipper.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError):
        raise _unreadable("its ZIP is damaged", "ZIP 檔損毀", "ZIP") from None
    raise UnuploadedLocked


def read_unuploaded(raw: bytes, findings: list[Finding]) -> Iterator[UnuploadedRow]:
    """The rows, in order. A row that cannot be used goes to ``findings``.

    Raises TextUndecodable, CsvUnreadable or UnuploadedUnreadable.
    """
    text = csv_text(raw, "big5")
    clean = _plain if '="' in text or "'" in text else str.strip
    rows = csv_rows(text, ",")
    places = _places(next(rows, []))
    least = max(places.values()) + 1
    # Behind each row stands the empty cell that is read for a missing column.
    wanted = [places.get(tag, least) for tag in (*_NEEDED, *_OTHERS)]
    cells_of = itemgetter(*wanted)
    days: dict[str, date | None] = {}
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) < least:
            findings.append(Finding("unuploaded-short-row", "", f"row {number}"))
            continue
        row.insert(least, "")
        national_id, card_at, visit_type, serial, code, quantity, mark, incomplete = map(
            clean, cells_of(row)
        )
        if card_at not in days:
            days[card_at] = _day(card_at)
        card_on = days[card_at]
        if card_on is None or not national_id or not code:
            findings.append(Finding("unuploaded-bad-row", "", f"row {number}"))
            continue
        yield UnuploadedRow(
            national_id,
            card_on,
            card_at,
            visit_type,
            serial,
            code,
            quantity,
            mark,
            incomplete,
        )


def _named(raw: bytes, name: str) -> OpenedList:
    match = _NAME.search(name)
    if match is None:
        return OpenedList(raw)
    try:
        days = [datetime.strptime(text, "%Y%m%d").date() for text in match.groups()[1:]]  # noqa: DTZ007
    except ValueError:
        return OpenedList(raw, match.group(1))
    return OpenedList(raw, match.group(1), *days)


def _places(header: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for index, text in enumerate(header):
        if tag := _TAG.search(text):
            places[tag.group(1)] = index
        elif text.strip() in _NEEDED:
            places[text.strip()] = index
        elif text.strip().startswith(_INCOMPLETE):
            places["INCOMPLETE"] = index
    missing = [tag for tag in _NEEDED if tag not in places]
    if missing:
        names = ", ".join(missing)
        raise _unreadable(f"its header lacks {names}", f"標題列缺少 {names}", "row 1")
    return places


def _plain(cell: str) -> str:
    """A cell without what makes a spreadsheet keep digits as a text (``="0012"``, ``'0012``)."""
    text = cell.strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        text = text[2:-1]
    return text.lstrip("'").strip()


def _day(text: str) -> date | None:
    try:
        return read_moment(text).day
    except ValueError:
        return None


def _unreadable(reason: str, reason_zh: str, place: str) -> UnuploadedUnreadable:
    return UnuploadedUnreadable(reason=reason, reason_zh=reason_zh, place=place)
