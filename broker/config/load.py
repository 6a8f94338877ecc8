"""The settings file and the environment become :class:`Settings`, or one error that says all."""

from __future__ import annotations

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

MAX_FILE_BYTES = 8 * 1024 * 1024


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
            raise SettingsUnreadable(file=path, reason="it is larger than 8 MiB")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise SettingsUnreadable(file=path, reason=error.strerror or type(error).__name__) from None
    except UnicodeDecodeError as error:
        raise SettingsUnreadable(
            file=path, reason=f"it is not UTF-8 at byte {error.start}"
        ) from None


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SettingsUnreadable(file=path, reason=reason) from None
