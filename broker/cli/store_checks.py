"""What ``labbroker doctor`` looks at in a store that several nodes share."""

from __future__ import annotations

from collections.abc import Iterator

from broker.cli.outcome import Outcome, failed_by, ok, warn
from broker.cli.store_access import reading
from broker.store.engine import StoreMissing
from broker.store.location import StoreLocation
from broker.store.row_security import PEOPLE_ROLE, is_guarded
from mapping.errors import LabbrokerError


def check_store(store: StoreLocation) -> Iterator[Outcome]:
    """Whether the PostgreSQL of ``[store] url`` answers; nothing where the store is a file."""
    if not store.is_shared:
        return
    guarded = True
    try:
        with reading(store) as connection:
            guarded = is_guarded(connection)
    except StoreMissing:
        said = "PostgreSQL answers; the first start makes the tables."
        yield ok("store", (said, "PostgreSQL 可連線，首次啟動時將建立資料表。"))
    except LabbrokerError as error:
        yield failed_by("store", error)
    else:
        said = "PostgreSQL answers and holds the store."
        yield ok("store", (said, "PostgreSQL 可連線，資料庫已建立。"))
    if not guarded:
        yield warn(
            "row security",
            (
                f"This login may not read as {PEOPLE_ROLE}: only the program's own filter keeps"
                " institutions apart.",
                f"此帳號無法以 {PEOPLE_ROLE} 讀取：各機構資料僅由程式本身區隔。",
            ),
            (
                f"As the database's administrator: CREATE ROLE {PEOPLE_ROLE} NOLOGIN;"
                f" GRANT {PEOPLE_ROLE} TO the login; then start the broker again.",
                f"請由資料庫管理者執行 CREATE ROLE {PEOPLE_ROLE} NOLOGIN;"
                f" GRANT {PEOPLE_ROLE} TO 該帳號；再重新啟動。",
            ),
        )
