"""What ``labbroker doctor`` looks at on the machine: interpreter, store library, disk, clock."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from broker.cli.outcome import Outcome, fail, ok, warn
from broker.system_reason import system_reason

# WAL-reset corruption: sqlite.org/wal.html#walresetbug.
_SQLITE_BAD_FROM = (3, 7, 0)
_SQLITE_FIXED = (3, 51, 3)
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ceph", "9p", "fuse.sshfs"}
)
_GIB = 1024**3
_CLOCK_SLACK_SECONDS = 120


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Outcome:
    shown = ".".join(map(str, version))
    if version < (3, 11):
        return fail(
            "python",
            (f"Python {shown} is too old.", f"Python {shown} 版本過舊。"),
            ("Install Python 3.11 or newer.", "請安裝 Python 3.11 以上版本。"),
        )
    return ok("python", (f"Python {shown}.", f"Python {shown}。"))


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Outcome:
    shown = ".".join(map(str, version))
    if _SQLITE_BAD_FROM <= version < _SQLITE_FIXED:
        return warn(
            "sqlite",
            (
                f"SQLite {shown} can corrupt a store that two processes write at once "
                "(fixed in 3.51.3); labbroker writes with one connection alone.",
                f"SQLite {shown} 若由兩個程式同時寫入可能損毀資料庫（3.51.3 已修正）；"
                "labbroker 僅以單一連線寫入。",
            ),
            (
                "Open the store with no other program while the service runs; "
                "take a newer Python or SQLite when you can.",
                "服務執行期間請勿以其他程式開啟資料庫；可行時請更新 Python 或 SQLite。",
            ),
        )
    return ok("sqlite", (f"SQLite {shown}.", f"SQLite {shown}。"))


def check_data_folder(folder: Path, mounts: str | None = None) -> Outcome:
    """Writable and on a local disk. ``mounts`` is the text of ``/proc/mounts``."""
    nearest = _nearest_existing(folder)
    kind = _file_system(nearest.resolve(), _mounts() if mounts is None else mounts)
    if kind in _NETWORK_FILE_SYSTEMS:
        return fail(
            "data folder",
            (
                f"{folder} is on a network file system ({kind}), where locks and syncs may lie.",
                f"{folder} 位於網路檔案系統（{kind}），鎖定與同步寫入不可靠。",
            ),
            ("Set data_dir to a local disk.", "請將 data_dir 設為本機磁碟。"),
        )
    try:
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        said, said_zh = system_reason(error)
        return fail(
            "data folder",
            (
                f"{nearest} cannot be written ({said}).",
                f"無法寫入 {nearest}（{said_zh}）。",
            ),
            (
                "Give the service's user the right to write there, or set another data_dir.",
                "請授予服務帳號寫入權限，或改設 data_dir。",
            ),
        )
    if nearest != folder:
        return ok("data folder", (f"{folder} will be created.", f"將建立 {folder}。"))
    return ok("data folder", (f"{folder} can be written.", f"{folder} 可寫入。"))


def check_disk(folder: Path, usage: tuple[int, int] | None = None) -> Outcome:
    """``usage`` is (total, free) in bytes."""
    if usage is None:
        measured = shutil.disk_usage(_nearest_existing(folder))
        usage = (measured.total, measured.free)
    total, free = usage
    said = (
        f"{free / _GIB:.1f} GiB free, {100 * free // max(total, 1)} %.",
        f"剩餘 {free / _GIB:.1f} GiB（{100 * free // max(total, 1)}%）。",
    )
    then = (
        "Free space: without it results are refused, not lost.",
        "請釋出空間：空間不足時將拒收（不會遺失）檢驗結果。",
    )
    if free < min(total // 20, 2 * _GIB):
        return fail("disk", said, then)
    if free < min(total // 5, 10 * _GIB):
        return warn("disk", said, then)
    return ok("disk", said)


def check_clock(folder: Path, now: float | None = None) -> Outcome:
    """The clock cannot be before this program was made, nor before files that it wrote."""
    now = time.time() if now is None else now
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    then = (
        "Set the clock and keep it by NTP: due times and upload dates follow it.",
        "請校正時鐘並啟用 NTP：時限與上傳日期均依此計算。",
    )
    newest = _newest(folder)
    if now < Path(__file__).stat().st_mtime - 86400 or now < newest - _CLOCK_SLACK_SECONDS:
        return fail(
            "clock", (f"The clock has gone back ({shown}).", f"時鐘倒退（{shown}）。"), then
        )
    if datetime.fromtimestamp(now, UTC).year >= 2100:
        return fail("clock", (f"The clock is far off ({shown}).", f"時鐘有誤（{shown}）。"), then)
    return ok("clock", (f"{shown}.", f"{shown}。"))


PCSCD = Path("/run/pcscd/pcscd.comm")
"""Where pcscd listens on Linux."""


def check_card_parts(in_use: bool) -> Outcome:
    """Card readers are optional: only a real card needs them, ``in_use`` where one is set."""
    if find_spec("smartcard") is None:
        return ok(
            "card reader",
            (
                "pyscard is not installed; only a real card needs it "
                "(pip install 'labbroker[card]').",
                "未安裝 pyscard；僅使用實體卡片時需要（pip install 'labbroker[card]'）。",
            ),
        )
    if in_use and sys.platform.startswith("linux") and not PCSCD.exists():
        return warn(
            "card reader",
            ("pyscard is installed, but pcscd does not run.", "已安裝 pyscard，但 pcscd 未執行。"),
            ("Start pcscd (systemctl start pcscd).", "請啟動 pcscd（systemctl start pcscd）。"),
        )
    return ok("card reader", ("pyscard is installed.", "已安裝 pyscard。"))


def check_port(check: str, host: str, port: int) -> Outcome:
    """A door's port is free, or something (perhaps the running service) listens there."""
    place = f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        said, said_zh = system_reason(error)
        return warn(
            check,
            (
                f"{place} cannot be taken ({said}).",
                f"無法使用 {place}（{said_zh}）。",
            ),
            (
                "Fine if the service runs already; "
                "else stop the other program or set another port.",
                "若服務已在執行則屬正常；否則請停止佔用的程式或改設連接埠。",
            ),
        )
    return ok(check, (f"{place} is free.", f"{place} 可使用。"))


def _nearest_existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _newest(folder: Path) -> float:
    newest = 0.0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                newest = max(newest, entry.stat().st_mtime)
    return newest


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that holds ``folder``, or ``""`` where it cannot be told."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        parts = line.split(" ")
        if len(parts) < 3:
            continue
        point = Path(parts[1].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), parts[2]
    return kind
