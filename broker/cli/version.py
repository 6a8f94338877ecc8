"""``labbroker version``"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import sys
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def installed_version() -> str:
    """The version of the installed distribution, or ``unknown`` in a bare source tree."""
    try:
        return metadata.version("labbroker")
    except metadata.PackageNotFoundError:
        return "unknown"


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser("version", description="Say which version this is.")


def run(arguments: argparse.Namespace) -> int:
    sys.stdout.write(
        f"labbroker {installed_version()} "
        f"(Python {platform.python_version()}, SQLite {sqlite3.sqlite_version})\n"
    )
    return 0
