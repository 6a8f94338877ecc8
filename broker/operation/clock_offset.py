"""How far the machine's clock is off, as the kernel's own time keeping says."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

# linux/timex.h: the clock is not kept by anybody; offsets are nanoseconds.
_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock_offset() -> float | None:
    """Seconds between this clock and the time that NTP told; None where nobody keeps the clock,
    or the system does not say."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        asked = _Timex()
        library = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
        if library.adjtimex(ctypes.byref(asked)) < 0 or asked.status & _UNSYNCHRONISED:
            return None
    except (OSError, AttributeError):
        return None
    unit = 1e9 if asked.status & _NANOSECONDS else 1e6
    return float(asked.offset) / unit
