"""The doors that the service opens, each from its settings."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager

from aiohttp import web
from sqlalchemy import Engine

from adapters.folder.formats.identify import text_media
from adapters.folder.watched_folder import WatchedFolder
from adapters.folder.watcher import FolderDoor
from adapters.hl7.connection import SourceOfPeer
from adapters.hl7.limits import MllpLimits
from adapters.hl7.server import MllpServer
from adapters.ports.intake import Media
from broker.bootstrap.folder_log import log_folder_event
from broker.config.settings import MllpSettings, Settings, TlsSettings
from broker.intake import DurableIntake
from broker.logs import log_event
from broker.store.unread_files import StoredUnreadFiles
from broker.web.control import (
    LOOPBACK,
    ControlAddress,
    Order,
    announce,
    control_routes,
    new_token,
    withdraw,
)
from mapping.errors import LabbrokerError
from mapping.profile import SourceProfile

_log = logging.getLogger(__name__)


class DoorUnavailable(LabbrokerError):
    code = "door-unavailable"
    en = (
        "The {door} door cannot listen on {host} port {port}: {reason}.",
        "Stop the program that uses the port, or set another [{door}] port.",
    )
    zh = (
        "{door} 無法於 {host} 連接埠 {port} 接收：{reason}。",
        "請停止占用該連接埠的程式，或在 [{door}] 設定其他 port。",
    )


async def open_mllp(
    settings: MllpSettings,
    intake: DurableIntake,
    source_of_peer: SourceOfPeer,
    closing: AsyncExitStack,
) -> MllpServer:
    """Listens where the settings say so. Raises :class:`DoorUnavailable`."""
    server = MllpServer(
        intake,
        source_of_peer,
        MllpLimits(
            frame_bytes=settings.max_frame_bytes,
            connections=settings.max_connections,
            frame_seconds=settings.frame_timeout_seconds,
            idle_seconds=settings.idle_timeout_seconds,
        ),
    )
    closing.push_async_callback(server.stop)
    if settings.enabled:
        with listening("mllp", settings.host, settings.port):
            await server.start(settings.host, settings.port, tls=tls_context(settings.tls))
        log_event(_log, "door.opened", door="mllp", host=settings.host, port=server.port)
    return server


async def open_folders(
    settings: Settings, intake: DurableIntake, reader: Engine, closing: AsyncExitStack
) -> FolderDoor:
    """Watches the folders of the settings."""
    folders = FolderDoor(
        intake,
        [
            WatchedFolder(
                path=folder.path,
                source_id=folder.source_id,
                quiet_seconds=folder.quiet_seconds,
                scan_seconds=folder.scan_seconds,
                polling=folder.polling,
                needs_marker=folder.needs_marker,
                text_media=_text_media(settings.profiles.get(folder.source_id)),
            )
            for folder in settings.folders
        ],
        report=log_folder_event,
        unread=StoredUnreadFiles(reader),
    )
    closing.push_async_callback(folders.stop)
    await folders.start()
    return folders


async def open_control(
    settings: Settings,
    replay: Callable[[int], Awaitable[bool]],
    orders: Mapping[str, Order],
    closing: AsyncExitStack,
) -> None:
    """The control door: on this machine alone, whatever the HTTP door listens on and whether
    or not it is open or speaks TLS."""
    token = new_token()
    application = web.Application(client_max_size=settings.http.max_body_bytes)
    application.add_routes(control_routes(token, replay, orders))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=5.0)
    closing.push_async_callback(runner.cleanup)
    await runner.setup()
    with listening("control", LOOPBACK, 0):
        await web.TCPSite(runner, LOOPBACK, 0).start()
    closing.callback(withdraw, settings.data_dir)
    announce(settings.data_dir, ControlAddress(runner.addresses[0][1], token))


@contextmanager
def listening(name: str, host: str, port: int) -> Iterator[None]:
    """Turn the system's refusal to listen into a sentence."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise DoorUnavailable(door=name, host=host, port=port, reason=reason) from error


def asks_for_certificate(tls: TlsSettings | None) -> bool:
    return tls is not None and tls.client_ca is not None


def tls_context(tls: TlsSettings | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _text_media(profile: SourceProfile | None) -> Media | None:
    return None if profile is None else text_media(profile)
