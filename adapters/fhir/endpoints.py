"""Where a subscription may send to: nowhere that only this machine or its network can reach.

An endpoint is given by whoever holds a clinic's token. It is a public HTTPS address, or one in a
network that the operator has named. Names are judged by the addresses that they lead to, at each
connection; what serves a machine's own secrets (169.254.169.254 and its like) is never one.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address: TypeAlias = IPv4Address | IPv6Address
Networks: TypeAlias = Sequence[IPv4Network | IPv6Network]

MAX_LENGTH = 2000
_METADATA = (ip_address("fd00:ec2::254"), ip_address("100.100.100.200"))
# They hold an IPv4 address that a router would go to; the last was once for sites alone.
_DISGUISES = tuple(
    ip_network(each) for each in ("64:ff9b::/32", "2002::/16", "2001::/32", "::/96", "fec0::/10")
)


def is_allowed(address: Address, networks: Networks) -> bool:
    """Whether an address is public, or in one of ``networks``."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None:
        return is_allowed(mapped, networks)
    if (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
    ):
        return False
    if any(address.version == each.version and address in each for each in networks):
        return True
    return address.is_global and not any(
        address.version == each.version and address in each for each in _DISGUISES
    )


def fault_of_endpoint(url: str, networks: Networks, *, is_base: bool) -> str:
    """What is wrong with an endpoint, in a sentence without it, or ``""``. ``is_base``: resources
    are put below it. A name is not looked up here."""
    if len(url) > MAX_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        return "The endpoint is no URL in ASCII of at most 2000 characters."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "The endpoint cannot be read as a URL."
    if not host or parts.username is not None or parts.fragment or (is_base and parts.query):
        return "The endpoint has a host, and no user, fragment, or (with a payload) query."
    address = literal_address(host)
    if address is None and host.rstrip(".").rpartition(".")[2].isdigit():
        # 127.1 or 2130706433: systems read it as an address, and ask no resolver.
        return "The endpoint's host is no name and no address that is written in full."
    is_loopback = host == "localhost" or (address is not None and address.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
        return "The endpoint is https."
    if address is not None and not is_allowed(address, networks):
        return "The endpoint's address is not public."
    return ""


def literal_address(host: str) -> Address | None:
    """The address that a host is written as, or None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


class NotAllowed(OSError):
    """The name leads to an address that is not allowed."""


class GuardedResolver(AbstractResolver):
    """Names → allowed addresses; one that leads to any other is refused whole."""

    def __init__(self, networks: Networks, resolver: AbstractResolver | None = None) -> None:
        self._networks = networks
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            address = literal_address(each["host"])
            if address is None or not is_allowed(address, self._networks):
                raise NotAllowed("the address is not allowed")
        return found

    async def close(self) -> None:
        await self._resolver.close()
