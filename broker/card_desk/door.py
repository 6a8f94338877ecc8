"""The door for card agents: a WebSocket that a pairing secret opens."""

from __future__ import annotations

import logging
import weakref

from aiohttp import WSCloseCode, WSMsgType, web

from adapters.ports.card_agent import (
    HEARTBEAT_SECONDS,
    MOST_BYTES,
    PATH,
    Message,
    decode,
    encode,
)
from adapters.ports.message_unreadable import MessageUnreadable
from broker.card_desk.desk import CardDesk
from broker.config.cards import Pairing
from broker.logs import log_event
from broker.web.entrance import is_at_this_machine, is_encrypted

_log = logging.getLogger(__name__)


class CardDoor:
    """``routes`` are for the HTTP application; ``close`` ends all connections."""

    def __init__(self, desk: CardDesk, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._desk = desk
        self._heartbeat = heartbeat_seconds
        self._sockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    def routes(self) -> list[web.RouteDef]:
        """``GET /card-agent``: 401 without the secret of a pairing, 403 over a line that others
        could read."""
        return [web.get(PATH, self._serve)]

    async def close(self) -> None:
        """The service ends; agents come back to the next one."""
        for socket in set(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not (is_encrypted(request) or is_at_this_machine(request)):
            log_event(_log, "peer.refused", door="card-agent", peer=request.remote)
            return web.Response(status=403)
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        pairing = self._desk.pairing_of(secret.strip()) if scheme.lower() == "bearer" else None
        if pairing is None:
            log_event(_log, "peer.refused", door="card-agent", peer=request.remote)
            return web.Response(status=401)
        socket = web.WebSocketResponse(heartbeat=self._heartbeat, max_msg_size=MOST_BYTES)
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, headers={"Upgrade": "websocket"})
        await socket.prepare(request)
        self._sockets.add(socket)
        await self._talk(socket, pairing)
        return socket

    async def _talk(self, socket: web.WebSocketResponse, pairing: Pairing) -> None:
        async def send(message: Message) -> None:
            await socket.send_str(encode(message))

        connection = self._desk.connect(pairing, send)
        log_event(_log, "card.agent_came", agent=pairing.agent)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                self._desk.take(connection, decode(message.data))
        except MessageUnreadable as error:
            log_event(_log, "peer.disconnected", door="card-agent", error_code=error.code)
            await socket.close(code=WSCloseCode.UNSUPPORTED_DATA)
        finally:
            self._desk.disconnect(connection)
            log_event(_log, "card.agent_gone", agent=pairing.agent)
