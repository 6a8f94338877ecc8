"""The main job, as a stranger runs it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.demo.senders import drop_file


def labbroker(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    result = labbroker("demo", "--json", "--data", str(folder))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return folder, json.loads(result.stdout)


def test_results_travel_the_whole_way_by_three_doors(run: tuple[Path, dict[str, Any]]) -> None:
    _, told = run
    assert told["received"] == 17
    assert told["accepted"] == told["uploaded"] == told["on_time"] == 12
    assert told["rejected"] == 1
    assert told["held_reasons"] == {"invalid": 1, "unmapped": 1, "unmatched": 1}
    assert told["rate"] == 85.7
    assert {item["door"] for item in told["sent"]} == {"MLLP", "FHIR", "file"}
    assert len(told["sent"]) >= 12


def test_the_gateway_counts_each_order_once(run: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = run
    status = labbroker("status", "--json", "--config", str(folder / "labbroker.toml"))
    told = json.loads(status.stdout)
    assert told["records"]["accepted"] == 12
    assert set(told["packages"]) == {"checked"}
    assert sum(rate["on_time"] for rate in told["rates"]) == 12


@pytest.mark.skipif(sys.platform != "linux", reason="looks for programs in /proc")
def test_told_to_end_it_ends_what_it_started(tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "broker.cli.main", "demo", "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline()
    assert _programs_of(tmp_path) >= 2, "the broker and the stand-in gateway"
    started.terminate()
    started.stdout.close()
    assert started.wait(30) == 130
    assert _programs_of(tmp_path) == 0


def _programs_of(folder: Path) -> int:
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(each.read_bytes())
    return sum(str(folder).encode() in line for line in lines)


def test_every_receipt_is_accounted_for(run: tuple[Path, dict[str, Any]]) -> None:
    folder, told = run
    listed = labbroker("receipts", "--jsonl", "--config", str(folder / "labbroker.toml"))
    receipts = [json.loads(line) for line in listed.stdout.splitlines()]
    assert len(receipts) == told["received"]
    assert {receipt["state"] for receipt in receipts} == {"parsed"}
    assert {receipt["acknowledgement"] for receipt in receipts} <= {"delivered", "not_owed"}
    # The first message was sent twice: one receipt, and the repeat is counted.
    assert [receipt["repeats"] for receipt in receipts if receipt["control_id"] == "1"] == [1]


def test_a_held_result_is_read_again_by_replay(run: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = run
    config = str(folder / "labbroker.toml")
    assert labbroker("replay", "8", "--config", config).returncode == 0
    unknown = labbroker("replay", "4711", "--config", config)
    assert unknown.returncode == 2
    assert "4711" in unknown.stderr
    assert "labbroker receipts" in unknown.stderr


def test_the_files_of_a_folder_go_through_the_doors(tmp_path: Path) -> None:
    from broker.demo.messages import Times, fhir_bundles, hl7_messages, result_file
    from tests.integration.broker_stage import NOW

    times = Times.before(NOW)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "one.hl7").write_bytes(hl7_messages(times)[0][1].replace(b"\r", b"\n"))
    wide = hl7_messages(times)[1][1].decode("utf-8").replace("UTF-8", "UTF-16")
    # U+540B holds a 0x0B there, which no MLLP block can.
    (inbox / "wide.hl7").write_bytes(wide.replace("一郎", "一吋").encode("utf-16-le"))
    (inbox / "two.json").write_bytes(fhir_bundles(times)[0][1])
    name, raw = result_file(times)
    (inbox / name).write_bytes(raw)
    (inbox / "junk.bin").write_bytes(bytes(range(256)))
    result = labbroker("demo", "--json", "--input", str(inbox))
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert {"door": "file", "what": "wide.hl7", "answer": "hl7v2"} in told["sent"]
    assert told["results"] == 6
    assert told["held_reasons"] == {"unmatched": 6}


def test_a_dropped_file_is_marked_as_whole_from_its_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[bool] = []
    rename = Path.rename

    def look(path: Path, target: Path) -> Path:
        marked.append(Path(f"{target}.done").exists())
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", look)
    drop_file(tmp_path, "a.csv", b"whole")
    assert marked == [True]
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.csv.done"}


def test_a_missing_input_folder_is_told_in_one_sentence() -> None:
    result = labbroker("demo", "--input", "/nowhere/at/all")
    assert result.returncode == 2
    assert "/nowhere/at/all" in result.stderr
    assert "Traceback" not in result.stderr
