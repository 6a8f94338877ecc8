"""The rest-hook of a Subscription (R4 valueset-subscription-channel-type.html): a POST without
content, or, with a payload, a PUT of each resource below the endpoint as a service base.

What a row of the outbox holds is one JSON object a line, ``{"path", "body"}``; nothing for a POST
without content. All of a row is sent again where a part was not taken: each PUT stands for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from adapters.fhir.endpoints import GuardedResolver, Networks, NotAllowed, fault_of_endpoint
from adapters.fhir.merged_words import merged_lines
from adapters.fhir.representation import Format, write
from adapters.fhir.result_view import line_resource, report_resource
from adapters.ports.emptying import NotTaken, Taken
from adapters.ports.outbox import Outgoing
from adapters.ports.results import StoredReport

GONE = "http-410"
NOT_ALLOWED = "endpoint-not-allowed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to and how. ``payload`` is a media type or ``""``."""

    url: str = field(repr=False)
    payload: str
    headers: Mapping[str, str] = field(repr=False)


def notification(stored: StoredReport, type_name: str, payload: str) -> bytes:
    """What a row holds: the resources of ``type_name`` of a result as it stands by its newest
    word, in the form of ``payload``."""
    if not payload:
        return b""
    form = Format(payload)
    resources: Iterable[dict[str, Any]] = (
        [report_resource(stored)]
        if type_name == "DiagnosticReport"
        else [line_resource(stored, line) for line in merged_lines(stored)]
    )
    return b"\n".join(
        json.dumps(
            {
                "path": f"{each['resourceType']}/{each['id']}",
                "body": write(each, form).decode("utf-8"),
            },
            ensure_ascii=False,
        ).encode()
        for each in resources
    )


class SubscriptionHook:
    """Sends to one endpoint. Redirects and cookies are not followed, proxies not asked."""

    def __init__(
        self, endpoint: Endpoint, networks: Networks, *, answer_seconds: float = 30.0
    ) -> None:
        self._endpoint = endpoint
        self._networks = networks
        self._timeout = ClientTimeout(total=answer_seconds)
        self._session: ClientSession | None = None

    async def greet(self) -> Taken | NotTaken:
        """A POST without content: whether the endpoint is there and lets us in."""
        return await self._send("POST", self._endpoint.url, None, {})

    async def deliver(self, outgoing: Outgoing) -> Taken | NotTaken:
        """One try; the first part that is not taken ends it."""
        endpoint = self._endpoint
        if not outgoing.raw:
            return await self._send("POST", endpoint.url, None, {"Idempotency-Key": outgoing.name})
        answer: Taken | NotTaken = Taken("")
        for number, (path, body) in enumerate(_parts(outgoing.raw), start=1):
            headers = {
                "Content-Type": f"{endpoint.payload}; charset=utf-8",
                "Idempotency-Key": f"{outgoing.name}-{number}",
            }
            url = f"{endpoint.url.rstrip('/')}/{path}"
            answer = await self._send("PUT", url, body, headers)
            if isinstance(answer, NotTaken):
                return answer
        return answer

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Taken | NotTaken:
        # The operator may have taken a network back since.
        if fault_of_endpoint(
            self._endpoint.url, self._networks, is_base=bool(self._endpoint.payload)
        ):
            return NotTaken(NOT_ALLOWED)
        try:
            async with self._client().request(
                method,
                url,
                data=body,
                headers={**self._endpoint.headers, **headers},
                allow_redirects=False,
            ) as response:
                status = response.status
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            if isinstance(error, NotAllowed) or isinstance(
                getattr(error, "os_error", None), NotAllowed
            ):
                return NotTaken(NOT_ALLOWED)
            return NotTaken(type(error).__name__)
        return Taken(str(status)) if 200 <= status < 300 else NotTaken(f"http-{status}")

    def _client(self) -> ClientSession:
        if self._session is None:
            connector = TCPConnector(
                resolver=GuardedResolver(self._networks), use_dns_cache=False, limit=4
            )
            self._session = ClientSession(
                connector=connector,
                timeout=self._timeout,
                trust_env=False,
                cookie_jar=DummyCookieJar(),
            )
        return self._session


def _parts(raw: bytes) -> Sequence[tuple[str, bytes]]:
    told = [json.loads(line) for line in raw.split(b"\n")]
    return [(each["path"], each["body"].encode()) for each in told]
