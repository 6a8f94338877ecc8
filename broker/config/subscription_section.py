"""The settings of FHIR subscriptions: how their secrets are kept, where they may send to."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from broker.config.reading import Values
from broker.config.secret import SecretReference
from broker.config.shape import Key, Kind, Section

SUBSCRIPTION = Section(
    "subscription",
    "FHIR subscriptions, which the system of a clinic makes for itself with a token of "
    "`reads_for`. See [FHIR](fhir.md).",
    (
        Key("enabled", Kind.BOOLEAN, True, "Whether there are any."),
        Key(
            "key",
            Kind.SECRET,
            None,
            "With what the headers of subscriptions (`channel.header`) are encrypted in the store; "
            "the same on every node. Without it a subscription with a header is refused.",
        ),
        Key(
            "networks",
            Kind.NETWORKS,
            (),
            'Where endpoints may be beside public addresses: `["10.8.0.0/16"]` for the VPN of '
            "clinics. Plain `http` is for this machine alone, and only where it is named here.",
        ),
        Key(
            "most_of_source",
            Kind.INTEGER,
            20,
            "Subscriptions of one source at most.",
            least=1,
            most=1000,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class SubscriptionSettings:
    enabled: bool = True
    key: SecretReference | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    most_of_source: int = 20


def subscription_settings(values: Values) -> SubscriptionSettings:
    """The settings of values that have no problem of their own."""
    return SubscriptionSettings(**{key.name: values[key.name] for key in SUBSCRIPTION.keys})
