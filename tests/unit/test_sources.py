"""Who a peer is: the most specific source, and nobody where two are equally likely."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network

from broker.config.settings import SourceSettings
from broker.sources import SourceDirectory
from mapping.profile import SourceProfile


def source(
    name: str, *, peer: str = "", app: str = "", facility: str = "", token: str = ""
) -> SourceSettings:
    return SourceSettings(
        SourceProfile(name),
        peers=(ip_network(peer),) if peer else (),
        sending_application=app,
        sending_facility=facility,
        token_hashes=(hashlib.sha256(token.encode()).hexdigest(),) if token else (),
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
