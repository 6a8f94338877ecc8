"""``labbroker eii-child``: loads NHI's EII library, for the service that starts it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adapters.nhi.eii_child import run as run_child

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser(
        "eii-child",
        description="Load nhi_eiiapi.dll and work off jobs, one JSON object a line, from standard "
        "input. The service starts it; with another Python: python adapters/nhi/eii_child.py.",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 when the input ended."""
    return run_child()
