"""What the sections of cards become, and what cannot hold together in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from broker.config.problems import ContradictingSettings
from broker.config.reading import Values
from broker.config.secret import SecretReference
from mapping.errors import LabbrokerError


@dataclass(frozen=True, slots=True)
class CardSettings:
    """A card in a reader of this PC; empty criteria fit any."""

    name: str
    module: Path
    label: str = ""
    serial: str = ""
    certificate_subject: str = ""
    institution_code: str = ""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The card agent of this PC; no ``brokers``: it is not set up."""

    brokers: tuple[str, ...] = ()
    tls_ca: Path | None = None
    secret: SecretReference | None = None
    readers: bool = True


@dataclass(frozen=True, slots=True)
class Pairing:
    """An agent that may connect, the institutions whose cards it may hold, and those whose files
    it sends with NHI's library on its PC (``eii``)."""

    agent: str
    secret_hashes: tuple[str, ...] = field(repr=False)
    institutions: tuple[str, ...]
    eii: tuple[str, ...] = ()


def cards(root: Values) -> tuple[CardSettings, ...]:
    """All ``[[card]]``."""
    return tuple(
        CardSettings(
            name=entry["name"],
            module=entry["module"],
            label=entry["label"],
            serial=entry["serial"],
            certificate_subject=entry["certificate_subject"],
            institution_code=entry["institution"],
        )
        for entry in root.entries["card"]
    )


def agent(root: Values) -> AgentSettings:
    """What stands under ``[agent]``."""
    section = root.sections["agent"]
    return AgentSettings(
        section["brokers"], section["tls_ca"], section["secret"], section["readers"]
    )


def pairings(root: Values) -> tuple[Pairing, ...]:
    """All ``[[pairing]]``."""
    return tuple(
        Pairing(entry["agent"], entry["secret_sha256"], entry["institutions"], entry["eii"])
        for entry in root.entries["pairing"]
    )


def card_contradictions(root: Values) -> list[LabbrokerError]:
    """Names used twice, an agent without what it needs, a card that nobody may hold."""
    problems: list[LabbrokerError] = []

    def contradict(place: str, what: str) -> None:
        problems.append(ContradictingSettings(place=place, what=what))

    for section, key in (("card", "name"), ("pairing", "agent")):
        seen: set[str] = set()
        for entry in root.entries[section]:
            if entry[key] in seen:
                contradict(entry.place, f"the {key} {entry[key]} is used twice")
            seen.add(entry[key])
    agent = root.sections["agent"]
    if agent["brokers"] and agent["secret"] is None:
        contradict(agent.place, "brokers needs secret: the broker lets no agent in without one")
    for url in agent["brokers"]:
        if not is_safe_address(url):
            contradict(agent.place, f"{url} must be https://… (http:// on this machine alone)")
    hashes = [each for entry in root.entries["pairing"] for each in entry["secret_sha256"]]
    if len(hashes) != len(set(hashes)):
        contradict(root.place, "two pairings have the same secret: each agent needs its own")
    held = {code for entry in root.entries["pairing"] for code in entry["institutions"]}
    for entry in root.entries["institution"]:
        if entry["credential"] == "pkcs11" and entry["code"] not in held:
            what = 'credential = "pkcs11" needs a [[pairing]] whose institutions name it'
            contradict(entry.place, what)
    channels = {entry["code"]: entry["channel"] for entry in root.entries["institution"]}
    for entry in root.entries["pairing"]:
        for code in entry["eii"]:
            if channels.get(code) != "eii":
                what = f'eii names {code}, which has no [[institution]] with channel = "eii"'
                contradict(entry.place, what)
    return problems


def is_safe_address(url: str) -> bool:
    """Whether a secret may be sent there: TLS, or this very machine."""
    try:
        address = urlsplit(url)
        if address.scheme == "https":
            return bool(address.hostname)
        host = address.hostname or ""
        return address.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False
