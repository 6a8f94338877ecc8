"""Secrets that cannot be printed, and where they are kept.

The settings never hold a secret itself, only where it is: ``env:NAME`` or ``file:PATH``.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from broker.system_reason import system_reason
from mapping.errors import LabbrokerError

HIDDEN = "<secret>"


class Secret:
    """A text that shows itself only to :meth:`reveal`: not to repr, str, format or pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret text. Call it at the very place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, specification: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


class SecretUnavailable(LabbrokerError):
    """The place that should hold a secret does not, or others can read it."""

    code = "secret-unavailable"
    en = (
        "The secret at {place} cannot be used: {reason}.",
        "Put the secret there, readable by the service's own user alone (mode 0600).",
    )
    zh = (
        "無法使用 {place} 的密碼：{reason_zh}。",
        "請將密碼放置於該處，且僅限服務帳號可讀取（權限 0600）。",
    )


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is kept. ``file`` is set for ``file:``, ``variable`` for ``env:``."""

    variable: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        return f"env:{self.variable}" if self.file is None else f"file:{self.file}"

    def read(self, environ: Mapping[str, str]) -> Secret:
        """The secret as it is now. Raises :class:`SecretUnavailable`."""
        file = self.file
        value = environ.get(self.variable, "") if file is None else self._file_text(file)
        if not value:
            raise SecretUnavailable(
                place=self, reason="it is empty or missing", reason_zh="未設定或為空白"
            )
        return Secret(value)

    def _file_text(self, file: Path) -> str:
        try:
            mode = file.stat().st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise SecretUnavailable(
                    place=self,
                    reason="other users can read the file",
                    reason_zh="其他使用者可讀取此檔案",
                )
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretUnavailable(
                place=self, reason="it is not UTF-8", reason_zh="不是 UTF-8 編碼"
            ) from None
        except OSError as error:
            said, said_zh = system_reason(error)
            raise SecretUnavailable(place=self, reason=said, reason_zh=said_zh) from None


def parse_secret_reference(text: str, folder: Path) -> SecretReference | None:
    """``env:NAME`` or ``file:PATH`` (relative to ``folder``); None for anything else, which
    may be a secret written where it must not be and is therefore never repeated."""
    scheme, colon, rest = text.partition(":")
    if colon and rest and scheme == "env":
        return SecretReference(variable=rest)
    if colon and rest and scheme == "file":
        return SecretReference(file=folder / rest)
    return None
