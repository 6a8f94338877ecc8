"""Copies of the store while the service works, their test, and their way back.

A backup is a folder of its own: ``labbroker.sqlite`` by SQLite's backup API (one moment of the
store, whatever is written meanwhile), ``packages`` with the sealed files, and ``backup.json`` with
the digest of every file, written last: a folder without it is no backup. It holds patients' data
and is made for the service's user alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from broker.system_reason import system_reason
from mapping.errors import LabbrokerError

STORE = "labbroker.sqlite"
MANIFEST = "backup.json"
UPGRADE = "before-upgrade-"
"""How the names of copies begin that an upgrade makes; the time follows."""
_PACKAGES = "packages"
_LAST = "last-backup.json"
_PAGES_AT_ONCE = 2000
_CHUNK = 1 << 20


class BackupUnusable(LabbrokerError):
    code = "backup-unusable"
    en = (
        "The backup {folder} cannot be used: {reason}.",
        "Take another backup; look at the disk that holds this one.",
    )
    zh = ("備份 {folder} 無法使用：{reason_zh}。", "請改用其他備份，並檢查存放此備份的磁碟。")


class BackupImpossible(LabbrokerError):
    code = "backup-impossible"
    en = (
        "No backup was made in {folder}: {reason}.",
        "Give a folder on a disk with room that does not exist yet or is empty.",
    )
    zh = ("未能在 {folder} 建立備份：{reason_zh}。", "請指定空間足夠且尚不存在或為空的資料夾。")


class NotEmpty(LabbrokerError):
    code = "restore-not-empty"
    en = (
        "{folder} holds a store already; nothing was restored over it.",
        "Stop the service, move that folder away, and restore into an empty one.",
    )
    zh = ("{folder} 已有資料庫，未覆寫。", "請先停止服務並移開該資料夾，再還原至空資料夾。")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds. ``made_at`` is aware UTC."""

    folder: Path
    made_at: datetime
    receipts: int
    records: int
    files: int


def make_backup(data: Path, target: Path, now: datetime) -> Backup:
    """Copy the store of ``data`` to ``target`` and verify the copy. The service may be at work.

    The packages are copied after the store: one that the store knows is never missing. Raises
    :class:`BackupImpossible`.
    """
    source = data / STORE
    if not source.is_file():
        raise BackupImpossible(
            folder=target, reason=f"there is no store in {data}", reason_zh=f"{data} 中沒有資料庫"
        )
    try:
        if target.exists() and any(target.iterdir()):
            raise BackupImpossible(
                folder=target, reason="the folder is not empty", reason_zh="該資料夾不是空的"
            )
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.chmod(0o700)
        _copy_store(source, target / STORE)
        if (data / _PACKAGES).is_dir():
            unfinished = shutil.ignore_patterns(".*", "*.part", "*.tmp")
            shutil.copytree(data / _PACKAGES, target / _PACKAGES, ignore=unfinished)
        digests = {
            str(path.relative_to(target).as_posix()): _digest(path) for path in _files(target)
        }
        manifest = {"made_at": now.astimezone(UTC).isoformat(), "sha256": digests}
        _write(target / MANIFEST, manifest)
        made = verify_backup(target)
        _write(data / _LAST, {"made_at": made.made_at.isoformat()})
    except OSError as error:
        said, said_zh = system_reason(error)
        raise BackupImpossible(folder=target, reason=said, reason_zh=said_zh) from error
    except sqlite3.Error as error:
        raise BackupImpossible(
            folder=target, reason=f"SQLite says {error}", reason_zh=f"SQLite 訊息 {error}"
        ) from error
    return made


