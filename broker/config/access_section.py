"""The settings of who may come in at the console and the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from broker.config.reading import Values
from broker.config.shape import Key, Kind, Section


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """``behind_tls``: a proxy in front speaks TLS with the browsers. ``second_factor_always``:
    nobody comes in without one, at this machine neither."""

    second_factor_always: bool = False
    idle: timedelta = timedelta(minutes=60)
    absolute: timedelta = timedelta(hours=12)
    behind_tls: bool = False


ACCESS = Section(
    "access",
    "Who comes in at the console and the API.",
    (
        Key(
            "second_factor",
            Kind.CHOICE,
            "away",
            "Who must have an authenticator app: `away` those who sign in from another machine, "
            "`always` everybody. Who has one is always asked for its code.",
            choices=("away", "always"),
        ),
        Key(
            "idle_minutes",
            Kind.INTEGER,
            60,
            "A session that is not used for this time ends.",
            least=1,
            most=720,
        ),
        Key(
            "session_hours",
            Kind.INTEGER,
            12,
            "A session ends after this time, used or not.",
            least=1,
            most=24,
        ),
        Key(
            "behind_tls",
            Kind.BOOLEAN,
            False,
            "A proxy in front of the HTTP door speaks TLS with the browsers, sets "
            "`X-Forwarded-For`, and nobody reaches the door past it.",
        ),
    ),
)


def access_settings(values: Values) -> AccessSettings:
    """The section ``[access]``."""
    return AccessSettings(
        second_factor_always=values["second_factor"] == "always",
        idle=timedelta(minutes=values["idle_minutes"]),
        absolute=timedelta(hours=values["session_hours"]),
        behind_tls=values["behind_tls"],
    )
