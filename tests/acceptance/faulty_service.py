"""`labbroker`, broken on purpose: each part once raises an error that quotes a patient's data.

Run as ``python -m tests.acceptance.faulty_service serve --config FILE``. Errors of readers, store,
sealing, channel, verdict and doors carry the payload in their text, as errors of libraries do; a
library logs a payload; a thread, a callback and a finalizer die with one.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

import adapters.folder.taking
import adapters.nhi.sandbox_channel
import broker.bootstrap.readers
import broker.drafting
import broker.packages
import broker.pipeline
import broker.store.writer
import broker.submission
from broker.cli.main import main

FAULT_MARK = "FAULT"


def raising(times: int, original: Callable[..., Any]) -> Callable[..., Any]:
    """``original``, which fails the first ``times`` times with all that it was given."""
    left = [times]

    @functools.wraps(original)
    def broken(*arguments: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise KeyError(f"could not handle {arguments!r} {named!r} {_texts(arguments)}")
        return original(*arguments, **named)

    return broken


def _texts(arguments: tuple[Any, ...]) -> str:
    return " ".join(
        each.decode("utf-8", "replace") for each in arguments if isinstance(each, bytes)
    )


def marked(original: Callable[..., Any]) -> Callable[..., Any]:
    """``original``, which fails for every payload that holds the mark."""

    @functools.wraps(original)
    def broken(payload: Any, *arguments: Any) -> Any:
        raw = payload if isinstance(payload, bytes) else payload.raw
        if FAULT_MARK.encode() in raw:
            logging.getLogger("some.library").error("cannot digest %s", raw.decode("utf-8"))
            warnings.warn(raw.decode("utf-8"), stacklevel=1)
            _die_elsewhere(raw.decode("utf-8"))
            raise ValueError(raw.decode("utf-8"))
        return original(payload, *arguments)

    return broken


def _die_elsewhere(payload: str) -> None:
    """In a thread, a callback of the loop, a task that nobody waits for, a finalizer, SQL."""

    def fail() -> None:
        raise ValueError(payload)

    async def fail_later() -> None:
        raise ValueError(payload)

    class Fragile:
        def __del__(self) -> None:
            raise ValueError(payload)

    threading.Thread(target=fail, name=payload).start()
    Fragile()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_soon(fail)
    loop.create_task(fail_later(), name=payload)  # noqa: RUF006 - nobody shall wait for it


def break_everything() -> None:
    readers: Any = broker.bootstrap.readers.READERS
    for media, reader in list(readers.items()):
        readers[media] = marked(reader)
    service: Any = broker.store.writer
    service.receipt_row = marked_once(service.receipt_row)
    pipeline: Any = broker.pipeline
    pipeline.store_drafts = _sql_fault_once(raising(1, pipeline.store_drafts))
    drafting: Any = broker.drafting
    drafting.match_visit = raising(1, drafting.match_visit)
    packages: Any = broker.packages
    packages.write_package = raising(1, packages.write_package)
    submission: Any = broker.submission
    submission.store_verdict = raising(1, submission.store_verdict)
    channel: Any = adapters.nhi.sandbox_channel.SandboxChannel
    channel.submit = raising(1, channel.submit)
    taking: Any = adapters.folder.taking
    taking.read_whole = raising(1, taking.read_whole)


def marked_once(original: Callable[..., Any]) -> Callable[..., Any]:
    """Fails once for each door with the whole payload."""
    doors: set[str] = set()

    @functools.wraps(original)
    def broken(payload: Any, *arguments: Any) -> Any:
        if payload.door not in doors and len(payload.raw) > 100:
            doors.add(payload.door)
            raise ValueError(f"cannot store {payload!r} {payload.raw.decode('utf-8', 'replace')}")
        return original(payload, *arguments)

    return broken


def _sql_fault_once(original: Callable[..., Any]) -> Callable[..., Any]:
    """An error of the driver, which quotes the statement and its parameters."""
    done: list[bool] = []

    @functools.wraps(original)
    def broken(connection: Any, receipt_id: int, drafts: Any, *arguments: Any) -> Any:
        if drafts and not done:
            done.append(True)
            parameters = {"id": drafts[0].national_id, "body": str(drafts[0].record)}
            connection.execute(text("INSERT INTO receipt VALUES (:id, :body)"), parameters)
        return original(connection, receipt_id, drafts, *arguments)

    return broken


if __name__ == "__main__":
    break_everything()
    sys.exit(main())
