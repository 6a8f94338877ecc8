"""The settings of delivery: destinations of results, limits of critical values."""

from __future__ import annotations

from urllib.parse import urlsplit

from broker.config.problems import ContradictingSettings
from broker.config.reading import Values
from broker.config.shape import REQUIRED, Key, Kind, Section
from broker.delivery.agreement import (
    DeliveryAgreement,
    DeliveryFormat,
    DeliveryKind,
    DeliveryTls,
)
from mapping.critical import CriticalLimit
from mapping.errors import LabbrokerError
from mapping.values import parse_decimal

DELIVERY = Section(
    "delivery",
    "Where the results of a clinic go, by agreement. See [delivery](../explanation/delivery.md).",
    (
        Key("name", Kind.TEXT, REQUIRED, "Its own name; what is queued belongs to it."),
        Key("clinic", Kind.INSTITUTION, REQUIRED, "The clinic that ordered."),
        Key("lab", Kind.INSTITUTION, "", "Only results of this laboratory; unset means all."),
        Key(
            "kind",
            Kind.CHOICE,
            REQUIRED,
            "How: HL7 v2 over MLLP, files in a folder, a FHIR REST hook, the console's inbox.",
            choices=tuple(DeliveryKind),
        ),
        Key(
            "format",
            Kind.CHOICE,
            "hl7",
            "What a file in the folder holds.",
            choices=tuple(DeliveryFormat),
        ),
        Key("host", Kind.TEXT, "", "For `mllp`: the receiver."),
        Key("port", Kind.INTEGER, 0, "For `mllp`: its port.", least=0, most=65535),
        Key("tls", Kind.BOOLEAN, False, "For `mllp`: speak TLS 1.2 or newer."),
        Key("tls_ca", Kind.PATH, None, "Who vouches for the receiver; unset: the system's list."),
        Key("tls_certificate", Kind.PATH, None, "Our certificate, where the receiver wants one."),
        Key("tls_key", Kind.PATH, None, "Its key."),
        Key(
            "folder",
            Kind.PATH,
            None,
            "For `folder`: an existing folder; a share that is away is waited for.",
        ),
        Key("url", Kind.TEXT, "", "For `fhir-hook`: what is posted to; `https`, or this machine."),
        Key("secret", Kind.SECRET, None, "For `fhir-hook`: with what notifications are signed."),
        Key(
            "charset",
            Kind.CHOICE,
            "utf-8",
            "Characters of HL7 messages. What Big5 lacks is refused, never replaced.",
            choices=("utf-8", "big5"),
        ),
        Key("receiving_application", Kind.TEXT, "", "MSH-5 of HL7 messages."),
        Key("receiving_facility", Kind.TEXT, "", "MSH-6; unset means the clinic's code."),
        Key("heading", Kind.TEXT, "", "The laboratory's name atop a PDF."),
        Key("preliminary", Kind.BOOLEAN, True, "Send preliminary reports too."),
        Key("answer_seconds", Kind.NUMBER, 30, "How long an answer is waited for.", least=1),
    ),
    repeated=True,
)

CRITICAL_LIMIT = Section(
    "critical_limit",
    "A value that a person must confirm at once, beside those that the laboratory flags HH, LL "
    "or AA.",
    (
        Key("code", Kind.TEXT, REQUIRED, "The item's code, as the laboratory sends it."),
        Key("unit", Kind.TEXT, "", "Its unit, as sent; another unit is never compared."),
        Key("below", Kind.TEXT, "", 'Critical when less than this, as text: `"2.5"`.'),
        Key("above", Kind.TEXT, "", "Critical when more than this."),
        Key("source", Kind.TEXT, "", "Only from this source; unset means all."),
    ),
    repeated=True,
)

_CHARSETS = {"utf-8": "utf-8", "big5": "cp950"}
_LOCAL = ("localhost", "127.0.0.1", "::1")


def deliveries(root: Values) -> tuple[DeliveryAgreement, ...]:
    """The destinations of values that have no problem of their own."""
    return tuple(_delivery(entry) for entry in root.entries["delivery"])


def critical_limits(root: Values) -> tuple[CriticalLimit, ...]:
    """The limits of values that have no problem of their own."""
    return tuple(
        CriticalLimit(
            entry["code"],
            entry["unit"],
            parse_decimal(entry["below"]),
            parse_decimal(entry["above"]),
            entry["source"],
        )
        for entry in root.entries["critical_limit"]
    )


def delivery_contradictions(root: Values) -> list[LabbrokerError]:
    """Destinations that cannot work, and limits that are none."""
    problems: list[LabbrokerError] = []
    names = [entry["name"] for entry in root.entries["delivery"]]
    for entry in root.entries["delivery"]:
        what = _missing(entry)
        if names.count(entry["name"]) > 1:
            what = f"the delivery name {entry['name']} is used twice"
        if what:
            problems.append(ContradictingSettings(place=entry.place, what=what))
    for entry in root.entries["critical_limit"]:
        sides = (entry["below"], entry["above"])
        if not any(sides) or any(side and parse_decimal(side) is None for side in sides):
            what = "below or above is a number in quotes"
            problems.append(ContradictingSettings(place=entry.place, what=what))
    return problems


def _missing(entry: Values) -> str:
    kind = entry["kind"]
    if kind == "mllp" and not (entry["host"] and entry["port"]):
        return "kind mllp needs host and port"
    if kind == "folder" and entry["folder"] is None:
        return "kind folder needs folder"
    if kind == "fhir-hook":
        if not entry["url"] or entry["secret"] is None:
            return "kind fhir-hook needs url and secret"
        try:
            url = urlsplit(entry["url"])
            host = url.hostname
        except ValueError:
            return "url cannot be read"
        if url.username or url.query or url.fragment:
            return "url has no name, query or fragment"
        if url.scheme != "https" and not (url.scheme == "http" and host in _LOCAL):
            return "url is https, unless it is this machine"
    if (entry["tls_certificate"] is None) != (entry["tls_key"] is None):
        return "tls_certificate and tls_key belong together"
    return ""


def _delivery(entry: Values) -> DeliveryAgreement:
    has_tls = entry["tls"] or entry["tls_ca"] or entry["tls_certificate"]
    return DeliveryAgreement(
        name=entry["name"],
        clinic_code=entry["clinic"],
        kind=DeliveryKind(entry["kind"]),
        format=DeliveryFormat(entry["format"]),
        lab_code=entry["lab"],
        host=entry["host"],
        port=entry["port"],
        tls=DeliveryTls(entry["tls_ca"], entry["tls_certificate"], entry["tls_key"])
        if has_tls
        else None,
        folder=entry["folder"],
        url=entry["url"],
        secret=entry["secret"],
        charset=_CHARSETS[entry["charset"]],
        receiving_application=entry["receiving_application"],
        receiving_facility=entry["receiving_facility"],
        heading=entry["heading"],
        preliminary=entry["preliminary"],
        answer_seconds=entry["answer_seconds"],
    )
