"""``labbroker card-agent`` at a terminal, with a token of SoftHSM and a broker's desk."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.ports.card_certificate import CardCertificate
from tests.card.agent_stage import SECRET, DeskStage, desk_stage
from tests.card.soft_token import CLINIC, PIN, WRONG, CountingToken

DIGEST = hashlib.sha256(b"nonce").digest()


@dataclass
class Terminal:
    """A person at the agent's terminal."""

    process: subprocess.Popen[bytes]
    handle: int
    shown: str = ""

    async def until(self, text: str, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.shown.count(text) < times:
                await asyncio.sleep(0.02)
                self._read()

    def type(self, text: str) -> None:
        os.write(self.handle, f"{text}\n".encode())

    def _read(self) -> None:
        try:
            self.shown += os.read(self.handle, 65536).decode("utf-8", "backslashreplace")
        except (BlockingIOError, OSError):
            return


@asynccontextmanager
async def agent_of(stage: DeskStage, card: CountingToken, folder: Path) -> AsyncIterator[Terminal]:
    secret = folder / "secret"
    if not secret.exists():
        secret.touch(0o600)
        secret.write_text(SECRET, "ascii")
        (folder / "labbroker.toml").write_text(
            f'data_dir = "data"\n[agent]\nbrokers = ["{stage.url}"]\nsecret = "file:secret"\n'
            f'readers = false\n[[card]]\nname = "front"\nmodule = "{card.module}"\n'
            f'certificate_subject = "{CLINIC}"\n',
            "utf-8",
        )
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = _start(card, folder, theirs)
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        os.close(ours)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _start(card: CountingToken, folder: Path, theirs: int) -> subprocess.Popen[bytes]:
    settings = str(folder / "labbroker.toml")
    return subprocess.Popen(
        [sys.executable, "-m", "broker.cli.main", "card-agent", "--config", settings],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, **card.environment, "LABBROKER_LANG": "en"},
        preexec_fn=_own_terminal,
    )


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def test_a_pin_that_is_typed_once_lets_the_card_sign_until_the_agent_ends(
    card: CountingToken, folder: Path
) -> None:
    async with desk_stage() as stage:
        async with agent_of(stage, card, folder) as terminal:
            await terminal.until("Enter alone leaves it out")
            await stage.until(lambda: stage.condition() == "locked")
            terminal.type(WRONG)
            await terminal.until("is wrong")
            await terminal.until("Enter alone leaves it out", times=2)
            assert card.calls == 1
            terminal.type(PIN)
            await stage.until_ready()
            signature = await stage.desk.sign(CLINIC, DIGEST)
            certificate = stage.desk.card_of(CLINIC).certificate
            assert certificate is not None
            assert certificate.proves(DIGEST, signature)
            assert card.calls == 2
            await terminal.until("front: ready")
            assert PIN not in terminal.shown
            assert WRONG not in terminal.shown
            proc = Path(f"/proc/{terminal.process.pid}")
            for name in ("cmdline", "environ"):
                assert PIN.encode() not in (proc / name).read_bytes()
            terminal.process.send_signal(signal.SIGKILL)
            await stage.until(lambda: stage.condition() == "agent-away")
        async with agent_of(stage, card, folder) as terminal:
            await stage.until(lambda: stage.condition() == "locked")
            assert card.calls == 2
            await terminal.until("Enter alone leaves it out")
            terminal.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(terminal.process.wait, 10) == 0
    assert PIN.encode() not in everything_in(folder)


async def test_the_last_try_is_used_only_for_who_asks_for_it(
    card: CountingToken, folder: Path
) -> None:
    async with desk_stage() as stage, agent_of(stage, card, folder) as terminal:
        for times in (1, 2):
            await terminal.until("Enter alone leaves it out", times=times)
            terminal.type(WRONG)
            await terminal.until("is wrong", times=times)
        await terminal.until("Type LAST")
        terminal.type("yes")
        await stage.until(lambda: stage.condition() == "held")
        card.set("absent")
        await stage.until(lambda: stage.condition() == "card-absent")
        card.clear("absent")
        await terminal.until("Type LAST", times=2)
        assert card.calls == 2
        terminal.type("LAST")
        await terminal.until("Enter alone leaves it out", times=3)
        terminal.type(PIN)
        await stage.until_ready()
        assert (card.calls, card.wrong) == (3, 0)


async def test_a_card_that_is_left_out_is_not_asked_for_again(
    card: CountingToken, folder: Path
) -> None:
    async with desk_stage() as stage, agent_of(stage, card, folder) as terminal:
        await terminal.until("Enter alone leaves it out")
        terminal.type("")
        await stage.until(lambda: stage.condition() == "locked")
        card.set("absent")
        await terminal.until("front: not in a reader")
        card.clear("absent")
        await terminal.until("Enter alone leaves it out", times=2)
        assert card.calls == 0
        assert CardCertificate.read(
            stage.desk.card_of(CLINIC).state.certificate.encode()
        ).institution_code == CLINIC  # fmt: skip
