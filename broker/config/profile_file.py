"""File profiles on disk: one TOML file for each layout of a laboratory."""

from __future__ import annotations

import tomllib
from pathlib import Path

from mapping.errors import LabbrokerError
from mapping.file_profile import FileProfile
from mapping.file_profile_toml import parse_file_profile

_MOST_BYTES = 1024 * 1024


class ProfileUnreadable(LabbrokerError):
    code = "profile-unreadable"
    en = (
        "The file profile {file} cannot be read: {reason}.",
        "Check the path and the TOML syntax; `labbroker profile suggest FILE` writes a profile.",
    )
    zh = (
        "無法讀取來源檔案設定 {file}：{reason}。",
        "請檢查路徑與 TOML 語法；可用 `labbroker profile suggest 檔案` 產生。",
    )


def read_file_profile(path: Path) -> FileProfile:
    """The profile of a file. Raises ProfileUnreadable or FileProfileWrong."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ProfileUnreadable(file=path, reason="it is larger than 1 MiB")
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ProfileUnreadable(file=path, reason=reason) from None
    except UnicodeDecodeError as error:
        raise ProfileUnreadable(file=path, reason=f"no UTF-8 at byte {error.start}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ProfileUnreadable(file=path, reason=reason) from None
    return parse_file_profile(data)
