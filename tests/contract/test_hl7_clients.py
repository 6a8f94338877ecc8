"""Other people's HL7 clients against our door: python-hl7's ``mllp_send`` and two of Node's."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from adapters.hl7.oru import read_hl7
from adapters.hl7.server import MllpServer
from mapping.parsed import ParsedPayload
from tests.conftest import Require
from tests.hl7_samples import PROFILE
from tests.mllp_peers import HeldIntake, listening, numbered

NODE_CLIENTS = Path(__file__).parents[1] / "node_clients"
MESSAGES = [numbered(number) for number in range(5)]


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode()
    assert process.returncode == 0, text
    return text


def told(raw: bytes) -> ParsedPayload:
    return read_hl7(raw, PROFILE)


async def open_door() -> tuple[HeldIntake, MllpServer]:
    intake = HeldIntake(prompt=True)
    return intake, await listening(intake)


@pytest.mark.parametrize("loose", [False, True])
async def test_mllp_send_of_python_hl7_delivers_and_reads_its_answers(
    tmp_path: Path, require: Require, loose: bool
) -> None:
    program = shutil.which("mllp_send", path=str(Path(sys.executable).parent))
    require(program, "mllp_send of python-hl7 is not installed")
    intake, server = await open_door()
    file = tmp_path / "results.hl7"
    if loose:
        file.write_bytes(b"".join(raw.replace(b"\r", b"\r\n") for raw in MESSAGES))
    else:
        file.write_bytes(b"".join(b"\x0b" + raw + b"\x1c\r" for raw in MESSAGES))
    options = ["--loose"] if loose else []
    output = await output_of(
        str(program), *options, "--file", str(file), "--port", str(server.port), "127.0.0.1"
    )
    await server.stop()
    assert output.count("MSA|AA|") == len(MESSAGES)
    assert [told(payload.raw) for payload, _ in intake.offers] == [told(raw) for raw in MESSAGES]


@pytest.mark.parametrize("client", ["simple-hl7", "node-hl7-client"])
async def test_a_node_client_delivers_and_reads_its_answers(
    tmp_path: Path, require: Require, client: str
) -> None:
    node = shutil.which("node")
    require(node, "node is not installed")
    require(
        (NODE_CLIENTS / "node_modules" / client).is_dir(),
        f"{client} is not installed: run tests/system_parts.sh",
    )
    intake, server = await open_door()
    file = tmp_path / "messages.json"
    file.write_text(json.dumps([raw.decode() for raw in MESSAGES]), "utf-8")
    program = str(NODE_CLIENTS / "send.js")
    output = await output_of(str(node), program, client, str(server.port), str(file))
    await server.stop()
    assert output.split("\n")[:-1] == [f"AA M{number}" for number in range(len(MESSAGES))]
    assert [told(payload.raw) for payload, _ in intake.offers] == [told(raw) for raw in MESSAGES]
