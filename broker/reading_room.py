"""Where payloads are read that could take the service with them.

Large ones, spreadsheets and whatever was being read when the service last died go to a child
process with a limit of time and memory. What hangs there, or ends it, is one refused payload.
"""

from __future__ import annotations

import asyncio
import copyreg
import json
import pickle
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from adapters.ports.intake import Media
from mapping.errors import LabbrokerError, Language
from mapping.parsed import ParsedPayload
from mapping.profile import CodeMap, SourceProfile

MEMORY_BYTES = 4 * 1024**3
LIMIT_SECONDS = 120.0
_COMMAND = (sys.executable, "-m", "broker.reading_child")
_LENGTH = struct.Struct(">Q")
_LANGUAGES: tuple[Language, ...] = ("en", "zh")


class TooComplex(LabbrokerError):
    code = "too-complex"
    en = (
        "The payload is nested too deeply, or takes more memory than reading may use.",
        "Let the sender split it; report the fault if it is an ordinary result.",
    )
    zh = ("內容層次過深或過大，超出讀取上限。", "請送件端分批傳送；若為一般結果，請回報此問題。")


class ReaderTooSlow(LabbrokerError):
    code = "reader-too-slow"
    en = ("Reading took more than {seconds} seconds.", "Let the sender split the file.")
    zh = ("讀取超過 {seconds} 秒。", "請送件端分割檔案後重送。")


class ReaderEnded(LabbrokerError):
    code = "reader-ended"
    en = ("Reading it ended the reader.", "Ask the sender for another copy; report the fault.")
    zh = ("讀取此內容時程式異常結束。", "請送件端重新產生檔案，並回報此問題。")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is nothing to draft from. ``code`` and ``text`` as of an error; ``texts`` is JSON:
    sentence and remedy by language."""

    code: str
    text: str
    texts: str = ""

    @staticmethod
    def of(error: LabbrokerError) -> Refusal:
        """What ``error`` says."""
        texts = {
            language: [error.sentence(language), error.remedy(language)] for language in _LANGUAGES
        }
        return Refusal(error.code, str(error), json.dumps(texts, ensure_ascii=False))


class ReadingRoom:
    """One child, started when it is first needed. Not for two readers at once: they queue."""

    def __init__(
        self, limit_seconds: float = LIMIT_SECONDS, command: Sequence[str] = _COMMAND
    ) -> None:
        self._limit_seconds = limit_seconds
        self._command = command
        self._child: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    async def read(
        self, media: Media, raw: bytes, profile: SourceProfile
    ) -> ParsedPayload | Refusal:
        """What the reader of ``media`` makes of it; never raises for what the payload does."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._limit_seconds):
                    return await self._ask(media, raw, profile)
            except TimeoutError:
                await self.close()
                seconds = f"{self._limit_seconds:.0f}"
                return Refusal.of(ReaderTooSlow(seconds=seconds))
            except (OSError, EOFError, asyncio.IncompleteReadError):
                await self.close()
                return Refusal.of(ReaderEnded())
            except asyncio.CancelledError:
                await self.close()
                raise

    async def close(self) -> None:
        """End the child, whatever it does."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        await child.wait()

    async def _ask(
        self, media: Media, raw: bytes, profile: SourceProfile
    ) -> ParsedPayload | Refusal:
        child = self._child
        if child is None or child.returncode is not None:
            # Its words could hold a patient's data: nobody hears them.
            child = self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        if child.stdin is None or child.stdout is None:
            raise EOFError
        if media is not Media.HL7V2:
            # Only who reads a clinic's orders asks what codes mean; the map may be large.
            profile = replace(profile, code_map=CodeMap())
        frame = pickle.dumps((media, raw, profile))
        child.stdin.write(_LENGTH.pack(len(frame)) + frame)
        await child.stdin.drain()
        (length,) = _LENGTH.unpack(await child.stdout.readexactly(_LENGTH.size))
        answer: ParsedPayload | Refusal = pickle.loads(  # noqa: S301 - from our own child
            await child.stdout.readexactly(length)
        )
        return answer


def _view_parts(view: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _view, (dict(view),)


def _view(shown: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(shown)


# Read-only views of settings and tables travel as what they show.
copyreg.pickle(MappingProxyType, _view_parts)
