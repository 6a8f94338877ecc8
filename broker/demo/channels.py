"""The channels of a rehearsal: what each needs on this machine, and its part of the settings."""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import broker.sandbox
from broker.demo.people import CLINIC
from mapping.errors import LabbrokerError

CHANNELS = ("sandbox", "eii", "portal")

_COMPILE_SECONDS = 120
_SETTINGS = {
    "sandbox": """\
channel = "sandbox"
credential = "software"
credential_folder = "keys/{clinic}"
verdict_password = "file:verdict-password"

[channel.sandbox]
base_url = "{gateway}"
""",
    "eii": """\
channel = "eii"
credential = "sam"
credential_folder = "sam"
verdict_password = "file:verdict-password"

[channel.eii]
library = "eii/libnhi_eiiapi.so"
reader_library = "eii/Reader.txt"
work_folder = "eii/work"
request_template = "FILE={{file}}"
report_after_seconds = 0
""",
    "portal": """\
channel = "portal"
credential = "person"
verdict_password = "file:verdict-password"

[channel.portal]
folder = "upload"
results_folder = "results"
""",
}


class PartMissing(LabbrokerError):
    code = "part-missing"
    en = ("This demo needs {what_en}.", "{how_en}")
    zh = ("此演示需要{what_zh}。", "{how_zh}")


@dataclass(frozen=True, slots=True)
class DemoChannel:
    """One of :data:`CHANNELS` in the folder of a rehearsal."""

    name: str
    folder: Path
    by_card: bool = False
    """Whether a card signs, held by an agent."""

    @property
    def gateway_options(self) -> tuple[str, ...]:
        """What the stand-in gateway is told."""
        return ("--eii",) if self.name == "eii" else ()

    async def prepare(self) -> None:
        """Make what the channel needs. Raises :class:`PartMissing`."""
        if self.name == "eii":
            await asyncio.to_thread((self.folder / "eii").mkdir)
            await _compile(self.folder / "eii" / "libnhi_eiiapi.so")
            sam = self.folder / "sam"
            sam.mkdir()
            (sam / f"{CLINIC}000000000001.SAM").touch()

    def settings(self, gateway: str) -> str:
        """The rest of the institution's entry and the channel's section, for a gateway that
        listens at this URL."""
        if self.name == "eii":
            url = urlsplit(gateway)
            reader = f"{url.hostname} {url.port} {CLINIC}\n"
            (self.folder / "eii" / "Reader.txt").write_text(reader, "ascii")
        text = _SETTINGS[self.name].format(clinic=CLINIC, gateway=gateway)
        if self.by_card:
            text = text.replace('credential = "software"', 'credential = "pkcs11"')
        return text


async def _compile(library: Path) -> None:
    """The stand-in for NHI's library, from its source."""
    if sys.platform == "win32":
        raise PartMissing(
            what_en="Linux or macOS: the stand-in for nhi_eiiapi.dll is made for them",
            what_zh=" Linux 或 macOS（替代 nhi_eiiapi.dll 的演練元件僅支援該環境）",
            how_en="Run it in WSL, or use --channel portal.",
            how_zh="請於 WSL 執行，或改用 --channel portal。",
        )
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    source = Path(broker.sandbox.__file__).parent / "native" / "nhi_eiiapi.c"
    if compiler is None or not source.exists():
        raise PartMissing(
            what_en="a C compiler (cc), to make the stand-in for nhi_eiiapi.dll",
            what_zh=" C 編譯器（cc），以產生替代 nhi_eiiapi.dll 的演練元件",
            how_en="Install one: `apt install gcc` on Debian and Ubuntu, `xcode-select --install` "
            "on macOS.",
            how_zh="請安裝：Debian、Ubuntu 用 `apt install gcc`，macOS 用 "
            "`xcode-select --install`。",
        )
    process = await asyncio.create_subprocess_exec(
        compiler,
        "-O1",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(source),
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(_COMPILE_SECONDS):
        failed = await process.wait()
    if failed:
        raise PartMissing(
            what_en=f"a C compiler that works ({compiler} ended with {failed})",
            what_zh=f"可用的 C 編譯器（{compiler} 結束碼 {failed}）",
            how_en="Install the C library's headers (`apt install libc6-dev`).",
            how_zh="請安裝 C 函式庫標頭檔（`apt install libc6-dev`）。",
        )
