"""Nothing that names a patient comes out in a log, on a terminal or in a metric of a whole run.

What is searched for went in by all doors, in good messages and in broken ones; the store, the
packages, the gateway's folder and the folders of taken files are where it belongs.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from broker.demo.messages import Line, Times, fhir_bundles, hl7_messages, oru, result_file
from broker.demo.people import PEOPLE, STRANGER, Person
from broker.demo.rehearsal import TOKEN
from mapping.rocdate import roc_date
from tests.integration.broker_stage import NOW

VALUE = "7654.321"
CHART = "CHART-998877"


def forms(text: str) -> Iterator[bytes]:
    """A text as it could leak: plain, escaped, quoted, encoded."""
    for charset in ("utf-8", "cp950", "utf-16-le"):
        raw = text.encode(charset)
        yield raw
        yield raw.hex().encode()
        yield base64.b64encode(raw).rstrip(b"=")[:-1]
    yield quote(text).encode()
    yield json.dumps(text)[1:-1].encode()
    yield text.encode("unicode_escape")


def canaries(person: Person) -> Iterator[str]:
    yield person.national_id
    yield person.name.replace("^", "")
    yield person.name.partition("^")[2]
    yield person.birth_on.isoformat()
    yield f"{person.birth_on:%Y%m%d}"
    yield roc_date(person.birth_on)


def payloads() -> Iterator[tuple[str, bytes]]:
    """Good messages, and the same broken in ways that make readers complain."""
    times = Times.before(NOW)
    line = Line("GLUC", "Glucose", "NM", VALUE, "mg/dL", "70-99")
    good = oru("77", PEOPLE[0], "GLUC", CHART, (line,), times)
    yield "good.hl7", good
    for number, (_, raw) in enumerate(hl7_messages(times)):
        yield f"message-{number}.hl7", raw
        yield f"cut-{number}.hl7", raw[: len(raw) * 2 // 3]
        yield f"bytes-{number}.hl7", raw.replace(b"||", b"|\xff\xfe|", 3)
    for number, (_, raw) in enumerate(fhir_bundles(times)):
        yield f"bundle-{number}.json", raw
        yield f"cut-{number}.json", raw[: len(raw) * 2 // 3]
        yield f"wrong-{number}.json", raw.replace(b'"status": "final"', b'"status": 5')
    name, raw = result_file(times)
    yield name, raw
    yield "ragged.csv", raw.replace(b",", b",,", 20)
    # The sender's own file name may be a patient's.
    yield f"{STRANGER.national_id}-{PEOPLE[1].name.replace('^', '')}.csv", raw + b"\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    inbox, folder = tmp_path_factory.mktemp("canaries"), tmp_path_factory.mktemp("run")
    for name, raw in payloads():
        (inbox / name).write_bytes(raw)
    done = subprocess.run(
        [
            sys.executable, "-m", "broker.cli.main", "demo", "--json",
            "--input", str(inbox), "--data", str(folder),
        ],
        capture_output=True,
        timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["received"] > 30
    assert told["quarantined"] > 3
    return folder, done.stderr


def test_no_identifier_comes_out_in_a_log(run: tuple[Path, bytes]) -> None:
    folder, stderr = run
    logs = list(folder.rglob("*.log"))
    assert logs
    written = stderr + b"".join(path.read_bytes() for path in logs)
    assert written.count(b'"event": "receipt.parsed"') > 20
    assert written.count(b'"event": "receipt.quarantined"') > 3
    for person in (*PEOPLE, STRANGER):
        for canary in canaries(person):
            for form in forms(canary):
                assert form not in written, f"{type(canary).__name__} of a patient in a log"
    for secret in (VALUE, CHART, TOKEN):
        for form in forms(secret):
            assert form not in written


def test_the_search_would_find_what_it_looks_for(run: tuple[Path, bytes]) -> None:
    folder, _ = run
    store = b"".join(path.read_bytes() for path in (folder / "store").glob("labbroker.sqlite*"))
    for person in (*PEOPLE, STRANGER):
        assert person.national_id.encode() in store
    assert VALUE.encode() in store
