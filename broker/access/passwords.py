"""Passwords: what is taken, and how it is kept.

Sources: OWASP ASVS 5.0, 6.2.1-6.2.12 (length, no rules of composition, common and context words)
and 11.4.2 (argon2id).
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from importlib.resources import files

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 12
LONGEST = 256

# OWASP's second profile (19 MiB, two passes) is the least; this machine answers in about 50 ms.
_HASHER = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)


class Weakness(StrEnum):
    """Why a password is not taken."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    ABOUT_YOU = "about-you"


# Words from which people make the long passwords that everybody guesses first. Our own list: the
# public ones hold little beyond these once twelve characters are asked for.
_COMMON = frozenset(
    files(__package__).joinpath("common_passwords.csv").read_text("utf-8").split()[1:]
)
_RUNS = (
    "01234567890123456789",
    "98765432109876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
)
_TAIL = "0123456789 !@#$%^&*()-_=+.,?~"
_LEET = str.maketrans("@$!013457", "asioieast")


def weakness(password: str, *about: str) -> Weakness | None:
    """Why ``password`` is not taken, or None. ``about`` are words close to the person: the login,
    the name, the codes of the institutions."""
    text = normal(password)
    if len(text) < SHORTEST:
        return Weakness.SHORT
    if len(text) > LONGEST:
        return Weakness.LONG
    low = text.casefold()
    known = [each.casefold() for each in about if len(each) >= 3]
    if _is_made_of(low, known):
        return Weakness.ABOUT_YOU
    if len(set(low)) <= 4 or _is_run(low) or _is_made_of(low, _COMMON):
        return Weakness.COMMON
    if _is_made_of(low.rstrip(_TAIL).translate(_LEET), _COMMON):
        return Weakness.COMMON
    return None


def hash_password(password: str) -> str:
    """Argon2id in its own text form, with a salt of its own. Takes about 50 ms: not on the loop."""
    return _HASHER.hash(_bytes(password))


def is_password(kept: str, password: str) -> bool:
    """Whether ``password`` is the one that was kept. As slow as :func:`hash_password`, also where
    nothing was kept, so that the time tells nobody which accounts exist."""
    try:
        return _HASHER.verify(kept or _NOBODYS, _bytes(password)) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


def normal(password: str) -> str:
    """One form for letters that can be typed in two ways (NFC); nothing is cut or trimmed."""
    return unicodedata.normalize("NFC", password)


def _bytes(password: str) -> bytes:
    # A form may hold surrogates, where a browser sent no UTF-8.
    return normal(password).encode("utf-8", "surrogatepass")


def _is_run(low: str) -> bool:
    """Whether it is one row of the keyboard or of the alphabet, forwards or backwards."""
    return any(low in run * 2 or low in run[::-1] * 2 for run in _RUNS)


def _is_made_of(low: str, words: frozenset[str] | list[str]) -> bool:
    """Whether hardly anything is left of it without the words: less than six characters that are
    not digits or signs at the end, as in ``Labbroker2026!``."""
    left = low
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    if left == low:
        return False
    return len(left.strip(_TAIL)) < 4


_NOBODYS = _HASHER.hash("nobody's password")
