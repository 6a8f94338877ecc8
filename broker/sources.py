"""Which configured source a peer is: by its certificate, address and sending fields, or by its
token. What a peer sends may be anything at all: nothing of it raises."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from broker.config.settings import SourceSettings

_MOST_KNOWN = 1024


class SourceDirectory:
    """Looks up sources; "nobody" is None, and so is "two equally likely ones".

    ``certificates_required`` says that the MLLP door takes only peers with a certificate.
    """

    def __init__(
        self,
        sources: Sequence[SourceSettings],
        folder_sources: Collection[str] = (),
        *,
        certificates_required: bool = False,
    ) -> None:
        self._sources = sources
        self._certificates_required = certificates_required
        # Who drops files or holds a token and says nothing of MLLP is no MLLP peer: a stranger's
        # message must not be taken for theirs.
        self._mllp_sources = [
            source
            for source in sources
            if source.peers
            or source.certificate_hashes
            or source.sending_application
            or source.sending_facility
            or not (source.token_hashes or source.source_id in folder_sources)
        ]

        self._readers = {each.source_id: frozenset(each.reads_for) for each in sources}
        # Every message asks, and few answers differ. Bounded, since a peer sends what it likes.
        self._known: dict[tuple[str, str, str], str | None] = {}

    def of_peer(
        self, address: str, application: str, facility: str, certificate: bytes | None = None
    ) -> str | None:
        """The MLLP source at ``address`` that signs as ``application`` and ``facility`` (MSH-3,
        MSH-4). The one with the most matching criteria wins; a tie is nobody.

        ``certificate`` is what the peer showed (DER). Who shows one is only a source that lists
        it, and a source that lists any is only who shows it: MSH-3 and MSH-4 are mere claims.
        """
        if certificate is None and self._certificates_required:
            return None
        shown = hashlib.sha256(certificate).hexdigest() if certificate is not None else ""
        best: list[str] = []
        best_rank = -1
        for source in self._mllp_sources:
            if (shown or source.certificate_hashes) and shown not in source.certificate_hashes:
                continue
            rank = _rank(source, address, application, facility)
            if rank is None or rank < best_rank:
                continue
            best = [*best, source.source_id] if rank == best_rank else [source.source_id]
            best_rank = rank
        return best[0] if len(best) == 1 else None

    def source_of_peer(
        self, address: str, tls: ssl.SSLObject | None, application: str, facility: str
    ) -> str | None:
        """:meth:`of_peer` as the MLLP door asks it, of a connection."""
        if tls is not None:
            certificate = tls.getpeercert(binary_form=True)
            return self.of_peer(address, application, facility, certificate)
        asked = (address, application, facility)
        if asked not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[asked] = self.of_peer(*asked)
        return self._known[asked]

    def clinics_of(self, source_id: str) -> frozenset[str]:
        """The institution codes for which a source may read results; it sends none then."""
        return self._readers.get(source_id, frozenset())

    def of_certificate(self, certificate: bytes) -> str | None:
        """The HTTP source that lists the client certificate ``certificate`` (DER)."""
        shown = hashlib.sha256(certificate).hexdigest()
        found = [each.source_id for each in self._sources if shown in each.certificate_hashes]
        return found[0] if len(found) == 1 else None

    def of_token(self, token: str) -> str | None:
        """The HTTP source that holds ``token``."""
        # A header that is no UTF-8 arrives with surrogates in it.
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for source in self._sources:
            for known in source.token_hashes:
                # Compared to the end, so that the time does not tell which source came close.
                if hmac.compare_digest(known.lower(), digest):
                    found = source.source_id
        return found


def _rank(source: SourceSettings, address: str, application: str, facility: str) -> int | None:
    rank = 0
    if source.peers:
        if not any(form in network for form in _forms(address) for network in source.peers):
            return None
        rank += 1
    for expected, sent in (
        (source.sending_application, application),
        (source.sending_facility, facility),
    ):
        if expected:
            if expected != sent:
                return None
            rank += 1
    return rank


def _forms(address: str) -> list[IPv4Address | IPv6Address]:
    """The address, and what it is as IPv4: sockets for both families say ``::ffff:10.0.0.1``."""
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return []
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    return [peer] if mapped is None else [peer, mapped]
