"""Builds the ways to tell of alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from adapters.notice.mail import MailNotices, MailServer
from adapters.notice.webhook import WebhookNotices
from adapters.ports.notice import NoticeSender
from broker.config.notice_section import NoticeSettings
from broker.config.secret import SecretUnavailable


def notice_senders(
    settings: Sequence[NoticeSettings],
    environ: Mapping[str, str],
    clock: Callable[[], datetime],
) -> dict[str, NoticeSender]:
    """The senders by their names."""

    def secret_of(each: NoticeSettings) -> str:
        if each.secret is None:
            raise SecretUnavailable(place=each.name, reason="none is set", reason_zh="未設定")
        return each.secret.read(environ).reveal()

    def sender(each: NoticeSettings) -> NoticeSender:
        if each.kind == "webhook":
            return WebhookNotices(each.url, lambda: secret_of(each), clock)
        server = MailServer(each.host, each.port, each.tls, each.user, lambda: secret_of(each))
        return MailNotices(server, each.sender, each.to)

    return {each.name: sender(each) for each in settings}
