"""Where a subscription may send to."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from adapters.fhir.endpoints import (
    GuardedResolver,
    NotAllowed,
    fault_of_endpoint,
    is_allowed,
)

VPN = (ip_network("10.8.0.0/16"), ip_network("127.0.0.0/8"), ip_network("fd00::/8"))


NOWHERE = "0.0.0.0"  # noqa: S104 - what is refused
INSIDE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", NOWHERE, "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1"),
    *("fd00:ec2::254", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "2001:0:7f00:1::", "ff02::1"),
    *("::7f00:1", "fec0::1"),
)
NO_ENDPOINTS = (
    *("http://clinic.example/hook", "ftp://clinic.example", "clinic.example", "https://", ""),
    *("https://user@clinic.example/", "https://u:p@clinic.example/", "https://a.example/#x"),
    *("https://10.1.2.3/", "https://[::1]/", "https://169.254.169.254/", "http://8.8.8.8/"),
    *("https://127.1/", "https://2130706433/", "https://127.0.0.1./", "https://0177.0.0.1/"),
    *("https://a.example:99999/", "https://a.example/ b", "https://診所.example/"),
    "https://a.example/" + "x" * 2000,
)


def test_what_only_we_can_reach_is_no_endpoint() -> None:
    for address in INSIDE:
        assert not is_allowed(ip_address(address), ()), address


def test_a_public_address_is_one() -> None:
    for address in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert is_allowed(ip_address(address), ()), address


def test_a_network_of_the_settings_is_one_but_never_what_serves_our_own_secrets() -> None:
    assert is_allowed(ip_address("10.8.3.4"), VPN)
    assert is_allowed(ip_address("::ffff:10.8.3.4"), VPN)
    assert not is_allowed(ip_address("10.9.0.1"), VPN)
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1", NOWHERE):
        assert not is_allowed(ip_address(address), everything), address


def test_an_endpoint_that_is_none_is_told() -> None:
    for url in NO_ENDPOINTS:
        fault = fault_of_endpoint(url, (), is_base=False)
        assert fault, url
        assert not url or url not in fault


def test_plain_http_is_for_this_machine_alone_where_it_is_named() -> None:
    assert fault_of_endpoint("http://127.0.0.1:8000/hook", (), is_base=False)
    assert not fault_of_endpoint("http://127.0.0.1:8000/hook", VPN, is_base=False)
    assert fault_of_endpoint("http://10.8.0.1/hook", VPN, is_base=False)
    assert not fault_of_endpoint("https://10.8.0.1/hook", VPN, is_base=False)


def test_a_service_base_has_no_query() -> None:
    assert fault_of_endpoint("https://a.example/hook?a=1", (), is_base=True)
    assert not fault_of_endpoint("https://a.example/hook?a=1", (), is_base=False)


class Names:
    """A name that leads to ``addresses``."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
        return [{"host": each, "port": port, "hostname": host} for each in self.addresses]

    async def close(self) -> None:
        return None


async def test_a_name_is_judged_by_every_address_that_it_leads_to() -> None:
    good = GuardedResolver((), Names("8.8.8.8"))  # type: ignore[arg-type]
    assert [each["host"] for each in await good.resolve("a.example", 443)] == ["8.8.8.8"]
    for addresses in (("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("fe80::1%eth0",), ("",)):
        bad = GuardedResolver((), Names(*addresses))  # type: ignore[arg-type]
        with pytest.raises(NotAllowed):
            await bad.resolve("a.example", 443)
