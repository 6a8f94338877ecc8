"""Codes that a person types once: for the first sign-in, and in place of a lost second factor."""

from __future__ import annotations

import hashlib
import secrets

# Without what is mistaken for another: 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
_LETTERS = "3467ACDEFGHJKMNPQRTWXY9"
_GROUPS = 4
_GROUP = 5
RECOVERY_CODES = 10


def new_code() -> str:
    """``7KWQ3-…``: four groups of five, 90 random bits: too many to guess, few enough to type."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def new_recovery_codes() -> list[str]:
    """A sheet of codes; each may be used once."""
    return [new_code() for _ in range(RECOVERY_CODES)]


def digest_of_code(code: str) -> bytes:
    """What the store keeps. Case, spaces and hyphens do not count.

    A plain SHA-256 is enough: 90 random bits cannot be tried through.
    """
    plain = "".join(each for each in code.upper() if each.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
