"""Which records may come late, told while there is still time to do something. Pure.

A record that is due when its card is away or the gateway is closed must leave before: what counts
is the last moment at which it can be sent. A person is warned ``ahead`` of that moment (six hours,
``design/promises.md``), and earlier by what the slow ones took lately.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from broker.opening_hours import ALWAYS, OpeningHours

AHEAD = timedelta(hours=6)
FAR = datetime(9999, 1, 1, tzinfo=UTC)
_NOTHING = timedelta()


@dataclass(frozen=True, slots=True)
class Pace:
    """What 95 of 100 took lately: ``to_ready`` from a held result's arrival until a person had it
    ready, ``to_receipt`` from the start of a send to the gateway's receipt."""

    to_ready: timedelta = _NOTHING
    to_receipt: timedelta = _NOTHING


class Reward(IntEnum):
    """What an upload is still worth (nhi-upload-format 5.1: from 110-10, in time 100 %, one to
    three days late 50 %). The lower, the sooner it must leave."""

    FULL = 0
    HALF = 1
    RATE_ONLY = 2


HALF_REWARD = timedelta(hours=72) - timedelta(hours=24)
"""How long after the 24 hours half of the reward is paid: to three days from the start."""


def last_chance(due: datetime, hours: OpeningHours = ALWAYS) -> datetime | None:
    """The last moment at which a record due at ``due`` can be sent in time; None: there is none."""
    return hours.last_open(due)


def warn_at(
    due: datetime,
    hours: OpeningHours = ALWAYS,
    pace: Pace | None = None,
    *,
    held: bool = False,
    ahead: timedelta = AHEAD,
) -> datetime | None:
    """When a person is told of a record that has not left by then; None: at once."""
    chance = last_chance(due, hours)
    return None if chance is None else chance - ahead - _slow(pace, held)


def risk_horizon(
    now: datetime,
    hours: OpeningHours = ALWAYS,
    pace: Pace | None = None,
    *,
    held: bool = False,
    ahead: timedelta = AHEAD,
) -> datetime:
    """What is due before this is at risk now: the inverse of :func:`warn_at`, so that a store can
    be asked for all of it at once."""
    reach = now + ahead + _slow(pace, held)
    if hours.is_open(reach):
        return reach + timedelta(microseconds=1)
    return hours.next_open(reach) or FAR


def part_horizon(
    now: datetime, hours: OpeningHours, *, ahead: timedelta, margin: timedelta
) -> datetime:
    """Of the orders some lines of which are still to come, those that are due before this leave
    now without them: their last chance is ``ahead`` away, or will be before it opens again and it
    closes within ``margin``. ``now`` is open."""
    closes_at = hours.closes_at(now)
    reach: datetime | None = now
    if closes_at is not None and closes_at - margin <= now:
        reach = hours.next_open(closes_at)
    return FAR if reach is None else risk_horizon(reach, hours, ahead=ahead)


def part_leaves_at(
    due: datetime, now: datetime, hours: OpeningHours, *, ahead: timedelta, margin: timedelta
) -> datetime | None:
    """When a part that is due then leaves by :func:`part_horizon`, as things stand; None where it
    does not open for long."""
    soonest = hours.next_open(now)
    if soonest is None:
        return None
    at = warn_at(due, hours, ahead=ahead) or soonest
    closed_at = hours.last_open(at)
    if closed_at is not None and closed_at < at:
        at = closed_at - margin
    return max(at, soonest)


def reward_at(due: datetime, at: datetime) -> Reward:
    """What an upload confirmed ``at`` is worth."""
    if at <= due:
        return Reward.FULL
    return Reward.HALF if at <= due + HALF_REWARD else Reward.RATE_ONLY


def _slow(pace: Pace | None, held: bool) -> timedelta:
    if pace is None:
        return _NOTHING
    return pace.to_receipt + (pace.to_ready if held else _NOTHING)
