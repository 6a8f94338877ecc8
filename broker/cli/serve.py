"""``labbroker serve``: the service, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from broker.bootstrap.people_orders import FIRST_SIGN_IN, first_code
from broker.bootstrap.service import Broker
from broker.config import Settings, load_settings
from broker.logs import configure_logging, log_event
from broker.loop_guard import LoopGuard
from broker.stop_signals import on_stop

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

# A thread that has asked SQLite for a row waits as long as this to go on while another thread
# reckons; the interpreter's own five milliseconds for each row would hold up the writer.
_SWITCH_SECONDS = 0.0005
# Results leave hardly a cycle behind, so few looks find what 700 objects each would.
_OBJECTS_BETWEEN_LOOKS = 10_000
_log = logging.getLogger(__name__)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("serve", description="Run the service.")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")


def run(arguments: argparse.Namespace) -> int:
    """0 after a clean stop, 1 when the store or a worker failed: nothing more was acknowledged."""
    settings = load_settings(arguments.config, os.environ)
    configure_logging(settings.logging)
    sys.setswitchinterval(_SWITCH_SECONDS)
    return asyncio.run(serve(settings))


async def serve(settings: Settings) -> int:
    """Run until told to stop; one line on stdout says when and where the doors are open."""
    broker = Broker(settings)
    on_stop(broker.ask_to_stop)
    await broker.start()
    spare_collections()
    guard = LoopGuard(settings.data_dir / "stuck-at.txt")
    if guard.last_trace():
        log_event(_log, "service.was_stuck", level=logging.WARNING)
    guarding = asyncio.create_task(guard.run())
    places = []
    if settings.mllp.enabled:
        places.append(f"mllp://{settings.mllp.host}:{broker.mllp_port}")
    if settings.http.enabled:
        places.append(f"http://{settings.http.host}:{broker.http_port}/fhir")
    places += [str(folder.path) for folder in settings.folders]
    sys.stdout.write(f"labbroker is ready: {' '.join(places)}\n")
    if settings.http.enabled:
        sys.stdout.write(_first_sign_in(settings, broker.http_port))
    sys.stdout.flush()
    try:
        await broker.wait_stopped()
    finally:
        await broker.stop()
        guarding.cancel()
    return broker.exit_code


def spare_collections() -> None:
    """What the program itself is made of stays for good: looked through again and again for
    garbage it would hold up every thread for a tenth of a second at a time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])


def _first_sign_in(settings: Settings, port: int) -> str:
    """Where to sign in, as long as nobody has: the code itself stays in its file."""
    if first_code(settings.data_dir) is None:
        return ""
    scheme = "https" if settings.http.tls else "http"
    host = "127.0.0.1" if settings.http.host == "0.0.0.0" else settings.http.host  # noqa: S104
    file = settings.data_dir / FIRST_SIGN_IN
    if settings.language == "zh":
        return f"操作畫面：{scheme}://{host}:{port}/（首次登入的帳號與代碼在 {file}）\n"
    return f"console: {scheme}://{host}:{port}/ (login and code of the first sign-in: {file})\n"
