"""Alarms by e-mail: plain text in both languages, one message for each that opens or ends."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime

from adapters.ports.notice import Notice
from mapping.moment import TAIPEI

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """``tls`` is ``starttls``, ``tls`` or ``none``; ``password`` is read anew for each message."""

    host: str
    port: int
    tls: str
    user: str
    password: Callable[[], str]


class MailNotices:
    """Sends to ``to`` from ``sender``."""

    def __init__(self, server: MailServer, sender: str, to: tuple[str, ...]) -> None:
        self._server = server
        self._sender = sender
        self._to = to

    async def send(self, notice: Notice) -> None:
        """Raises OSError (which smtplib's errors are) or TimeoutError."""
        await asyncio.to_thread(self._send, mail_of(notice, self._sender, self._to))

    def _send(self, message: EmailMessage) -> None:
        server = self._server
        context = ssl.create_default_context()
        if server.tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
        with connection:
            if server.tls == "starttls":
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, server.password())
            connection.send_message(message)


def mail_of(notice: Notice, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The message; its id is the same for each try, so that a reader shows it once."""
    message = EmailMessage()
    state, word = ("opened", "警示") if notice.opened else ("over", "解除")
    message["Subject"] = f"[labbroker] {word} {state}: {notice.kind} {notice.institution_code}"
    message["From"], message["To"] = sender, ", ".join(to)
    message["Message-ID"] = f"<{notice.key}@labbroker.invalid>"
    due = notice.due_at.astimezone(TAIPEI) if notice.due_at else None
    if due is not None:
        message["X-Labbroker-Due"] = format_datetime(due)
    until = f"{due:%Y-%m-%d %H:%M}" if due else "-"
    message.set_content(
        f"{word}：{notice.zh or notice.kind}（{notice.kind}／{notice.reason}）\n"
        f"院所：{notice.institution_code}\n"
        f"筆數：{notice.records}\n最早期限：{until}\n\n"
        f"Alarm {state}: {notice.en or notice.kind} ({notice.kind} / {notice.reason})\n"
        f"Institution: {notice.institution_code}\n"
        f"Records: {notice.records}\nEarliest due: {until} (Taipei)\n"
    )
    return message
