"""A whole rehearsal in one folder: settings, rehearsal keys, the stand-in gateway, the broker."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.card.software_key import create_rehearsal_authority, create_rehearsal_key
from broker.bootstrap.service import Broker
from broker.config import Settings, load_settings
from broker.demo.channels import DemoChannel
from broker.demo.people import CLINIC, LAB
from broker.demo.signing_card import DemoToken, make_token
from broker.logs import configure_logging
from broker.sandbox.settings import DOCUMENTED_PASSWORD
from mapping.errors import LabbrokerError

TOKEN = "rehearsal-only"  # noqa: S105 - the broker of a rehearsal listens on this machine alone

_SETTINGS = """\
# Written by `labbroker demo`. Everyone and everything in it is made up.
data_dir = "store"
language = "{language}"

[mllp]
port = 0

[http]
port = 0

[logging]
file = "labbroker.log"

[[source]]
id = "demo-lab"
lab_code = "{lab}"
clinic_code = "{clinic}"
sending_application = "LIS"
default_method = "無"

[source.codes]
GLUC = "09005C"
CREA = {{ order_code = "09015C", item_number = 1 }}
CHOL = "09001C"
UA = "09013C"

[[source]]
id = "demo-any"
lab_code = "{lab}"
clinic_code = "{clinic}"
default_method = "無"

[[source]]
id = "demo-fhir"
lab_code = "{lab}"
token_sha256 = ["{token}"]
default_method = "無"
default_unit = "無"

[[source]]
id = "demo-files"
lab_code = "{lab}"
default_method = "無"

[[source]]
id = "demo-clinic"
clinic_code = "{clinic}"

[[folder]]
path = "inbox/lab"
source = "demo-files"
quiet_seconds = 0
scan_seconds = 1

[[folder]]
path = "inbox/visits"
source = "demo-clinic"
quiet_seconds = 0
scan_seconds = 1

[[agreement]]
lab_code = "{lab}"
clinic_code = "{clinic}"
route = "clinic"
commission = "specimen"

[[delivery]]
name = "demo-inbox"
clinic = "{clinic}"
kind = "inbox"

[[institution]]
code = "{clinic}"
kind = "11"
{channel}
[schedule]
seal_after_seconds = 1
verdict_poll_seconds = 1
settle_seconds = 5
"""


class GatewayNotStarted(LabbrokerError):
    code = "gateway-not-started"
    en = (
        "The stand-in gateway did not start ({reason}).",
        "Run `labbroker sandbox --help` and try it by itself.",
    )
    zh = ("演練用閘道未能啟動（{reason}）。", "請單獨執行 `labbroker sandbox` 查看原因。")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    broker: Broker
    settings: Settings
    folder: Path
    gateway: str
    """URL of the stand-in gateway."""
    token: DemoToken | None = None
    """The card that signs, where one does."""

    @property
    def lab_inbox(self) -> Path:
        return self.folder / "inbox" / "lab"

    @property
    def visits_inbox(self) -> Path:
        return self.folder / "inbox" / "visits"


@asynccontextmanager
async def rehearsal(
    folder: Path, language: str, channel_name: str = "sandbox", by_card: bool = False
) -> AsyncIterator[Rehearsal]:
    """A gateway in a process of its own and a broker in this one, on free local ports. With
    ``by_card`` the clinic's key is on a token, and only an agent that holds it can sign.

    Raises ``PartMissing`` where the channel needs what this machine has not.
    """
    channel = DemoChannel(channel_name, folder, by_card)
    await channel.prepare()
    authority = create_rehearsal_authority(folder / "keys" / "authority")
    create_rehearsal_key(folder / "keys" / CLINIC, CLINIC, authority, rsa_key=by_card)
    token = (
        await asyncio.to_thread(make_token, folder, folder / "keys" / CLINIC) if by_card else None
    )
    password = folder / "verdict-password"
    password.touch(mode=0o600)
    password.write_text(DOCUMENTED_PASSWORD, "ascii")
    for inbox in ("lab", "visits"):
        (folder / "inbox" / inbox).mkdir(parents=True)
    gateway = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "broker.sandbox",
        "--data",
        str(folder / "gateway"),
        "--trust",
        str(authority.certificate_file),
        *channel.gateway_options,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        address = await _address_of(gateway)
        file = folder / "labbroker.toml"
        file.write_text(
            _SETTINGS.format(
                language=language,
                lab=LAB,
                clinic=CLINIC,
                token=hashlib.sha256(TOKEN.encode()).hexdigest(),
                channel=channel.settings(address),
            )
            + (token.pairing if token else ""),
            "utf-8",
        )
        settings = load_settings(file, {})
        configure_logging(settings.logging)
        broker = Broker(settings, environ={})
        await broker.start()
        try:
            yield Rehearsal(broker, settings, folder, address, token)
        finally:
            await broker.stop()
    finally:
        if gateway.returncode is None:
            gateway.terminate()
            await gateway.wait()


async def _address_of(gateway: asyncio.subprocess.Process) -> str:
    assert gateway.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(30):
            line = await gateway.stdout.readline()
        address: str = json.loads(line)["gateway"]
    except (TimeoutError, ValueError) as error:
        raise GatewayNotStarted(reason=type(error).__name__) from error
    return address
