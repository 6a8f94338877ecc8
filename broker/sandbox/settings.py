"""How the stand-in gateway shall behave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

DOCUMENTED_PASSWORD = "A123456789"  # noqa: S105  a made-up id, printed in the reference


class RepeatRule(StrEnum):
    """What happens to a file name that was taken before. The real rule is not published."""

    TELL = "tell"
    """Refused with code 27, with the earlier receipt and its checksum."""
    REFUSE = "refuse"
    """Refused with code 27 and nothing more."""
    ACCEPT = "accept"
    """Taken again under a new receipt: the hardest case for a sender that must not repeat."""


class ReportEncryption(StrEnum):
    AES = "aes"
    ZIPCRYPTO = "zipcrypto"
    NONE = "none"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """All figures that a test or a rehearsal may want to turn; times are ``timedelta``.

    ``trusted`` are PEM certificates of the authorities whose institutions may log in.
    ``institutions`` and ``fee_schedule`` extend codes 28 and 37 when they are given.
    ``report_password`` stands for the id of the person who is logged in.
    ``operator_token`` opens ``/ledger`` and ``/faults``; empty closes them.
    """

    folder: Path
    trusted: tuple[bytes, ...]
    verdict_delay: timedelta = timedelta(0)
    query_lag: timedelta = timedelta(0)
    lagging_answer: str = "absent"
    repeats: RepeatRule = RepeatRule.TELL
    report_encryption: ReportEncryption = ReportEncryption.AES
    report_password: str = DOCUMENTED_PASSWORD
    report_kept: timedelta = timedelta(days=14)
    institutions: frozenset[str] | None = None
    fee_schedule: frozenset[str] = frozenset()
    operator_token: str = ""
    session_lifetime: timedelta = timedelta(minutes=15)
    nonce_lifetime: timedelta = timedelta(minutes=1)
    largest_package: int = 20_000_000
    largest_document: int = 100_000_000
    fault_rate: float = 0.0
    fault_seed: int = 0
    hold: timedelta = timedelta(seconds=30)
    """How long a fault that stays silent does so."""
    eii: bool = False
    """Whether the stand-in for NHI's EII library may come: its routes ask for no login."""
    clock: Callable[[], datetime] = _now
