"""How what we post is signed: HMAC-SHA-256 over the time and the body, with a shared secret."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

SIGNATURE = "X-Labbroker-Signature"


def sign(secret: bytes, at: datetime, body: bytes) -> str:
    """``t=UNIX-SECONDS,v1=HEX``: over ``t``, a full stop and the body."""
    seconds = int(at.timestamp())
    digest = hmac.new(secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
