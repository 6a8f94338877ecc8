"""Orders a second from bytes at the MLLP door to *accepted* by the stand-in gateway.

The service and the gateway are processes of their own and share the machine with who sends. Every
message has twenty orders of a person who has a visit. What counts is the time from the first byte
until NHI's stand-in has accepted the last order and the service has stored its verdict.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from bench.contestants import DidNotStart, prepare_keys, serving
from bench.idle import processor_seconds
from bench.message import ORDERS_PER_PERSON, chemistry_of
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from broker.store.engine import open_reader
from broker.store.schema import record, visit

PEOPLE = 1_000
GOAL = 523.0
"""Ten times an evening peak of the whole nation's clinics and laboratories."""
_CONNECTIONS = 4
_MOST_SECONDS = 300.0
_LOOK_SECONDS = 0.2
_INSTITUTION = """\
verdict_password = "file:verdict-password"
"""
_SCHEDULE = """
[schedule]
seal_after_seconds = 1
verdict_poll_seconds = 1
settle_seconds = 5
"""


class NotAllAccepted(RuntimeError):
    """The time was up, or an order was not accepted."""


def run(folder: Path, people: int = PEOPLE) -> dict[str, Any]:
    """Send the orders of ``people`` and wait until all are accepted."""
    folder.mkdir(parents=True)
    (folder / "verdict-password").touch(mode=0o600)
    (folder / "verdict-password").write_text(DOCUMENTED_PASSWORD, "ascii")
    authority = prepare_keys(folder)
    with (
        _gateway(folder / "gateway", authority) as (address, stand_in),
        serving(
            folder,
            people=people,
            gateway=address,
            institution=_INSTITUTION,
            schedule=_SCHEDULE,
        ) as running,
    ):
        reader = open_reader(folder / "store")
        try:
            _wait(lambda: _count(reader, visit) >= people, "the visits were not stored")
            before, began = processor_seconds(running.process_id), time.monotonic()
            stand_in_before = processor_seconds(stand_in)
            _send_all(running.port, people)
            acknowledged = time.monotonic() - began
            wanted = people * ORDERS_PER_PERSON
            _wait(lambda: _accepted(reader) >= wanted, f"not all accepted: {_states(reader)}")
            took = time.monotonic() - began
            spent = processor_seconds(running.process_id) - before
            stand_in_spent = processor_seconds(stand_in) - stand_in_before
        finally:
            reader.dispose()
    return {
        "orders": wanted,
        "seconds": round(took, 1),
        "acknowledged_seconds": round(acknowledged, 1),
        "orders_per_second": round(wanted / took),
        "service_ms_each": round(1000 * spent / wanted, 2),
        "stand_in_ms_each": round(1000 * stand_in_spent / wanted, 2),
        "goal": GOAL,
    }


@contextmanager
def _gateway(folder: Path, authority: Path) -> Iterator[tuple[str, int]]:
    """Its URL and its process."""
    command = [sys.executable, "-m", "broker.sandbox", "--data", str(folder)]
    process = subprocess.Popen(
        [*command, "--trust", str(authority)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise DidNotStart("broker.sandbox")
        yield json.loads(line)["gateway"], process.pid
    finally:
        process.terminate()
        process.wait(30)


def _send_all(port: int, people: int) -> None:
    """Each connection sends its share, the next message only after the answer."""
    failed: list[BaseException] = []

    def send(first: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as connection:
                for number in range(first, people, _CONNECTIONS):
                    token = f"W{number:08d}".encode()
                    connection.sendall(chemistry_of(number).frame(token))
                    answer = b""
                    while not answer.endswith(b"\x1c\r"):
                        answer += connection.recv(65536) or b"closed\x1c\r"
                    if b"MSA|AA|" + token not in answer:
                        raise NotAllAccepted("an answer that is no AA")
        except (OSError, NotAllAccepted) as error:
            failed.append(error)

    threads = [threading.Thread(target=send, args=(first,)) for first in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _MOST_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise NotAllAccepted(otherwise)
        time.sleep(_LOOK_SECONDS)


def _count(reader: Engine, table: Any) -> int:
    with reader.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _accepted(reader: Engine) -> int:
    return _states(reader).get("accepted", 0)


def _states(reader: Engine) -> dict[str, int]:
    with reader.connect() as connection:
        rows = connection.execute(select(record.c.state, func.count()).group_by(record.c.state))
        return {row[0]: row[1] for row in rows}
