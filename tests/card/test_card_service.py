"""A whole service and an agent at its HTTP door: what ``cards`` and ``status`` say of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.card.agent import CardAgent
from adapters.card.agent_link import AgentLink
from adapters.card.pin_entry import Pin
from broker.bootstrap.service import Broker
from broker.cli.main import main
from broker.config import load_settings
from broker.store.alarms import AlarmKey, AlarmKind, Threat, settle_alarms
from tests.card.agent_stage import PIN, SECRET, OneReader, PaperCard
from tests.card.soft_token import CLINIC

SETTINGS = f"""
data_dir = "data"
[mllp]
enabled = false
[http]
port = 0
[channel.sandbox]
test_issuers = ["CN=Test authority"]
[[pairing]]
agent = "front-desk"
secret_sha256 = ["{hashlib.sha256(SECRET.encode()).hexdigest()}"]
institutions = ["{CLINIC}"]
[[institution]]
code = "{CLINIC}"
credential = "pkcs11"
"""


@asynccontextmanager
async def linked(broker: Broker, card: PaperCard) -> AsyncIterator[CardAgent]:
    agent = CardAgent([card], OneReader(), "1.0", look_seconds=0.05)
    url = f"http://127.0.0.1:{broker.http_port}"
    link = AgentLink(url, SECRET, agent, lambda url, word: None)
    tasks = [asyncio.create_task(each) for each in (agent.watch(), link.run())]
    try:
        yield agent
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await agent.close()


async def test_cards_and_status_tell_of_the_agents_of_a_running_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    file = tmp_path / "labbroker.toml"
    file.write_text(SETTINGS, "utf-8")
    broker = Broker(load_settings(file, {}), environ={})
    await broker.start()
    try:
        async with linked(broker, PaperCard()) as agent:
            await agent.unlock("front", Pin(PIN))
            async with asyncio.timeout(20):
                shown = ""
                while "test card" not in shown:
                    assert await asyncio.to_thread(main, ["cards", "--config", str(file)]) == 0
                    shown = capsys.readouterr().out
        assert f"{CLINIC}  front @ front-desk  ready" in shown
        assert "front-desk  labbroker 1.0  1 readers" in shown
        now = datetime.now(UTC)
        key = AlarmKey(AlarmKind.CERTIFICATE_ENDS, CLINIC, "ends")
        await broker._writer.write(
            lambda c: settle_alarms(c, {key: Threat(0, now)}, now, (key.kind,))
        )
        assert await asyncio.to_thread(main, ["status", "--config", str(file)]) == 0
        assert f"Certificate ends {now:%Y}" in capsys.readouterr().out
    finally:
        await broker.stop()
    log = tmp_path / "data"
    assert PIN.encode() not in b"".join(each.read_bytes() for each in _files(log))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
