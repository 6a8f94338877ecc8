"""What people decided about laboratories' codes, for commands that work on files alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from broker.cli.store_access import reading
from broker.code_maps import with_decisions
from broker.config import Settings
from broker.store.code_maps import standing_decisions
from broker.store.engine import StoreMissing
from broker.store.location import StoreLocation
from mapping.errors import LabbrokerError
from mapping.profile import SourceProfile


class DecisionsUnreadable(LabbrokerError):
    code = "decisions-unreadable"
    en = (
        "The code decisions in the data folder {folder} cannot be read ({reason}).",
        "Start `labbroker serve` of this version once, or name another folder with --data.",
    )
    zh = (
        "無法讀取資料夾 {folder} 中的代碼對應（{reason}）。",
        "請先以此版本執行一次 `labbroker serve`，或以 --data 指定其他資料夾。",
    )


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """``--data DIR``."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="data folder of a service whose decided codes (`labbroker codes`) hold here too; "
        "read only; default: that of --config where there is one",
    )


def with_decided_codes(
    profile: SourceProfile, settings: Settings, folder: Path | None
) -> SourceProfile:
    """``profile`` with what is decided for its source in the store of ``folder``, else in that of
    the settings file where one is there.

    Raises ``StoreMissing`` where ``folder`` has none, :class:`DecisionsUnreadable`.
    """
    if folder is None and settings.file is None:
        return profile
    named = folder is not None and folder.resolve() != settings.data_dir.resolve()
    store = StoreLocation(folder) if folder is not None and named else settings.store
    try:
        with reading(store) as connection:
            decisions = standing_decisions(connection)
    except StoreMissing:
        if folder is not None:
            raise
        return profile
    except SQLAlchemyError as error:
        raise DecisionsUnreadable(folder=store.folder, reason=type(error).__name__) from None
    return with_decisions({profile.source_id: profile}, decisions)[profile.source_id]
