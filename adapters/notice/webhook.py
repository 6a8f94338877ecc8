"""Alarms as JSON by POST, signed, for chats, pagers and monitors."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from aiohttp import ClientError, ClientSession, ClientTimeout

from adapters.ports.notice import Notice
from adapters.ports.signing import SIGNATURE, sign


class WebhookNotices:
    """Posts to ``url``; redirects are not followed."""

    def __init__(self, url: str, secret: Callable[[], str], clock: Callable[[], datetime]) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock

    async def send(self, notice: Notice) -> None:
        """Raises OSError for all but a 2xx, TimeoutError, and what reading the secret raises."""
        body = json.dumps(
            {
                "event": "alarm.opened" if notice.opened else "alarm.over",
                "alarm": notice.alarm_id,
                "kind": notice.kind,
                "institution_code": notice.institution_code,
                "reason": notice.reason,
                "records": notice.records,
                "due_at": notice.due_at.isoformat() if notice.due_at else None,
            }
        ).encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notice.key,
            SIGNATURE: sign(self._secret().encode(), self._clock(), body),
        }
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=30), trust_env=False) as session,
                session.post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status = answer.status
        except ClientError as error:
            raise ConnectionError(type(error).__name__) from None
        if not 200 <= status < 300:
            raise ConnectionError(f"HTTP {status}")
