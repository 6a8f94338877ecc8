"""The agent's connection to one broker: a WebSocket over TLS, opened again whenever it is lost."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from adapters.card.agent import CardAgent, Report
from adapters.ports.card_agent import (
    HEARTBEAT_SECONDS,
    MOST_BYTES,
    PATH,
    SignRequest,
    StatusMessage,
    decode,
    encode,
)
from adapters.ports.eii_job import EiiMessage, JobPart, RecallJob, ReportJob, SendJob
from adapters.ports.message_unreadable import MessageUnreadable
from mapping.errors import LabbrokerError

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class BrokerAddressUnsafe(LabbrokerError):
    code = "broker-address-unsafe"
    en = (
        "The broker's address {url} is not safe for a pairing secret.",
        "Write https://…; http:// is for a broker on this very machine alone.",
    )
    zh = (
        "服務位址 {url} 不適合傳送配對密碼。",
        "請使用 https://…；http:// 僅限同一台主機。",
    )


class AgentLink:
    """``secret`` proves the agent to the broker, ``trust`` the broker to the agent."""

    def __init__(
        self,
        url: str,
        secret: str,
        agent: CardAgent,
        report: Report,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Raises :class:`BrokerAddressUnsafe`."""
        address = urlsplit(url)
        near = address.hostname in _LOOPBACK
        if address.scheme not in ("http", "https") or (address.scheme == "http" and not near):
            raise BrokerAddressUnsafe(url=url)
        self._url = url.rstrip("/")
        self._secret = secret
        self._agent = agent
        self._report = report
        self._trust: ssl.SSLContext | bool = True if trust is None else trust
        self._signing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Stay connected, until cancelled."""
        wait = _FIRST_WAIT
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    if await self._stay(session):
                        wait = _FIRST_WAIT
                except (aiohttp.ClientError, OSError, TimeoutError, MessageUnreadable):
                    self._report(self._url, "lost")
                # Many agents come back at once when a broker was started again.
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _stay(self, session: aiohttp.ClientSession) -> bool:
        """One connection to its end; True where the broker let us in."""
        try:
            socket = await session.ws_connect(
                self._url + PATH,
                headers={"Authorization": f"Bearer {self._secret}"},
                heartbeat=HEARTBEAT_SECONDS,
                max_msg_size=MOST_BYTES,
                ssl=self._trust,
            )
        except aiohttp.WSServerHandshakeError:
            self._report(self._url, "refused")
            return False
        self._report(self._url, "connected")
        telling = asyncio.create_task(self._tell(socket))

        async def answer(message: EiiMessage) -> None:
            await socket.send_str(encode(message))

        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                self._take(socket, message.data, answer)
        finally:
            telling.cancel()
            if self._agent.eii is not None:
                self._agent.eii.line_lost(answer)
            for task in self._signing:
                task.cancel()
            await socket.close()
        self._report(self._url, "lost")
        return True

    async def _tell(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        known: StatusMessage | None = None
        while True:
            known = await self._agent.other_than(known)
            await socket.send_str(encode(known))

    def _take(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        text: str,
        answer: Callable[[EiiMessage], Awaitable[None]],
    ) -> None:
        request = decode(text)
        if isinstance(request, SendJob | RecallJob | ReportJob | JobPart) and self._agent.eii:
            self._agent.eii.take(request, answer)
            return
        if not isinstance(request, SignRequest):
            raise MessageUnreadable(field="type")

        async def work() -> None:
            await socket.send_str(encode(await self._agent.sign(request)))

        task = asyncio.create_task(work())
        self._signing.add(task)
        task.add_done_callback(self._signing.discard)
