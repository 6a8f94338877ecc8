"""Every file of the corpus goes through ``labbroker check``: exit 0, 1 or 2, never a traceback.

``LABBROKER_CORPUS`` names the folder: real messages of many senders, and files made to break
readers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from broker.cli.main import main

ROOT = Path(__file__).parents[2]
CORPUS = os.environ.get("LABBROKER_CORPUS", "")
KEYS = {"file", "kind", "message", "reports", "records", "visits", "findings", "error"}
FINDING_KEYS = {"code", "severity", "field", "place", "message", "remedy"}

pytestmark = pytest.mark.usefixtures("corpus")


@pytest.fixture(scope="module")
def files() -> list[Path]:
    folder = Path(CORPUS)
    assert folder.is_dir(), f"LABBROKER_CORPUS is {folder}, which is no folder"
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_every_file_gets_an_answer(
    files: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "en")
    faults: list[str] = []
    answers: Counter[str] = Counter()
    for file in files:
        code = main(["check", "--json", str(file)])
        out, err = capsys.readouterr()
        answers[f"exit {code}"] += 1
        if code not in (0, 1, 2) or "Traceback" in err:
            faults.append(f"{file}: exit {code} {err[-200:]}")
            continue
        result = json.loads(out)
        assert result.keys() >= KEYS
        assert all(finding.keys() == FINDING_KEYS for finding in result["findings"])
        assert (code == 2) == (result["error"] is not None), file
        told = [*result["findings"], *filter(None, [result["error"]])]
        if any(each["code"] == "internal" for each in told):
            faults.append(f"{file}: {result['error']['place']}")
        if any(not each["message"] or not each["remedy"] for each in told):
            faults.append(f"{file}: a finding or error without its texts")
    assert not faults, "\n".join(faults)
    assert sum(answers.values()) == len(files)
    assert len(answers) == 3, f"a corpus that exercises nothing: {answers}"


def test_people_get_an_answer_too(
    files: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "zh-TW")
    assert main(["check", "--recursive", CORPUS]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert all(str(file) in out for file in files)


def test_the_conformance_report_breaks_on_no_message(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [str(file) for file in files if file.suffix == ".hl7"][::3]
    main(["check", "--json", "--strict", *messages])
    for line in capsys.readouterr().out.splitlines():
        result = json.loads(line)
        assert not result["error"] or result["error"]["code"] != "internal", result


def test_a_real_process_ends_with_the_same_exit_code(files: list[Path]) -> None:
    wanted = {"hl7v2": 2, "fhir": 2, "bad": 4}
    chosen: list[Path] = []
    for name, count in wanted.items():
        inside = [file for file in files if name in file.relative_to(CORPUS).parts[:1]]
        chosen += inside[:: max(1, len(inside) // count)][:count]
    for file in chosen or files[:6]:
        done = subprocess.run(
            [sys.executable, "-m", "broker.cli.main", "check", "--json", str(file)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == main(["check", str(file)]), file
        assert done.returncode in (0, 1, 2)
        assert "Traceback" not in done.stderr
        assert json.loads(done.stdout)["file"] == str(file)
