"""The settings of alarms: from when on a person is told of what stops work, or of a danger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from broker.config.reading import Values
from broker.config.shape import Key, Kind, Section

ALARM = Section(
    "alarm",
    "When alarms open, beside those of deadlines (`warn_before_hours`). See "
    "[the clock](../explanation/the-clock.md).",
    (
        Key(
            "critical_minutes",
            Kind.NUMBER,
            30,
            "A critical result, or its correction, is to be confirmed within this time; that is "
            "what its alarm names as due.",
            least=1,
            most=1440,
        ),
        Key(
            "delivery_minutes",
            Kind.NUMBER,
            30,
            "A result that has not reached its destination for this long (`delivery-stuck`).",
            least=1,
            most=10_080,
        ),
        Key(
            "silent_hours",
            Kind.NUMBER,
            2,
            "A source is silent no sooner than this, however often it usually sends "
            "(`source-silent`).",
            least=1,
            most=168,
        ),
        Key(
            "disk_free_percent",
            Kind.NUMBER,
            5,
            "Less than this part of the data folder's disk is free (`disk-low`).",
            least=1,
            most=90,
        ),
        Key(
            "backup_hours",
            Kind.NUMBER,
            48,
            "The last verified backup is older (`backup-old`); two nights, so that one that failed "
            "is made up for by the next.",
            least=1,
            most=8760,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """``disk_free`` is a part, 0 to 1."""

    critical: timedelta = timedelta(minutes=30)
    delivery: timedelta = timedelta(minutes=30)
    silence: timedelta = timedelta(hours=2)
    disk_free: float = 0.05
    backup: timedelta = timedelta(hours=48)


def alarm_limits(values: Values) -> AlarmLimits:
    """The limits of values that have no problem of their own."""
    return AlarmLimits(
        critical=timedelta(minutes=values["critical_minutes"]),
        delivery=timedelta(minutes=values["delivery_minutes"]),
        silence=timedelta(hours=values["silent_hours"]),
        disk_free=values["disk_free_percent"] / 100,
        backup=timedelta(hours=values["backup_hours"]),
    )
