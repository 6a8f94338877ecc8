"""Runs the stand-in gateway as a program of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import ssl
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from broker.sandbox.gateway import gateway_application
from broker.sandbox.settings import (
    DOCUMENTED_PASSWORD,
    RepeatRule,
    ReportEncryption,
    SandboxSettings,
)
from broker.stop_signals import on_stop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, for ``python -m broker.sandbox`` and ``labbroker sandbox`` alike."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder of the ledger")
    parser.add_argument(
        "--trust", type=Path, action="append", required=True, help="authority certificate, PEM"
    )
    parser.add_argument("--tls-certificate", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--verdict-delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--query-lag", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--lagging-answer", choices=("absent", "pending"), default="absent")
    parser.add_argument("--hold", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--repeats", choices=[str(rule) for rule in RepeatRule], default="tell")
    parser.add_argument(
        "--report-encryption", choices=[str(way) for way in ReportEncryption], default="aes"
    )
    parser.add_argument(
        "--report-password-file", type=Path, help="one line; default: the documented made-up id"
    )
    parser.add_argument("--institutions", type=Path, help="known institution codes, one a line")
    parser.add_argument("--fee-schedule", type=Path, help="more order codes, one a line")
    parser.add_argument(
        "--eii", action="store_true", help="let the stand-in EII library in, without a login"
    )
    parser.add_argument("--faults", type=float, default=0.0, metavar="RATE", help="0 to 1")
    parser.add_argument("--seed", type=int, default=0)


def settings_from(options: argparse.Namespace) -> SandboxSettings:
    """Settings of the parsed options; the operator's token is made on the first start.

    Raises ``OSError`` when a named file cannot be read.
    """
    data: Path = options.data
    data.mkdir(parents=True, exist_ok=True)
    institutions = options.institutions and _lines(options.institutions)
    password = (
        options.report_password_file.read_text("ascii").strip()
        if options.report_password_file
        else DOCUMENTED_PASSWORD
    )
    return SandboxSettings(
        folder=data,
        trusted=tuple(path.read_bytes() for path in options.trust),
        verdict_delay=timedelta(seconds=options.verdict_delay),
        query_lag=timedelta(seconds=options.query_lag),
        lagging_answer=options.lagging_answer,
        repeats=RepeatRule(options.repeats),
        report_encryption=ReportEncryption(options.report_encryption),
        report_password=password,
        institutions=institutions,
        fee_schedule=_lines(options.fee_schedule) if options.fee_schedule else frozenset(),
        operator_token=_operator_token(data / "operator-token"),
        fault_rate=options.faults,
        fault_seed=options.seed,
        hold=timedelta(seconds=options.hold),
        eii=options.eii,
    )


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line with the address on stdout when ready."""
    context = None
    if options.tls_certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.tls_certificate, options.tls_key)
    runner = web.AppRunner(
        gateway_application(settings_from(options)), access_log=None, shutdown_timeout=2.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        scheme = "https" if context else "http"
        ready = {"gateway": f"{scheme}://{options.host}:{port}", "data": str(options.data)}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await _until_told()
    finally:
        await runner.cleanup()


def run(options: argparse.Namespace) -> int:
    """Serve; the exit status is 2 when a file, the certificate or the address is unusable."""
    try:
        asyncio.run(serve(options))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The stand-in gateway cannot start: {error}\n")
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m broker.sandbox``."""
    parser = argparse.ArgumentParser(
        prog="python -m broker.sandbox",
        description="A stand-in for the NHI's upload gateway, for tests and rehearsals.",
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


async def _until_told() -> None:
    told = asyncio.Event()
    on_stop(told.set)
    await told.wait()


def _lines(path: Path) -> frozenset[str]:
    return frozenset(path.read_text("ascii").split())


def _operator_token(path: Path) -> str:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    token = secrets.token_urlsafe(24)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(token + "\n")
    return token
