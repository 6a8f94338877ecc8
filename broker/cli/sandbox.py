"""``labbroker sandbox``: the stand-in for NHI's gateway, for rehearsals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from broker.sandbox.serve import add_arguments
from broker.sandbox.serve import run as run_gateway

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "sandbox", description="Run a stand-in for the NHI's upload gateway, for rehearsals."
    )
    add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    return run_gateway(arguments)
