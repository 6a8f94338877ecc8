"""The settings file and the environment become :class:`Settings`, or one error that says all."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.config.build import build_settings, contradictions
from broker.config.environment import apply, overrides
from broker.config.problems import InvalidSettings, SettingsUnreadable
from broker.config.reading import SettingsReader
from broker.config.schema import SETTINGS
from broker.config.settings import Settings
from broker.system_reason import system_reason
from mapping.place_words import chinese_place

MAX_FILE_BYTES = 8 * 1024 * 1024
_POSITION = re.compile(r"line [0-9]+, column [0-9]+")


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read ``path`` (None: defaults alone) with the overrides in ``environ``.

    Relative paths in the file start at the file's folder, without a file at the working folder.
    Raises :class:`SettingsUnreadable` or :class:`InvalidSettings`.
    """
    text = _read(path) if path is not None else ""
    data = _parse(text, path)
    found, problems = overrides(SETTINGS, environ)
    apply(data, found)
    folder = path.absolute().parent if path is not None else Path.cwd()
    reader = SettingsReader(path, text, folder)
    values = reader.read(SETTINGS, data)
    problems += reader.problems
    if not problems:
        problems += contradictions(values)
    if problems:
        raise InvalidSettings(problems)
    return build_settings(values, path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise SettingsUnreadable(
                file=path, reason="it is larger than 8 MiB", reason_zh="超過 8 MiB"
            )
        return raw.decode("utf-8-sig")
    except OSError as error:
        said, said_zh = system_reason(error)
        raise SettingsUnreadable(file=path, reason=said, reason_zh=said_zh) from None
    except UnicodeDecodeError as error:
        raise SettingsUnreadable(
            file=path,
            reason=f"it is not UTF-8 at byte {error.start}",
            reason_zh=f"第 {error.start} 位元組不是 UTF-8 編碼",
        ) from None


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsUnreadable(
            file=path, reason="it is nested too deeply", reason_zh="層數過多"
        ) from None
    except tomllib.TOMLDecodeError as error:
        at = _POSITION.search(str(error))
        place = chinese_place(at[0] if at else "the end")
        raise SettingsUnreadable(
            file=path, reason=str(error), reason_zh=f"TOML 語法錯誤（{place}）"
        ) from None
