"""Where the store is: a file in the data folder, or a PostgreSQL that several nodes share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mapping.errors import LabbrokerError


class StoreUnreachable(LabbrokerError):
    code = "store-unreachable"
    en = (
        "The PostgreSQL of [store] url cannot be used: {reason}.",
        "Check that it runs, the url, and the password in PGPASSFILE or PGPASSWORD.",
    )
    zh = (
        "無法使用 [store] url 所指的 PostgreSQL：{reason}。",
        "請確認資料庫已啟動、url 正確，以及 PGPASSFILE 或 PGPASSWORD 的密碼。",
    )


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """``folder`` is this node's own; with ``url`` the store is in PostgreSQL."""

    folder: Path
    url: str = ""

    @property
    def is_shared(self) -> bool:
        return bool(self.url)


def location_of(place: Path | StoreLocation) -> StoreLocation:
    """A folder alone means the SQLite file in it."""
    return place if isinstance(place, StoreLocation) else StoreLocation(place)
