"""A card reader made of pcscd and Debian's vsmartcard-vpcd, with simulated cards.

The daemon runs in a mount namespace of its own, so that it meets neither the machine's pcscd nor
another rehearsal. A simulated card speaks vpcd's protocol: each message is two bytes of length and
its bytes; one byte alone is a control (0 off, 1 on, 2 reset, 4 asks for the ATR).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from broker.demo.channels import PartMissing

Answer = Callable[[bytes], bytes]
"""A card: command APDU in, response APDU out."""

ATR = bytes.fromhex("3B00")
# Without the drivers of real readers it cannot take one from the machine's own daemon.
_SCRIPT = """\
mount -t tmpfs none /run && mkdir /run/pcscd && mount -t tmpfs none /usr/lib/pcsc/drivers \\
    && exec "$0" -f -c "$1"
"""
_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_SOCKET = Path("/run/pcscd/pcscd.comm")
_READER = "Virtual PCD"
_FIRST_SLOT = f"{_READER} 00 00"
_PATIENCE_SECONDS = 20.0


class VirtualReader:
    """``socket_path`` is what ``PCSCLITE_CSOCK_NAME`` must say, before PC/SC is first used."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`PartMissing`."""
        _need_parts()
        self._folder = folder
        self._port = _two_free_ports()
        self._daemon: subprocess.Popen[bytes] | None = None
        self._card: _InsertedCard | None = None
        self.socket_path = folder / "pcscd.comm"
        self.name = _FIRST_SLOT

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PCSCLITE_CSOCK_NAME": str(self.socket_path)}

    def __enter__(self) -> VirtualReader:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, readers: bool = True) -> None:
        """Start the daemon, with the reader plugged in or without any.

        Raises :class:`PartMissing` where this machine lets us have no namespace.
        """
        configuration = self._folder / "readers"
        configuration.mkdir(exist_ok=True)
        driver = self._folder / _DRIVER.name
        shutil.copyfile(_DRIVER, driver)
        entry = (
            f'FRIENDLYNAME "{_READER}"\nDEVICENAME /dev/null:{self._port:#06x}\n'
            f"LIBPATH {driver}\nCHANNELID {self._port:#06x}\n"
        )
        (configuration / "virtual").write_text(entry if readers else "", "utf-8")
        pcscd = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        is_root = os.geteuid() == 0
        own = ("--mount",) if is_root else ("--mount", "--map-root-user")
        try:
            self._run("unshare", *own, "sh", "-c", _SCRIPT, str(pcscd), str(configuration))
        except PartMissing:
            if not is_root or _SOCKET.exists():
                raise
            # A container that gives no namespaces is one itself.
            _SOCKET.parent.mkdir(exist_ok=True)
            self._run(str(pcscd), "-f", "-c", str(configuration))

    def _run(self, *command: str) -> None:
        """Start the daemon and wait until it listens. Raises :class:`PartMissing`."""
        with (self._folder / "pcscd.log").open("ab") as log:
            self._daemon = daemon = subprocess.Popen(  # noqa: S603 - names of ours
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        socket_there = Path(f"/proc/{daemon.pid}/root{_SOCKET}")
        pid_there = socket_there.with_suffix(".pid")

        def listens() -> bool:
            # Before it has its namespace it may see the machine's own daemon.
            with suppress(OSError):
                found = pid_there.read_text("ascii").strip("\0\n ")
                return found == str(daemon.pid) and socket_there.exists()
            return False

        self._until(listens)
        self.socket_path.unlink(missing_ok=True)
        self.socket_path.symlink_to(socket_there)

    def stop(self) -> None:
        """End the daemon that :meth:`start` started; the reader is gone with it."""
        self.remove()
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(5)

    def insert(self, card: Answer) -> None:
        """Put a card into the reader; it takes the place of another."""
        self.remove()
        self._card = _InsertedCard(self._port, card)

    def remove(self) -> None:
        """Pull the card, if there is one."""
        card, self._card = self._card, None
        if card is not None:
            card.pull()

    def _until(self, happened: Callable[[], bool]) -> None:
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while not happened():
            failed = self._daemon is not None and self._daemon.poll() is not None
            if failed or time.monotonic() > ends_at:
                self.stop()
                raise PartMissing(
                    what_en="a mount namespace for pcscd (unshare), which is not allowed here",
                    what_zh="可供 pcscd 使用的掛載命名空間（unshare），此環境不允許",
                    how_en="Run it as root, or on a machine that allows user namespaces.",
                    how_zh="請以 root 執行，或改用允許使用者命名空間的主機。",
                )
            time.sleep(0.02)


class _InsertedCard:
    """The card's side of vpcd's connection, in a thread."""

    def __init__(self, port: int, answer: Answer) -> None:
        self._answer = answer
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def pull(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                message = self._exactly(int.from_bytes(self._exactly(2), "big"))
                if len(message) > 1:
                    self._send(self._answer(message))
                elif message == b"\x04":
                    self._send(ATR)

    def _send(self, message: bytes) -> None:
        self._socket.sendall(len(message).to_bytes(2, "big") + message)

    def _exactly(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            part = self._socket.recv(length - len(found))
            if not part:
                raise EOFError
            found += part
        return found


def _need_parts() -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    debian = "`apt install pcscd vsmartcard-vpcd` on Debian and Ubuntu"
    for there, part in (
        (shutil.which("pcscd", path=path), "pcscd"),
        (_DRIVER.is_file(), "vsmartcard-vpcd"),
        (shutil.which("unshare"), "unshare (util-linux)"),
    ):
        if not there:
            raise PartMissing(
                what_en=f"{part}, which plays the card reader",
                what_zh=f" {part}（模擬讀卡機）",
                how_en=f"Install it: {debian}.",
                how_zh="請安裝：Debian、Ubuntu 用 `apt install pcscd vsmartcard-vpcd`。",
            )
    if find_spec("smartcard") is None:
        raise PartMissing(
            what_en="pyscard, which speaks to card readers",
            what_zh=" pyscard（與讀卡機溝通）",
            how_en="Install it: `apt install libpcsclite-dev swig gcc`, then pip install "
            "'labbroker[card]'.",
            how_zh="請安裝：`apt install libpcsclite-dev swig gcc`，再執行 pip install "
            "'labbroker[card]'。",
        )


def _two_free_ports() -> int:
    """vpcd listens on a port for each of its two slots, one after the other."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with suppress(OSError, OverflowError):
                other.bind(("127.0.0.1", port + 1))
                return port
