"""How a card stands, as its owner is told: there or not, unlocked or not, how many tries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CardCondition(StrEnum):
    ABSENT = "absent"
    """No such card is in a reader."""
    LOCKED = "locked"
    """It is there, and nobody has entered its PIN since."""
    READY = "ready"
    HELD = "held"
    """Its PIN was wrong so often that the next wrong one may lock it: a person must want it."""
    BLOCKED = "blocked"
    """It has locked itself; only its issuer can help."""
    FAULT = "fault"
    """It, its reader or their software does not answer as it should."""


class TriesLeft(StrEnum):
    """PKCS#11 tells no number, only these (v2.40, CKF_USER_PIN_…)."""

    ALL = "all"
    FEWER = "fewer"
    ONE = "one"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CardState:
    """``name`` is the card's in the settings. ``certificate`` is PEM, or empty while the card is
    not there. ``wrong_entries`` counts PINs that were not accepted since the last that was.
    ``reason`` is a word of our code."""

    name: str
    condition: CardCondition
    institution_code: str = ""
    label: str = ""
    serial: str = ""
    certificate: str = ""
    tries: TriesLeft = TriesLeft.UNKNOWN
    wrong_entries: int = 0
    keypad: bool = False
    """The PIN is typed on the reader."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReaderState:
    """A PC/SC reader. ``atr`` is in hexadecimal, empty without a card."""

    name: str
    has_card: bool
    atr: str = ""
    mute: bool = False
    """A card is in it and does not answer."""
