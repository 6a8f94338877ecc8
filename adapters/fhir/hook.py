"""A REST hook: tells a clinic's system that a result is there, which it then reads by FHIR.

The body is a FHIR R4 Bundle of type ``history`` with one Parameters resource (as the Subscriptions
backport has it, without content: ``event-notification`` and the reference), so that neither URL nor
body names a patient. ``X-Labbroker-Signature`` is ``t=UNIX-SECONDS,v1=HEX``: HMAC-SHA-256 with the
clinic's secret over ``t``, a full stop and the body; the receiver refuses what is older than five
minutes. ``Idempotency-Key`` stays the same for each try.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from adapters.ports.emptying import NotTaken, Taken
from adapters.ports.outbox import Outgoing
from adapters.ports.signing import SIGNATURE, sign
from mapping.errors import LabbrokerError


class HookDelivery:
    """Posts notifications to ``url``. ``secret`` is read anew for each try, so that a new one
    takes effect at once; it raises LabbrokerError where there is none."""

    def __init__(
        self,
        url: str,
        secret: Callable[[], str],
        clock: Callable[[], datetime],
        *,
        tls: ssl.SSLContext | None = None,
        answer_seconds: float = 30.0,
    ) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._tls = tls
        self._timeout = ClientTimeout(total=answer_seconds)
        self._session: ClientSession | None = None

    async def deliver(self, outgoing: Outgoing) -> Taken | NotTaken:
        """One try. Redirects are not followed: the address is what was agreed."""
        try:
            secret = self._secret().encode()
        except LabbrokerError as error:
            return NotTaken(error.code)
        headers = {
            "Content-Type": "application/fhir+json",
            "Idempotency-Key": outgoing.name,
            SIGNATURE: sign(secret, self._clock(), outgoing.raw),
        }
        try:
            async with self._client().post(
                self._url, data=outgoing.raw, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except (ClientError, OSError, TimeoutError) as error:
            return NotTaken(type(error).__name__)
        if 200 <= status < 300:
            return Taken(str(status))
        # A wrong address or a lost key is put right at the other side, and nothing is lost by it.
        return NotTaken(f"http-{status}")

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _client(self) -> ClientSession:
        if self._session is None:
            connector = TCPConnector(ssl=self._tls) if self._tls is not None else TCPConnector()
            self._session = ClientSession(
                connector=connector, timeout=self._timeout, trust_env=False
            )
        return self._session
