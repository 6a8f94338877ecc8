"""Why a file, a secret or a backup cannot be used is said in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.config.load import load_settings
from broker.config.secret import SecretReference
from broker.operation.backup import STORE, make_backup, verify_backup
from mapping.errors import LabbrokerError

NOW = datetime(2026, 11, 22, tzinfo=UTC)
# Two words of English in a row; names of files, settings and formats stand alone.
_ENGLISH = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


def _file(folder: Path, raw: bytes, mode: int = 0o600) -> Path:
    path = folder / "file.toml"
    path.write_bytes(raw)
    path.chmod(mode)
    return path


def _store(folder: Path) -> Path:
    (folder / STORE).write_bytes(b"")
    return folder


CASES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no settings": (
        lambda f: load_settings(f / "no.toml", {}),
        "no such file",
        "檔案或資料夾不存在",
    ),
    "no UTF-8": (
        lambda f: load_settings(_file(f, b"a\xff"), {}),
        "not UTF-8 at byte 1",
        "第 1 位元組不是 UTF-8",
    ),
    "no TOML": (
        lambda f: load_settings(_file(f, b"[mllp\nport = 1"), {}),
        "at line 1, column 6",
        "TOML 語法錯誤（第 1 行第 6 字）",
    ),
    "no secret": (lambda _: SecretReference("NONE").read({}), "empty or missing", "未設定或為空白"),
    "no file of a secret": (
        lambda f: SecretReference(file=f / "no").read({}),
        "no such file",
        "檔案或資料夾不存在",
    ),
    "a secret for all": (
        lambda f: SecretReference(file=_file(f, b"x", 0o644)).read({}),
        "other users can read",
        "其他使用者可讀取",
    ),
    "no store": (lambda f: make_backup(f, f / "to", NOW), "there is no store", "沒有資料庫"),
    "a folder in use": (lambda f: make_backup(_store(f), f, NOW), "not empty", "不是空的"),
    "a file for a folder": (
        lambda f: make_backup(_store(f), _file(f, b""), NOW),
        "no folder",
        "不是資料夾",
    ),
    "no backup": (verify_backup, "backup.json is missing", "缺少 backup.json"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_is_a_clause_of_the_same_language(tmp_path: Path, case: str) -> None:
    act, en, zh = CASES[case]
    with pytest.raises(LabbrokerError) as caught:
        act(tmp_path)
    assert en in caught.value.sentence("en")
    chinese = caught.value.sentence("zh").replace(str(tmp_path), "")
    assert zh in chinese
    assert not _ENGLISH.search(chinese)
