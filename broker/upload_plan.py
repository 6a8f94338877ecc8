"""What goes when, what of it will be in time, and what would save the rest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from broker.lateness import Pace, Reward, reward_at
from broker.opening_hours import ALWAYS, OpeningHours
from broker.states import RecordState
from broker.store.alarms import Unconfirmed


class Remedy(StrEnum):
    """What a person can do for those that will not be in time, or wait for nothing else."""

    NOTHING = "nothing"
    OPEN_EARLIER = "open-earlier"
    """The card or the gateway is closed until too late: bring the card before the due time."""
    WORK_OFF = "work-off"
    """They are held or were rejected: the worklist says what to do."""
    NAME_UPLOADER = "name-uploader"
    """Nobody is there to upload them: settings of the institution or the agreement."""


@dataclass(slots=True)
class PlanEntry:
    """The records of one institution that stand alike. ``leaves_at`` is None where they do not
    leave by themselves; ``by_reward`` counts them by what they will be worth then, or, where they
    wait for a person, are worth now."""

    institution_code: str
    reason: str
    due_at: datetime
    leaves_at: datetime | None
    remedy: Remedy
    records: int = 0
    by_reward: dict[Reward, int] = field(default_factory=lambda: dict.fromkeys(Reward, 0))

    def to_json(self) -> dict[str, Any]:
        """Plain values; times are ISO 8601."""
        return {
            "institution": self.institution_code,
            "reason": self.reason,
            "records": self.records,
            "due_at": self.due_at.isoformat(timespec="minutes"),
            "leaves_at": self.leaves_at and self.leaves_at.isoformat(timespec="minutes"),
            "in_time": self.by_reward[Reward.FULL],
            "half": self.by_reward[Reward.HALF],
            "rate_only": self.by_reward[Reward.RATE_ONLY],
            "remedy": self.remedy.value,
        }


def plan_uploads(
    groups: Iterable[Unconfirmed],
    now: datetime,
    hours: Mapping[str, OpeningHours],
    pace: Callable[[str, str], Pace],
) -> list[PlanEntry]:
    """One entry for each institution and reason, the earliest due first.

    ``hours`` are those of the institutions that can upload: who is not among them, cannot.
    """
    entries: dict[tuple[str, str], PlanEntry] = {}
    ways: dict[tuple[str, str, str, str], tuple[PlanEntry, bool, datetime | None, datetime]] = {}
    for group in groups:
        alike = (group.uploader_code, group.clinic_code, group.state, group.held_reason)
        way = ways.get(alike)
        if way is None:
            way = ways[alike] = _way(group, entries, now, hours, pace)
        entry, waits, leaves_at, done_at = way
        entry.due_at = min(entry.due_at, group.due_at)
        entry.records += group.records
        reward = reward_at(group.due_at, done_at)
        entry.by_reward[reward] += group.records
        if waits:
            entry.remedy = Remedy.WORK_OFF
        elif group.uploader_code not in hours:
            entry.remedy = Remedy.NAME_UPLOADER
        elif leaves_at is None or (reward is not Reward.FULL and not group.is_late):
            entry.remedy = Remedy.OPEN_EARLIER
    return sorted(entries.values(), key=lambda entry: (entry.due_at, entry.institution_code))


def _way(
    group: Unconfirmed,
    entries: dict[tuple[str, str], PlanEntry],
    now: datetime,
    hours: Mapping[str, OpeningHours],
    pace: Callable[[str, str], Pace],
) -> tuple[PlanEntry, bool, datetime | None, datetime]:
    """What holds for all that are alike but for their due time: their entry, whether they wait
    for a person, when they leave and when they will be there."""
    waits = group.state in (RecordState.HELD.value, RecordState.REJECTED.value)
    reason = group.held_reason or group.state
    institution = group.uploader_code or group.clinic_code
    leaves_at = None if waits else _leaves_at(group, now, hours)
    done_at = now
    if leaves_at is not None:
        done_at = leaves_at + pace(group.uploader_code, group.clinic_code).to_receipt
    entry = entries.setdefault(
        (institution, reason),
        PlanEntry(institution, reason, group.due_at, leaves_at, Remedy.NOTHING),
    )
    return entry, waits, leaves_at, done_at


def _leaves_at(
    group: Unconfirmed, now: datetime, hours: Mapping[str, OpeningHours]
) -> datetime | None:
    if group.uploader_code not in hours:
        return None
    return hours.get(group.uploader_code, ALWAYS).next_open(now)
