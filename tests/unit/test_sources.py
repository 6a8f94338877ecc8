"""Who a peer is: the most specific source, and nobody where two are equally likely."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network

from broker.config.settings import SourceSettings
from broker.sources import SourceDirectory
from mapping.profile import SourceProfile


def source(
    name: str,
    *,
    peer: str = "",
    app: str = "",
    facility: str = "",
    token: str = "",
    certificate: bytes = b"",
) -> SourceSettings:
    return SourceSettings(
        SourceProfile(name),
        peers=(ip_network(peer),) if peer else (),
        sending_application=app,
        sending_facility=facility,
        token_hashes=(hashlib.sha256(token.encode()).hexdigest(),) if token else (),
        certificate_hashes=(hashlib.sha256(certificate).hexdigest(),) if certificate else (),
    )


def test_the_most_specific_source_wins() -> None:
    directory = SourceDirectory(
        [source("any"), source("lis", app="LIS"), source("near", peer="10.0.0.0/8", app="LIS")]
    )
    assert directory.of_peer("10.1.2.3", "LIS", "") == "near"
    assert directory.of_peer("192.0.2.1", "LIS", "") == "lis"
    assert directory.of_peer("192.0.2.1", "OTHER", "") == "any"


def test_two_equally_likely_sources_are_nobody() -> None:
    directory = SourceDirectory([source("one", app="LIS"), source("two", app="LIS")])
    assert directory.of_peer("192.0.2.1", "LIS", "") is None


def test_a_stranger_is_nobody() -> None:
    directory = SourceDirectory([source("near", peer="10.0.0.0/8")])
    assert directory.of_peer("192.0.2.1", "LIS", "") is None
    assert directory.of_peer("fe80::1%eth0", "LIS", "") is None


def test_a_token_names_its_source_and_an_empty_one_nobody() -> None:
    directory = SourceDirectory([source("one", token="secret-1"), source("two")])
    assert directory.of_token("secret-1") == "one"
    assert directory.of_token("secret-2") is None
    assert directory.of_token("") is None


def test_who_drops_files_or_posts_is_no_mllp_peer_unless_it_says_so() -> None:
    sources = [
        source("files"),
        source("posts", token="secret-1"),
        source("both", token="2", app="LIS"),
    ]
    directory = SourceDirectory(sources, folder_sources={"files"})
    assert directory.of_peer("192.0.2.1", "OTHER", "") is None
    assert directory.of_peer("192.0.2.1", "LIS", "") == "both"


def test_an_ipv4_address_written_as_ipv6_is_the_same_address() -> None:
    directory = SourceDirectory([source("near", peer="10.0.0.0/8")])
    assert directory.of_peer("::ffff:10.0.0.1", "", "") == "near"
    assert directory.of_peer("::ffff:11.0.0.1", "", "") is None
    mapped = SourceDirectory([source("near", peer="::ffff:10.0.0.0/104")])
    assert mapped.of_peer("::ffff:10.0.0.1", "", "") == "near"


def test_what_is_no_address_is_a_stranger_and_nothing_else() -> None:
    directory = SourceDirectory([source("near", peer="10.0.0.0/8")])
    for address in ("", "%", "/run/mllp.sock", "10.0.0"):
        assert directory.of_peer(address, "", "") is None


def test_a_token_that_is_no_text_is_nobodys() -> None:
    directory = SourceDirectory([source("one", token="secret-1")])
    for token in ("secret\udcff", "\ud800"):
        assert directory.of_token(token) is None


def test_a_peer_with_a_certificate_is_only_the_source_that_lists_it() -> None:
    directory = SourceDirectory(
        [source("lis", app="LIS"), source("one", certificate=b"one"), source("two", app="LIS")]
    )
    assert directory.of_peer("192.0.2.1", "LIS", "", b"one") == "one"
    assert directory.of_peer("192.0.2.1", "LIS", "", b"other") is None


def test_a_source_with_a_certificate_is_nobody_without_it() -> None:
    directory = SourceDirectory([source("one", app="LIS", certificate=b"one")])
    assert directory.of_peer("192.0.2.1", "LIS", "") is None
    assert directory.of_peer("192.0.2.1", "LIS", "", b"one") == "one"
    assert directory.of_peer("192.0.2.1", "OTHER", "", b"one") is None


def test_where_certificates_are_required_a_source_without_one_is_nobody() -> None:
    directory = SourceDirectory([source("lis", app="LIS")], certificates_required=True)
    assert directory.of_peer("192.0.2.1", "LIS", "", b"any") is None
    assert directory.of_peer("192.0.2.1", "LIS", "") is None


def test_a_source_with_a_token_and_a_certificate_is_a_peer_too() -> None:
    directory = SourceDirectory([source("both", token="secret", certificate=b"one")])
    assert directory.of_peer("192.0.2.1", "", "", b"one") == "both"
