"""Opening the store: SQLite in a data folder, WAL, full sync, one writer that alone checkpoints.

SQLite 3.7.0-3.51.2 can corrupt a WAL database when two connections write or checkpoint at the
same instant; so every process but the one broker opens read-only, and inside it one connection
writes. There is one durability mode and no setting for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import QueuePool, StaticPool

from broker.operation.backup import UPGRADE, make_backup
from broker.store import (
    access_tables,  # noqa: F401 - its tables are made with the others
    code_tables,  # noqa: F401
    delivery_tables,  # noqa: F401
    nhi_overview_tables,  # noqa: F401
    rate_tables,  # noqa: F401
    report_tables,  # noqa: F401
    unuploaded_tables,  # noqa: F401
)
from broker.store.dialect import HintingCompiler, is_shared
from broker.store.folder_lock import take_folder_lock
from broker.store.location import StoreLocation, location_of
from broker.store.migrations import MIGRATIONS, Migration, SchemaUnknown, is_behind, upgrade
from broker.store.postgresql import open_shared_reader, open_shared_writer
from mapping.errors import LabbrokerError

STORE_FILE = "labbroker.sqlite"
# About 32 MB: checkpoints are rare enough not to show, and restart reads little.
_CHECKPOINT_PAGES = 4000
# Three results of the usual size on a page, where 4,096 bytes would hold one and waste the rest.
_PAGE_BYTES = 8192


class StoreBusy(LabbrokerError):
    code = "store-busy"
    en = (
        "Another labbroker already works on the data folder {folder}.",
        "Stop it first, or give this one a data folder of its own.",
    )
    zh = ("資料夾 {folder} 已有另一個 labbroker 在使用。", "請先停止該程式，或改用其他資料夾。")


class StoreMissing(LabbrokerError):
    code = "store-missing"
    en = (
        "There is no store in the data folder {folder}.",
        "Start `labbroker serve` once, or name the right configuration with --config.",
    )
    zh = (
        "資料夾 {folder} 中沒有資料庫。",
        "請先執行一次 `labbroker serve`，或以 --config 指定正確的設定檔。",
    )


class SharedStoreMissing(StoreMissing):
    en = (
        "The PostgreSQL of [store] url holds no store of labbroker.",
        "Start `labbroker serve` once, or name the right database there.",
    )
    zh = (
        "[store] url 所指的 PostgreSQL 中沒有 labbroker 的資料庫。",
        "請先執行一次 `labbroker serve`，或指定正確的資料庫。",
    )


__all__ = [
    "STORE_FILE",
    "SchemaUnknown",
    "SharedStoreMissing",
    "StoreBusy",
    "StoreMissing",
    "is_intact",
    "open_reader",
    "open_snapshot",
    "open_writer",
]


def open_writer(
    place: Path | StoreLocation,
    *,
    driver: ModuleType | None = None,
    steps: Sequence[Migration] = MIGRATIONS,
) -> Engine:
    """The engine of the one writer. Creates the folder and the tables; takes the folder's lock.
    Errors never quote the values of a statement: they may be a patient's.

    Before a step of the schema changes a file that was in use, a verified copy of it is made in
    ``backups`` of the folder: a step that fails has changed nothing, one that was wrong can be
    taken back. Without the copy the step is not taken.

    ``driver`` is a DB-API module in place of ``sqlite3`` (the power-cut tests bring one).
    Raises :class:`StoreBusy`, ``StoreUnreachable``, :class:`SchemaUnknown` and
    ``BackupImpossible``.
    """
    location = location_of(place)
    folder = location.folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = take_folder_lock(folder)
    if lock is None:
        raise StoreBusy(folder=folder)
    if location.is_shared:
        return _open_shared(location.url, lock)
    was_there = (folder / STORE_FILE).exists()
    engine = create_engine(
        f"sqlite:///{folder / STORE_FILE}",
        module=driver,
        poolclass=StaticPool,
        hide_parameters=True,
        connect_args={"check_same_thread": False},
    )

    engine.dialect.statement_compiler = HintingCompiler

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"page_size={_PAGE_BYTES}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
            "cache_size=-65536",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
            cursor.fetchall()
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # Past SQLAlchemy's own execution, which would cost a small commit a tenth of its time.
        connection.connection.cursor().execute("BEGIN IMMEDIATE").close()

    @event.listens_for(engine, "engine_disposed")
    def unlock(_: Engine) -> None:
        os.close(lock)

    try:
        with engine.begin() as connection:
            behind = was_there and is_behind(connection, steps)
        if behind:
            _copy_before(folder)
        with engine.begin() as connection:
            upgrade(connection, steps)
    except BaseException:
        # Whoever opens it next, after the fault is mended, finds it free.
        engine.dispose()
        raise
    _sync_folder(folder)
    return engine


def _copy_before(folder: Path) -> None:
    now = datetime.now(UTC)
    make_backup(folder, folder / "backups" / f"{UPGRADE}{now:%Y%m%dT%H%M%S%fZ}", now)


def _open_shared(url: str, lock: int) -> Engine:
    """The folder is this node's own, whoever else works on the store."""
    try:
        engine = open_shared_writer(url)
    except BaseException:
        os.close(lock)
        raise

    @event.listens_for(engine, "engine_disposed")
    def unlock(_: Engine) -> None:
        nonlocal lock
        if lock >= 0:
            os.close(lock)
            lock = -1

    return engine


def open_reader(place: Path | StoreLocation) -> Engine:
    """A read-only engine: it neither writes nor checkpoints. Raises :class:`StoreMissing` and
    ``StoreUnreachable``."""
    location = location_of(place)
    if location.is_shared:
        shared = open_shared_reader(location.url)
        if shared is None:
            raise SharedStoreMissing
        return shared
    path = location.folder / STORE_FILE
    if not path.exists():
        raise StoreMissing(folder=location.folder)
    engine = create_engine(
        f"sqlite:///file:{path}?mode=ro&uri=true",
        poolclass=QueuePool,
        hide_parameters=True,
        pool_size=4,
        connect_args={"check_same_thread": False},
    )

    engine.dialect.statement_compiler = HintingCompiler

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=ON")
        cursor.execute("PRAGMA cache_size=-16384")
        cursor.close()

    return engine


@contextmanager
def open_snapshot(reader: Engine) -> Iterator[Connection]:
    """A connection that sees the store as it is now, whatever is written meanwhile."""
    if is_shared(reader):
        with reader.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection
        return
    with reader.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")


def is_intact(engine: Engine) -> bool:
    """SQLite's own integrity check; PostgreSQL minds its pages itself."""
    if is_shared(engine):
        return True
    with engine.connect() as connection:
        return connection.execute(text("PRAGMA quick_check")).scalar() == "ok"


def _sync_folder(folder: Path) -> None:
    """The new files' names are on disk too, not only their bytes."""
    if sys.platform == "win32":
        return  # Windows has no handle to a folder that could be synced.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
