"""Files whose packages are with NHI by another proof leave the folder of a person's tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Engine, select

from adapters.nhi.portal_channel import UPLOADED
from broker.states import PackageState
from broker.store.schema import package

_SECONDS = 5.0
_WITH_NHI = (PackageState.SUBMITTED.value, PackageState.CHECKED.value)


class PortalSweep:
    """``folders`` are those of the institutions. A check report may settle a package that no person
    has told of; who then uploads its file again wastes a number."""

    def __init__(self, folders: Collection[Path], reader: Engine) -> None:
        self._folders = tuple(folders)
        self._reader = reader
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look every few seconds, where there is a folder."""
        if self._folders:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            # A folder or store that cannot be read now is told of by those who need it.
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self.sweep)
            await asyncio.sleep(_SECONDS)

    def sweep(self) -> int:
        """Move what needs no person any more to ``uploaded/``. Returns how many files."""
        moved = 0
        for folder in self._folders:
            stems = {path.stem for path in folder.glob("*.zip")}
            if not stems:
                continue
            with self._reader.connect() as connection:
                done = connection.execute(
                    select(package.c.stem).where(
                        package.c.stem.in_(stems), package.c.state.in_(_WITH_NHI)
                    )
                ).scalars()
                for stem in done:
                    moved += _put_away(folder, stem)
        return moved


def _put_away(folder: Path, stem: str) -> int:
    place = folder / UPLOADED
    place.mkdir(exist_ok=True)
    moved = 0
    for name in (f"{stem}.html", f"{stem}.zip"):
        with contextlib.suppress(FileNotFoundError):
            (folder / name).replace(place / name)
            moved += 1
    return moved
