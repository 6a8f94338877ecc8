"""What goes when, what of it will be in time, and what would save the rest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from broker.lateness import (
    AHEAD,
    FAR,
    HALF_REWARD,
    Pace,
    Reward,
    part_leaves_at,
    reward_at,
)
from broker.opening_hours import OpeningHours
from broker.states import RecordState
from broker.store.unconfirmed import LONG_AGO, PART, Unconfirmed


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


@dataclass(frozen=True, slots=True)
class Leaving:
    """By what the plan tells when records leave. ``hours`` are those of the institutions that can
    upload: who is not among them, cannot. ``pace`` is that of an uploader and a clinic."""

    now: datetime
    hours: Mapping[str, OpeningHours]
    pace: Callable[[str, str], Pace]
    parts_ahead: timedelta = AHEAD
    press: timedelta = timedelta()

    def way_of(self, group: Unconfirmed) -> Way:
        """What holds for all records of a group, whenever they are due."""
        if group.state in (RecordState.HELD.value, RecordState.REJECTED.value):
            return Way(True, None, self.now)
        if group.uploader_code not in self.hours:
            return Way(False, None, self.now)
        hours = self.hours[group.uploader_code]
        soonest = leaves_at = hours.next_open(self.now)
        if group.held_reason == PART:
            leaves_at = part_leaves_at(
                group.due_at, self.now, hours, ahead=self.parts_ahead, margin=self.press
            )
        if soonest is None:
            return Way(False, None, self.now)
        pace = self.pace(group.uploader_code, group.clinic_code)
        return Way(False, leaves_at, soonest + pace.to_receipt)


class Way(NamedTuple):
    """``waits`` for a person; else ``leaves_at`` then, None where it cannot. What is due before
    ``done_at`` will not be in time."""

    waits: bool
    leaves_at: datetime | None
    done_at: datetime

    def edges(self, now: datetime) -> tuple[datetime, ...]:
        """The due times between which records of a group are worth the same."""
        return (LONG_AGO, *sorted({now, self.done_at, self.done_at - HALF_REWARD}), FAR)


def plan_uploads(groups: Iterable[Unconfirmed], leaving: Leaving) -> list[PlanEntry]:
    """One entry for each institution and reason, the earliest due first. Each group lies between
    two of its way's edges."""
    entries: dict[tuple[str, str], PlanEntry] = {}
    ways: dict[tuple[str, str, str, str], Way] = {}
    for group in groups:
        alike = (group.uploader_code, group.clinic_code, group.state, group.held_reason)
        way = ways.get(alike)
        if way is None:
            way = ways[alike] = leaving.way_of(group)
        reason = group.held_reason or group.state
        institution = group.uploader_code or group.clinic_code
        entry = entries.setdefault(
            (institution, reason),
            PlanEntry(institution, reason, group.due_at, way.leaves_at, Remedy.NOTHING),
        )
        if way.leaves_at is not None and entry.leaves_at is not None:
            entry.leaves_at = min(entry.leaves_at, way.leaves_at)
        entry.due_at = min(entry.due_at, group.due_at)
        entry.records += group.records
        reward = reward_at(group.due_at, way.done_at)
        entry.by_reward[reward] += group.records
        is_late = group.due_at < leaving.now
        if way.waits:
            entry.remedy = Remedy.WORK_OFF
        elif group.uploader_code not in leaving.hours:
            entry.remedy = Remedy.NAME_UPLOADER
        elif way.leaves_at is None or (reward is not Reward.FULL and not is_late):
            entry.remedy = Remedy.OPEN_EARLIER
    return sorted(entries.values(), key=lambda entry: (entry.due_at, entry.institution_code))
