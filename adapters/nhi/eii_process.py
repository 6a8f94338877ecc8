"""The child process that holds NHI's library: started when needed, ended when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import adapters.nhi.eii_child
from adapters.ports.channel import NotDelivered
from adapters.ports.eii_seat import CallLost

_START_SECONDS = 30.0
_BUSY_SECONDS = 30.0
_LONGEST_NAME = 250


class EiiProcess:
    """One child for one reader: jobs go one after the other.

    ``python`` None is the Python that runs now; on Windows it must have the bits of the library.
    ``timeout`` is in seconds, for one call.
    """

    def __init__(
        self,
        library: Path,
        reader_library: Path,
        *,
        control_library: Path | None = None,
        port: int = 0,
        python: Path | None = None,
        timeout: float = 300,
    ) -> None:
        self._library = library
        self._reader_library = reader_library
        self._control_library = control_library
        self._port = port
        self._python = python
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._bits = 0

    @property
    def asks_for_hospital(self) -> bool:
        """Whether the reader can be asked whose SAM it holds."""
        return self._control_library is not None

    async def call(self, do: str, **job: Any) -> Mapping[str, Any]:
        """One job. Raises ``NotDelivered`` where the library was not called, :class:`CallLost`
        where it was and the process ended or was ended."""
        async with self._turn():
            child = await self._started()
            job = {"do": do, "port": self._port, "reader": str(self._reader_library), **job}
            answer = await self._ask(child, job, self._timeout)
        if "error" not in answer:
            return answer
        if answer["error"] == "fault":
            raise CallLost("fault")
        raise NotDelivered(reason=f"the library was not called: {answer['error']}")

    async def try_out(self) -> int:
        """Load the library and call nothing: the bits of its Python. Raises ``NotDelivered``."""
        async with self._turn():
            await self._started()
            return self._bits

    async def close(self) -> None:
        """End the child."""
        async with self._lock:
            await self._end()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The reader is shared. Who does not get his turn has called nothing."""
        try:
            async with asyncio.timeout(_BUSY_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise NotDelivered(reason="the reader is busy with another file") from None
        try:
            yield
        finally:
            self._lock.release()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._child is not None and self._child.returncode is None:
            return self._child
        python = str(self._python or sys.executable)
        script = str(Path(adapters.nhi.eii_child.__file__))
        try:
            self._child = await asyncio.create_subprocess_exec(
                python,
                "-I",
                "-B",
                script,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # The library looks for its parts where it lies (EII-S p. 2).
                cwd=self._library.parent,
            )
        except OSError as error:
            reason = f"the process of the library did not start: {error.strerror}"
            raise NotDelivered(reason=reason) from None
        control = str(self._control_library) if self._control_library else ""
        job = {"do": "load", "library": str(self._library), "control": control}
        try:
            answer = await self._ask(self._child, job, _START_SECONDS)
        except CallLost as lost:
            raise NotDelivered(reason=f"the library was not loaded: {lost.reason}") from None
        if answer.get("code") != 0:
            await self._end()
            reason = f"the library was not loaded: {answer.get('error')} {answer.get('reason')}"
            raise NotDelivered(reason=reason)
        self._bits = answer.get("bits", 0)
        return self._child

    async def _ask(
        self, child: asyncio.subprocess.Process, job: Mapping[str, Any], seconds: float
    ) -> Mapping[str, Any]:
        assert child.stdin is not None  # noqa: S101 - asked for when it was started
        assert child.stdout is not None  # noqa: S101
        whole = False
        try:
            async with asyncio.timeout(seconds):
                child.stdin.write(json.dumps(job).encode("ascii") + b"\n")
                await child.stdin.drain()
                line = await child.stdout.readline()
            answer = json.loads(line) if line else None
            whole = isinstance(answer, dict)
        except TimeoutError:
            raise CallLost("time-out") from None
        except (OSError, ValueError):
            raise CallLost("the process ended") from None
        finally:
            # Also when the caller gives up: the next job must not read this one's answer.
            if not whole:
                await self._end()
        if not isinstance(answer, dict):
            raise CallLost("the process ended")
        return answer

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
