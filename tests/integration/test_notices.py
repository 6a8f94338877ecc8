"""People are told of an alarm once, and once that it is over, without a word about a patient."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import update

from adapters.ports.signing import SIGNATURE
from broker.bootstrap.notices import notice_senders
from broker.config import load_settings
from broker.config.notice_section import NoticeSettings
from broker.config.problems import InvalidSettings
from broker.config.secret import SecretReference
from broker.deadline_watch import DeadlineWatch
from broker.demo.people import CLINIC
from broker.operation.notices import AlarmNotices
from broker.store.delivery_tables import critical_result
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.delivery_stage import PERSON, oru


@dataclass
class MailBox:
    """A mail server on this machine that keeps what comes."""

    mails: list[bytes] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[MailBox]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).strip().upper():
            if line == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n")
            if line == b"QUIT":
                break
        writer.close()


async def critical_alarm(stage: Stage) -> DeadlineWatch:
    watch = DeadlineWatch(stage.writer, stage.reader, lambda: stage.now)
    await stage.receive(oru("F1", "600", flag="HH"))
    await watch.look()
    return watch


async def over(stage: Stage, watch: DeadlineWatch) -> None:
    await stage.writer.write(
        lambda c: c.execute(update(critical_result).values(confirmed_at=stage.now, waits=False))
    )
    await watch.look()


def notices_of(stage: Stage, *ways: NoticeSettings) -> AlarmNotices:
    senders = notice_senders(ways, {"KEY": "geheim"}, lambda: stage.now)
    return AlarmNotices(stage.writer, stage.reader, senders, lambda: stage.now)


async def test_a_mail_tells_of_an_alarm_once_and_once_that_it_is_over(tmp_path: Path) -> None:
    async with MailBox().listening() as box, open_stage(tmp_path) as stage:
        way = NoticeSettings(
            "m", "email", host="127.0.0.1", port=box.port, tls="none", sender="a@x", to=("b@x",)
        )
        watch = await critical_alarm(stage)
        notices = notices_of(stage, way)
        assert [await notices.look() for _ in range(2)] == [1, 0]
        await over(stage, watch)
        assert [await notices.look() for _ in range(2)] == [1, 0]
    mails = [email.message_from_bytes(raw, policy=email.policy.default) for raw in box.mails]
    assert [mail["Message-ID"] for mail in mails] == [
        "<alarm-1-opened@labbroker.invalid>",
        "<alarm-1-over@labbroker.invalid>",
    ]
    text = mails[0].get_body().get_content()  # type: ignore[union-attr]
    assert CLINIC in text
    assert "critical" in text
    for secret in (PERSON, "許功蓋", "600"):
        assert secret not in text + str(mails[0])


async def test_a_webhook_is_signed_and_tried_again_until_it_is_taken(tmp_path: Path) -> None:
    came: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        came.append((dict(request.headers), await request.read()))
        return web.Response(status=500 if len(came) == 1 else 204)

    application = web.Application()
    application.router.add_post("/", take)
    async with TestServer(application) as server, open_stage(tmp_path) as stage:
        way = NoticeSettings(
            "w", "webhook", url=str(server.make_url("/")), secret=SecretReference(variable="KEY")
        )
        await critical_alarm(stage)
        notices = notices_of(stage, way)
        assert [await notices.look() for _ in range(3)] == [0, 1, 0]
    assert came[0][1] == came[1][1]
    headers, body = came[1]
    assert PERSON not in body.decode()
    assert json.loads(body)["event"] == "alarm.opened"
    stamp, digest = (part.partition("=")[2] for part in headers[SIGNATURE].split(","))
    expected = hmac.new(b"geheim", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == expected


async def test_one_way_that_fails_does_not_hold_up_another(tmp_path: Path) -> None:
    async with MailBox().listening() as box, open_stage(tmp_path) as stage:
        dead = NoticeSettings(
            "a", "webhook", url="http://127.0.0.1:9/", secret=SecretReference(variable="NONE")
        )
        good = NoticeSettings(
            "b", "email", host="127.0.0.1", port=box.port, tls="none", sender="a@x", to=("b@x",)
        )
        await critical_alarm(stage)
        assert await notices_of(stage, dead, good).look() == 1


@pytest.mark.parametrize(
    "text",
    [
        '[[notice]]\nname = "a"\nkind = "webhook"\nurl = "http://example.test/"\nsecret = "env:X"',
        '[[notice]]\nname = "a"\nkind = "webhook"\nurl = "https://example.test/"',
        '[[notice]]\nname = "a"\nkind = "email"\nhost = "mail.test"',
        '[[notice]]\nname = "a"\nkind = "email"\nhost = "m"\nsender = "a@x"\nto = ["b@x"]\n'
        'user = "u"\nsecret = "env:X"\ntls = "none"',
        f'[[delivery]]\nname = "a"\nclinic = "{CLINIC}"\nkind = "mllp"',
        f'[[delivery]]\nname = "a"\nclinic = "{CLINIC}"\nkind = "folder"',
        f'[[delivery]]\nname = "a"\nclinic = "{CLINIC}"\nkind = "fhir-hook"\nurl = "https://x/"',
        f'[[delivery]]\nname = "a"\nclinic = "{CLINIC}"\nkind = "fhir-hook"\n'
        'url = "http://example.test/"\nsecret = "env:X"',
        f'[[delivery]]\nname = "a"\nclinic = "{CLINIC}"\nkind = "inbox"\n' * 2,
        '[[critical_limit]]\ncode = "K"\nabove = "5,5"',
        '[[critical_limit]]\ncode = "K"',
    ],
    ids=[
        *("plain-http", "no-secret", "no-sender", "password-without-tls", "no-host", "no-folder"),
        *("hook-without-secret", "hook-plain-http", "twice", "no-number", "no-bound"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "labbroker.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidSettings):
        load_settings(file, {})


def test_settings_of_delivery_and_notices_are_read(tmp_path: Path) -> None:
    file = tmp_path / "labbroker.toml"
    file.write_text(
        f'[[delivery]]\nname = "a"\nclinic = "{CLINIC}"\nkind = "fhir-hook"\n'
        'url = "https://clinic.test/hook"\nsecret = "env:X"\n'
        '[[critical_limit]]\ncode = "K"\nunit = "mmol/L"\nbelow = "2.5"\nabove = "6.0"\n'
        '[[notice]]\nname = "m"\nkind = "email"\nhost = "mail.test"\nsender = "a@x"\n'
        'to = ["b@x"]\n',
        "utf-8",
    )
    settings = load_settings(file, {})
    (delivery,), (limit,), (notice,) = (
        settings.deliveries,
        settings.critical_limits,
        settings.notices,
    )
    assert (delivery.clinic_code, delivery.kind, delivery.url) == (
        CLINIC,
        "fhir-hook",
        "https://clinic.test/hook",
    )
    assert (str(limit.below), str(limit.above), limit.unit) == ("2.5", "6.0", "mmol/L")
    assert (notice.kind, notice.to, notice.port) == ("email", ("b@x",), 587)
