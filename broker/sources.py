"""Which configured source a peer is: by its address and sending fields, or by its token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence
from ipaddress import ip_address

from broker.config.settings import SourceSettings


class SourceDirectory:
    """Looks up sources; "nobody" is None, and so is "two equally likely ones"."""

    def __init__(
        self, sources: Sequence[SourceSettings], folder_sources: Collection[str] = ()
    ) -> None:
        self._sources = sources
        # Who drops files or holds a token and says nothing of MLLP is no MLLP peer: a stranger's
        # message must not be taken for theirs.
        self._mllp_sources = [
            source
            for source in sources
            if source.peers
            or source.sending_application
            or source.sending_facility
            or not (source.token_hashes or source.source_id in folder_sources)
        ]

    def of_peer(self, address: str, application: str, facility: str) -> str | None:
        """The MLLP source at ``address`` that signs as ``application`` and ``facility`` (MSH-3,
        MSH-4). The one with the most matching criteria wins; a tie is nobody."""
        best: list[str] = []
        best_rank = -1
        for source in self._mllp_sources:
            rank = _rank(source, address, application, facility)
            if rank is None or rank < best_rank:
                continue
            best = [*best, source.source_id] if rank == best_rank else [source.source_id]
            best_rank = rank
        return best[0] if len(best) == 1 else None

    def of_token(self, token: str) -> str | None:
        """The HTTP source that holds ``token``."""
        digest = hashlib.sha256(token.encode()).hexdigest()
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
        peer = ip_address(address.partition("%")[0])
        if not any(peer in network for network in source.peers):
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
