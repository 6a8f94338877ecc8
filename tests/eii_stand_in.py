"""The stand-in for NHI's EII library, compiled, and the file that it takes for a reader."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import Require

SOURCE = Path(__file__).parents[1] / "broker" / "sandbox" / "native" / "nhi_eiiapi.c"
TEMPLATE = "FILE={file}"
"""What the stand-in gateway understands as a request for a check report."""


def compiled(folder: Path, require: Require) -> Path:
    """The library, made with the C compiler of this machine; once for each ``folder``."""
    library = folder / "libnhi_eiiapi.so"
    if library.exists():
        return library
    compiler = shutil.which("cc") or shutil.which("gcc")
    require(compiler, "a C compiler (cc or gcc) makes the stand-in for nhi_eiiapi.dll")
    made = folder / "made.so"
    options = ("-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC")
    subprocess.run([str(compiler), *options, "-o", made, SOURCE], check=True, timeout=120)
    return made.rename(library)


@dataclass(frozen=True)
class Reader:
    """What stands for ``Reader.dll``: whose SAM it holds, and the next fault."""

    file: Path

    @classmethod
    def of(cls, folder: Path, gateway_url: str, institution: str) -> Reader:
        url = urlsplit(gateway_url)
        file = folder / "Reader.txt"
        file.write_text(f"{url.hostname} {url.port} {institution}\n", "ascii")
        return cls(file)

    def fault(self, word: str) -> None:
        """What the next call meets."""
        Path(f"{self.file}.fault").write_text(word, "ascii")

    def calm(self) -> None:
        """The next call meets nothing."""
        Path(f"{self.file}.fault").unlink(missing_ok=True)
