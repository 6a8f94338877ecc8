"""Loads ``nhi_eiiapi.dll`` in a process of its own: one job a line in, one answer a line out.

Needs nothing but the standard library and is no older than Python 3.8, because the library is
32-bit and so must be the Python that loads it. The parent ends this process when a call takes too
long: the library may wait for a card, open a window, or crash (its revision note of 103.3.26 tells
of a memory fault), and none of that may harm the broker.

The functions are those of NHI's 「醫療資料傳輸共通介面 API 簡易版使用說明」 103.3.26, pp. 3-8
(``NHI_SendB``, ``NHI_DownloadB``, ``NHI_GetB``) and of the control software's manual 5.1.3
(``csOpenCom``, ``csGetHospID``, ``csCloseCom``).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import IO, Any, Callable, Dict, Optional  # noqa: UP035 - Python 3.8 reads this too

_ID_BYTES = 32
"""Ids have 12 bytes; NHI's own sample gives 14 and cuts. More does no harm."""
_NAME_BYTES = 64

Job = Dict[str, Any]  # noqa: UP006


class _Libraries:
    """What a ``load`` job has opened."""

    def __init__(self) -> None:
        self.eii: Optional[ctypes.CDLL] = None  # noqa: UP045
        self.control: Optional[ctypes.CDLL] = None  # noqa: UP045


def main(stream: IO[str], answers: IO[str]) -> int:
    """Work off jobs until the input ends."""
    libraries = _Libraries()
    for line in stream:
        try:
            answer = _do(libraries, json.loads(line))
        except _Refused as refused:
            answer = {"error": refused.args[0], "reason": refused.args[1]}
        except (OSError, ctypes.ArgumentError) as error:
            # On Windows an access violation inside a library arrives as OSError.
            answer = {"error": "fault", "reason": type(error).__name__}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            answer = {"error": "job", "reason": type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


class _Refused(Exception):
    """``(code, reason)``: nothing was called."""


def _do(libraries: _Libraries, job: Job) -> Job:
    if job["do"] == "load":
        libraries.eii = _load(job["library"])
        if job.get("control"):
            libraries.control = _load(job["control"])
        return {"code": 0, "bits": ctypes.sizeof(ctypes.c_void_p) * 8}
    work = _JOBS.get(job["do"])
    if work is None:
        raise _Refused("job", "unknown")
    return work(libraries, job)


def _load(path: str) -> ctypes.CDLL:
    kind = getattr(ctypes, "WinDLL", ctypes.CDLL)
    try:
        library: ctypes.CDLL = kind(path)
    except OSError as error:
        reason = getattr(error, "winerror", None) or "not loadable"
        raise _Refused("library", str(reason)) from None
    return library


def _send(libraries: _Libraries, job: Job) -> Job:
    return _upload(_eii(libraries).NHI_SendB, job)


def _request(libraries: _Libraries, job: Job) -> Job:
    return _upload(_eii(libraries).NHI_DownloadB, job)


def _upload(function: Callable[..., int], job: Job) -> Job:
    local_id = ctypes.create_string_buffer(_ID_BYTES)
    nhi_id = ctypes.create_string_buffer(_ID_BYTES)
    code = function(
        ctypes.c_int(job["port"]),
        ctypes.c_char_p(_plain(job["reader"])),
        ctypes.c_char_p(_plain(job["file"])),
        ctypes.c_char_p(_plain(job["type"])),
        local_id,
        nhi_id,
    )
    return {"code": code, "local_id": _text(local_id), "nhi_id": _text(nhi_id)}


def _get(libraries: _Libraries, job: Job) -> Job:
    code = _eii(libraries).NHI_GetB(
        ctypes.c_int(job["port"]),
        ctypes.c_char_p(_plain(job["reader"])),
        ctypes.c_char_p(_plain(job["local_id"])),
        ctypes.c_char_p(_plain(job["nhi_id"])),
        ctypes.c_char_p(_plain(job["folder"])),
    )
    return {"code": code}


def _hospital(libraries: _Libraries, job: Job) -> Job:
    """Whose SAM the reader holds."""
    control = libraries.control
    if control is None:
        raise _Refused("job", "no control library")
    opened = control.csOpenCom(ctypes.c_int(job["port"]))
    if opened:
        return {"code": opened}
    try:
        name = ctypes.create_string_buffer(_NAME_BYTES)
        # Printed as short* in one edition of the manual and as int* in the other.
        length = ctypes.c_int(10)
        code = control.csGetHospID(name, ctypes.byref(length))
        return {"code": code, "institution": _text(name)[:10]}
    finally:
        control.csCloseCom()


def _eii(libraries: _Libraries) -> ctypes.CDLL:
    if libraries.eii is None:
        raise _Refused("library", "not loaded")
    return libraries.eii


def _plain(text: str) -> bytes:
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        # No Chinese in a path or file name (API 作業說明 101.11.20).
        raise _Refused("not-ascii", "a path holds other than ASCII") from None


def _text(buffer: Any) -> str:
    raw: bytes = buffer.raw
    return raw.partition(b"\0")[0].decode("ascii", "backslashreplace").strip()


_JOBS = {"send": _send, "request": _request, "get": _get, "hospital": _hospital}


def run() -> int:
    """What the library prints must not reach the answers: they keep the real standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    with answers:
        return main(sys.stdin, answers)


if __name__ == "__main__":
    sys.exit(run())