def verify_backup(folder: Path) -> Backup:
    """Read every byte of a backup: digests, SQLite's own check of the store, the packages that
    the store names. Raises :class:`BackupUnusable`."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        made_at = datetime.fromisoformat(manifest["made_at"])
        known = dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupUnusable(
            folder=folder,
            reason=f"{MANIFEST} is missing or unreadable",
            reason_zh=f"缺少 {MANIFEST} 或無法讀取",
        ) from None
    found = {str(path.relative_to(folder).as_posix()) for path in _files(folder)}
    missing = sorted(known.keys() - found)
    if missing:
        raise BackupUnusable(
            folder=folder,
            reason=f"files are missing: {len(missing)}",
            reason_zh=f"缺少 {len(missing)} 個檔案",
        )
    for name, digest in known.items():
        try:
            same = _digest(folder / name) == digest
        except OSError:
            same = False
        if not same:
            raise BackupUnusable(
                folder=folder,
                reason=f"{Path(name).name} has changed",
                reason_zh=f"{Path(name).name} 已被變更",
            )
    try:
        with closing(_open_read_only(folder / STORE)) as store:
            problems = [row[0] for row in store.execute("PRAGMA integrity_check(1)")]
            if problems != ["ok"]:
                raise BackupUnusable(
                    folder=folder,
                    reason="SQLite finds the store damaged",
                    reason_zh="SQLite 檢查發現資料庫損毀",
                )
            counts = [
                store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
                for table in ("receipt", "record")
            ]
            sealed = {f"{row[0]}.zip" for row in store.execute("SELECT stem FROM package")}
    except sqlite3.Error:
        raise BackupUnusable(
            folder=folder, reason="the store cannot be read", reason_zh="資料庫無法讀取"
        ) from None
    there = {Path(name).name for name in known}
    if not sealed <= there:
        raise BackupUnusable(
            folder=folder,
            reason=f"packages are missing: {len(sealed - there)}",
            reason_zh=f"缺少 {len(sealed - there)} 個上傳檔",
        )
    return Backup(folder, made_at, counts[0], counts[1], len(known))


def restore_backup(folder: Path, data: Path) -> Backup:
    """Put a verified backup into ``data``, which holds no store. Raises :class:`BackupUnusable`,
    :class:`NotEmpty`, :class:`BackupImpossible`."""
    if (data / STORE).exists():
        raise NotEmpty(folder=data)
    found = verify_backup(folder)
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (folder / _PACKAGES).is_dir():
            shutil.copytree(folder / _PACKAGES, data / _PACKAGES, dirs_exist_ok=True)
        part = data / f".{STORE}.part"
        shutil.copyfile(folder / STORE, part)
        part.chmod(0o600)
        _sync(part)
        # Last: whoever sees a store sees all of it.
        part.replace(data / STORE)
    except OSError as error:
        said, said_zh = system_reason(error)
        raise BackupImpossible(folder=data, reason=said, reason_zh=said_zh) from error
    return found


def last_backup_at(data: Path) -> datetime | None:
    """When the last verified backup of a data folder was made; None before the first."""
    try:
        told = json.loads((data / _LAST).read_text("utf-8"))
        return datetime.fromisoformat(told["made_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def erase_old_copies(data: Path, keep: int) -> int:
    """Erase the copies made before upgrades but for the newest ``keep`` (from 1) that are whole.
    Returns how many went. One that cannot be erased stays, and so does all where none is whole."""
    copies = sorted(each for each in (data / "backups").glob(f"{UPGRADE}*") if each.is_dir())
    whole = [each for each in copies if (each / MANIFEST).is_file()]
    if not whole:
        return 0
    oldest_kept = whole[-min(max(keep, 1), len(whole))]
    erased = 0
    for copy in copies[: copies.index(oldest_kept)]:
        if not copy.is_symlink():
            shutil.rmtree(copy, ignore_errors=True)
            erased += not copy.exists()
    return erased


def _copy_store(source: Path, target: Path) -> None:
    with closing(_open_read_only(source)) as store:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(handle)
        with closing(sqlite3.connect(target)) as copy:
            store.backup(copy, pages=_PAGES_AT_ONCE)
            # The copy is a file of its own, without a log beside it.
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
    _sync(target)


def _open_read_only(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise sqlite3.OperationalError
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST and not path.name.endswith(("-wal", "-shm")):
            yield path


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _write(path: Path, value: object) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
    part.chmod(0o600)
    _sync(part)
    part.replace(path)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
