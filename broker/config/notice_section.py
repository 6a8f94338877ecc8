"""The settings of notices: who is told of alarms, and how."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.config.problems import ContradictingSettings
from broker.config.reading import Values
from broker.config.secret import SecretReference
from broker.config.shape import REQUIRED, Key, Kind, Section
from mapping.errors import LabbrokerError

NOTICE = Section(
    "notice",
    "Who is told of alarms, once when one opens and once when it is over. No notice names a "
    "patient.",
    (
        Key("name", Kind.TEXT, REQUIRED, "Its own name."),
        Key("kind", Kind.CHOICE, REQUIRED, "How.", choices=("email", "webhook")),
        Key("url", Kind.TEXT, "", "For `webhook`: what is posted to; `https`, or this machine."),
        Key(
            "secret",
            Kind.SECRET,
            None,
            "For `webhook`: with what it is signed. For `email`: the mail server's password.",
        ),
        Key("host", Kind.TEXT, "", "For `email`: the mail server."),
        Key("port", Kind.INTEGER, 587, "Its port.", least=1, most=65535),
        Key(
            "tls",
            Kind.CHOICE,
            "starttls",
            "How the mail server is spoken to; `none` is for this machine.",
            choices=("starttls", "tls", "none"),
        ),
        Key("user", Kind.TEXT, "", "The account at the mail server; unset: it asks for none."),
        Key("sender", Kind.TEXT, "", "The address that mails come from."),
        Key("to", Kind.TEXTS, (), "The addresses that are told."),
    ),
    repeated=True,
)


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """One way to tell of alarms; ``kind`` is ``email`` or ``webhook``."""

    name: str
    kind: str
    url: str = ""
    secret: SecretReference | None = None
    host: str = ""
    port: int = 587
    tls: str = "starttls"
    user: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()


def notices(root: Values) -> tuple[NoticeSettings, ...]:
    """The ways of values that have no problem of their own."""
    return tuple(
        NoticeSettings(**{key.name: entry[key.name] for key in NOTICE.keys})
        for entry in root.entries["notice"]
    )


def notice_contradictions(root: Values) -> list[LabbrokerError]:
    """Ways that cannot work."""
    names = [entry["name"] for entry in root.entries["notice"]]
    problems: list[LabbrokerError] = []
    for entry in root.entries["notice"]:
        what = _missing(entry)
        if names.count(entry["name"]) > 1:
            what = f"the notice name {entry['name']} is used twice"
        if what:
            problems.append(ContradictingSettings(place=entry.place, what=what))
    return problems


def _missing(entry: Values) -> str:
    if entry["kind"] == "webhook":
        try:
            url = urlsplit(entry["url"])
            local = url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
        except ValueError:
            return "url cannot be read"
        if not (url.scheme == "https" or local):
            return "kind webhook needs url: https, unless it is this machine"
        return "" if entry["secret"] is not None else "kind webhook needs secret"
    if not (entry["host"] and entry["sender"] and entry["to"]):
        return "kind email needs host, sender and to"
    if entry["user"] and entry["secret"] is None:
        return "user needs secret: the password"
    if entry["user"] and entry["tls"] == "none":
        return "a password is not sent without TLS"
    return ""
