"""The service as a process: ready, stopped by SIGTERM, told to replay, one for a data folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.test_mllp_client import certificate

SETTINGS = """
data_dir = "store"
[mllp]
port = 0
[http]
port = 0
[logging]
file = "labbroker.log"
[[source]]
id = "lab"
[[folder]]
path = "inbox"
source = "lab"
quiet_seconds = 0
scan_seconds = 1
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    path = tmp_path / "labbroker.toml"
    path.write_text(SETTINGS, "utf-8")
    return path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "broker.cli.main", *arguments]


@contextmanager
def service(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running ``labbroker serve`` and the address of its HTTP door."""
    process = subprocess.Popen(
        command("serve", "--config", str(config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("labbroker is ready:"), process.communicate()[1]
        http = next(word for word in ready.split() if word.startswith("http://"))
        yield process, http.removesuffix("/fhir")
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_says_when_it_is_ready_and_stops_cleanly_on_sigterm(config: Path) -> None:
    with service(config) as (process, http):
        assert get(f"{http}/healthz") == (200, "ok\n")
        status, text = get(f"{http}/readyz")
        assert (status, json.loads(text)) == (
            200,
            {"store": True, "pipeline": True, "folders": True},
        )
        status, metrics = get(f"{http}/metrics")
        assert status == 200
        assert "# TYPE labbroker_receipts gauge" in metrics
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not (config.parent / "store" / "control.json").exists()


def test_a_list_that_cannot_be_read_is_left_out_and_logged(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('[lists]\ninstitutions = "none.csv"\n')
    with service(config) as (_, http):
        assert get(f"{http}/readyz")[0] == 200
    log = (config.parent / "labbroker.log").read_text("utf-8").splitlines()
    (told,) = [line for line in map(json.loads, log) if line["event"] == "list.unreadable"]
    assert (told["level"], told["error_code"]) == ("warning", "list-file-unreadable")


def test_a_second_service_on_the_same_data_is_refused(config: Path) -> None:
    with service(config):
        second = subprocess.run(
            command("serve", "--config", str(config)),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert second.returncode == 2
    assert "Another labbroker" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_running_service_replays_at_once(config: Path) -> None:
    dropped = config.parent / "inbox" / "result.csv"
    with service(config):
        partial = dropped.with_suffix(".part")
        partial.write_text("national_id,order_code,value\nA123456789,09005C,90\n", "utf-8")
        partial.rename(dropped)
        done = config.parent / "inbox" / "done"
        _wait_for(lambda: done.is_dir() and any(done.iterdir()))
        _wait_for(lambda: _receipts(config)[0]["state"] != "stored")
        replayed = subprocess.run(
            command("replay", "1", "--config", str(config)),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert replayed.returncode == 0, replayed.stderr
        assert "read again" in replayed.stdout
        log = (config.parent / "labbroker.log").read_text("ascii")
        assert '"event": "receipt.replayed"' in log


def test_replay_needs_the_token_of_the_data_folder(config: Path) -> None:
    with service(config) as (_, http):
        file = config.parent / "store" / "control.json"
        assert os.stat(file).st_mode & 0o077 == 0
        port = json.loads(file.read_text("ascii"))["port"]
        for address, status in ((f"http://127.0.0.1:{port}", 401), (http, 404)):
            url = f"{address}/control/replay/1"
            request = urllib.request.Request(url, method="POST")  # noqa: S310
            with pytest.raises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(request, timeout=10)  # noqa: S310 - loopback
            assert refusal.value.code == status
            refusal.value.close()


@pytest.mark.parametrize("door", ["enabled = false", "tls"])
def test_a_command_reaches_a_service_whatever_its_http_door_is(config: Path, door: str) -> None:
    if door == "tls":
        both = certificate(config.parent)
        door = f'tls_certificate = "{both}"\ntls_key = "{both}"\nhost = "0.0.0.0"'
    config.write_text(SETTINGS.replace("[http]\n", f"[http]\n{door}\n"), "utf-8")
    (config.parent / "inbox" / "result.csv").write_text(
        "national_id,order_code,value\nA123456789,09005C,90\n", "utf-8"
    )
    process = subprocess.Popen(
        command("serve", "--config", str(config)), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("labbroker is ready:")
        _wait_for(lambda: bool(_receipts(config)) and _receipts(config)[0]["state"] != "stored")
        replayed = subprocess.run(
            command("replay", "1", "--config", str(config)),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert replayed.returncode == 0, replayed.stderr
        assert "is read again" in replayed.stdout
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _receipts(config: Path) -> list[dict[str, str]]:
    listed = subprocess.run(
        command("receipts", "--jsonl", "--config", str(config)),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return [json.loads(line) for line in listed.stdout.splitlines()]


def _wait_for(condition: object, seconds: float = 20) -> None:
    import time

    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_port_in_use_is_told_in_one_sentence(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = config.read_text("utf-8").replace("[mllp]\nport = 0", f"[mllp]\nport = {port}")
        config.write_text(text, "utf-8")
        refused = subprocess.run(
            command("serve", "--config", str(config)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert refused.returncode == 2
    assert str(port) in refused.stderr
    assert "[mllp] port" in refused.stderr
    assert "Traceback" not in refused.stderr
