"""Before a step of the schema there is a copy to go back to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from broker.operation.backup import (
    BackupImpossible,
    erase_old_copies,
    restore_backup,
    verify_backup,
)
from broker.store.engine import open_writer
from broker.store.migrations import MIGRATIONS, Migration
from broker.store.schema import file_serial, meta


class StepFailed(Exception):
    pass


def good(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE choice ADD COLUMN told_by VARCHAR NOT NULL DEFAULT ''")


def wrong(connection: Connection) -> None:
    connection.execute(file_serial.delete())
    connection.exec_driver_sql("DROP TABLE choice")
    raise StepFailed


GOOD = (*MIGRATIONS, Migration(MIGRATIONS[-1].number + 1, "good", good))
WRONG = (*MIGRATIONS, Migration(MIGRATIONS[-1].number + 1, "wrong", wrong))


def fill(folder: Path) -> None:
    engine = open_writer(folder)
    with engine.begin() as connection:
        values = {"institution_code": "3501200000", "upload_on": date(2026, 1, 1)}
        connection.execute(insert(file_serial).values(last_serial=7, **values))
    engine.dispose()


def serial(folder: Path) -> int:
    engine = open_writer(folder)
    try:
        with engine.connect() as connection:
            found: int = connection.execute(select(file_serial.c.last_serial)).scalar_one()
            return found
    finally:
        engine.dispose()


def copies(folder: Path) -> list[Path]:
    return sorted((folder / "backups").glob("*")) if (folder / "backups").exists() else []


def test_a_new_store_and_one_that_is_up_to_date_are_not_copied(tmp_path: Path) -> None:
    fill(tmp_path)
    assert serial(tmp_path) == 7
    assert copies(tmp_path) == []


def test_a_step_that_fails_changes_nothing_and_leaves_a_copy_that_can_be_restored(
    tmp_path: Path,
) -> None:
    fill(tmp_path)
    with pytest.raises(StepFailed):
        open_writer(tmp_path, steps=WRONG)
    (copy,) = copies(tmp_path)
    verify_backup(copy)
    # The folder is free again, and the store is as it was.
    assert serial(tmp_path) == 7
    restore_backup(copy, tmp_path / "restored")
    assert serial(tmp_path / "restored") == 7


def test_a_step_that_went_through_can_be_taken_back(tmp_path: Path) -> None:
    fill(tmp_path)
    open_writer(tmp_path, steps=GOOD).dispose()
    (copy,) = copies(tmp_path)
    restore_backup(copy, tmp_path / "restored")
    engine = open_writer(tmp_path / "restored", steps=MIGRATIONS)
    with engine.connect() as connection:
        version = select(meta.c.value).where(meta.c.name == "schema_version")
        assert connection.execute(version).scalar_one() == str(MIGRATIONS[-1].number)
    engine.dispose()
    open_writer(tmp_path, steps=GOOD).dispose()
    assert copies(tmp_path) == [copy]


def test_without_a_copy_no_step_is_taken(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "backups").write_bytes(b"a file where the folder belongs")
    with pytest.raises(BackupImpossible):
        open_writer(tmp_path, steps=GOOD)
    engine = open_writer(tmp_path)
    with engine.connect() as connection:
        version = select(meta.c.value).where(meta.c.name == "schema_version")
        assert connection.execute(version).scalar_one() == str(MIGRATIONS[-1].number)
    engine.dispose()


def copy_of(folder: Path, name: str, *, whole: bool = True) -> Path:
    made = folder / "backups" / name
    made.mkdir(parents=True)
    (made / "labbroker.sqlite").write_bytes(b"x")
    if whole:
        (made / "backup.json").write_text("{}")
    return made


def test_old_copies_are_erased_and_the_last_whole_one_never(tmp_path: Path) -> None:
    assert erase_old_copies(tmp_path, 1) == 0
    days = [copy_of(tmp_path, f"before-upgrade-2026010{day}T000000000000Z") for day in range(1, 6)]
    cut_off = copy_of(tmp_path, "before-upgrade-20260106T000000000000Z", whole=False)
    own = copy_of(tmp_path, "mine")
    assert erase_old_copies(tmp_path, 3) == 2
    assert copies(tmp_path) == [*days[2:], cut_off, own]
    assert erase_old_copies(tmp_path, 1) == 2
    assert erase_old_copies(tmp_path, 0) == 0
    assert copies(tmp_path) == [days[4], cut_off, own]


def test_where_no_copy_is_whole_none_is_erased(tmp_path: Path) -> None:
    made = [
        copy_of(tmp_path, f"before-upgrade-2026010{day}T000000000000Z", whole=False)
        for day in range(1, 4)
    ]
    assert erase_old_copies(tmp_path, 1) == 0
    assert copies(tmp_path) == made
