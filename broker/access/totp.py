"""Codes of an authenticator app (RFC 6238): SHA-1, six digits, steps of 30 seconds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from io import BytesIO
from urllib.parse import quote

import segno

STEP_SECONDS = 30
_DIGITS = 6
_DRIFT = 1
"""Steps that the clock of a telephone may be off, either way."""


def new_secret() -> str:
    """160 random bits in Base32, as RFC 4226 section 4 asks."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


def code_at(secret: str, step: int) -> str:
    """The code of a time step (seconds since 1970 divided by 30)."""
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}d}"


def step_at(now: datetime) -> int:
    """The time step of an aware instant."""
    return int(now.timestamp()) // STEP_SECONDS


def matching_step(secret: str, code: str, now: datetime, after: int) -> int | None:
    """The step whose code was given; None where none fits. Steps up to ``after`` were used
    already: a code that was overseen on a screen opens nothing."""
    given = "".join(each for each in code if not each.isspace())
    plain = given.encode("utf-8", "surrogatepass")
    current = step_at(now)
    found = None
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), plain) and step > after:
            found = step
    return found


def otpauth_uri(secret: str, login: str, issuer: str = "labbroker") -> str:
    """What an authenticator app reads from the QR code."""
    label = quote(f"{issuer}:{login}")
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}"


def qr_svg(text: str) -> str:
    """``text`` as a QR code: one inline ``<svg>`` without style and script."""
    written = BytesIO()
    segno.make(text, error="m", micro=False).save(
        written,
        kind="svg",
        xmldecl=False,
        svgns=True,
        scale=5,
        border=4,
        light="#ffffff",
        omitsize=False,
    )
    return written.getvalue().decode("utf-8")
