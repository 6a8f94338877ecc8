"""The gateway itself over real sockets: login, reception, operator's doors, its own process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import signal
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from adapters.card.software_key import (
    SoftwareKey,
    create_rehearsal_authority,
    create_rehearsal_key,
)
from adapters.nhi.sandbox_channel import SandboxChannel
from adapters.ports.channel import Arrival
from tests.gateway_samples import (
    INSTITUTION,
    OPERATOR,
    Keys,
    Rehearsal,
    document,
    good_package,
    header,
    rehearsal,
    row,
    sealed,
    upload_day,
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.create(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def play(keys: Keys, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    async with rehearsal(keys, tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def http(play: Rehearsal) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(play.url) as session:
        yield session


async def challenge(http: aiohttp.ClientSession, institution: str = INSTITUTION) -> str:
    async with http.get("/challenge", params={"institution": institution}) as answer:
        nonce = (await answer.json())["nonce"]
        assert isinstance(nonce, str)
        return nonce


async def login(
    http: aiohttp.ClientSession, key: SoftwareKey, nonce: str, **changes: Any
) -> tuple[int, dict[str, Any]]:
    body = {
        "institution": INSTITUTION,
        "nonce": nonce,
        "certificate": key.certificate.decode(),
        "signature": base64.b64encode(key.sign(nonce.encode())).decode(),
        **changes,
    }
    async with http.post("/login", json=body) as answer:
        return answer.status, await answer.json()


async def token_of(http: aiohttp.ClientSession, key: SoftwareKey) -> str:
    status, body = await login(http, key, await challenge(http))
    assert status == 200
    return str(body["token"])


async def test_the_right_key_is_let_in(http: aiohttp.ClientSession, keys: Keys) -> None:
    assert await token_of(http, keys.key)


async def test_a_signature_of_another_key_is_refused(
    http: aiohttp.ClientSession, keys: Keys, tmp_path: Path
) -> None:
    other = create_rehearsal_key(tmp_path / "other", INSTITUTION, keys.authority)
    nonce = await challenge(http)
    signature = base64.b64encode(other.sign(nonce.encode())).decode()
    status, body = await login(http, keys.key, nonce, signature=signature)
    assert (status, body["code"], body["taken"]) == (403, "login", False)


async def test_a_certificate_of_an_unknown_authority_is_refused(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    authority = create_rehearsal_authority(tmp_path / "authority")
    key = create_rehearsal_key(tmp_path / "key", INSTITUTION, authority)
    assert (await login(http, key, await challenge(http)))[0] == 403


async def test_a_certificate_of_another_institution_is_refused(
    http: aiohttp.ClientSession, keys: Keys, tmp_path: Path
) -> None:
    other = create_rehearsal_key(tmp_path / "other", "3500000000", keys.authority)
    assert (await login(http, other, await challenge(http)))[0] == 403


async def test_a_nonce_serves_once_for_its_institution_and_for_a_minute(
    http: aiohttp.ClientSession, keys: Keys, play: Rehearsal
) -> None:
    nonce = await challenge(http)
    assert (await login(http, keys.key, nonce))[0] == 200
    assert (await login(http, keys.key, nonce))[0] == 403
    assert (await login(http, keys.key, await challenge(http, "3500000000")))[0] == 403
    late = await challenge(http)
    play.clock.ahead = timedelta(minutes=2)
    assert (await login(http, keys.key, late))[0] == 403


async def test_a_certificate_out_of_date_is_refused(
    http: aiohttp.ClientSession, keys: Keys, play: Rehearsal
) -> None:
    play.clock.ahead = timedelta(days=400)
    assert (await login(http, keys.key, await challenge(http)))[0] == 403


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"nonce": 1}', b"[" * 5000, b"\xff", b'{"signature": "%"}']
)
async def test_a_login_that_is_none_is_refused(http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post("/login", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["taken"] is False


async def test_nothing_is_taken_without_a_session(
    http: aiohttp.ClientSession, play: Rehearsal
) -> None:
    package = good_package()
    async with http.post(
        "/packages", params={"name": f"{package.stem}.zip"}, data=package.raw_zip
    ) as answer:
        assert answer.status == 401
    async with http.get(f"/packages/{package.stem}.zip") as answer:
        assert answer.status == 401
    async with http.get("/packages/1150101000001/report") as answer:
        assert answer.status == 401
    assert play.ledger()["packages"] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("x.zip", "file-name"),
        (f"{INSTITUTION}{upload_day()}000.zip", "file-name"),
        (f"{INSTITUTION}1149999001.zip", "file-name"),
        (f"{INSTITUTION}{upload_day()}001.ZIP", "file-name"),
        (f"{INSTITUTION}{upload_day(3)}001.zip", "upload-date"),
        (f"3500000000{upload_day()}001.zip", "institution"),
    ],
)
async def test_a_wrong_name_is_refused_at_the_door(
    http: aiohttp.ClientSession, keys: Keys, name: str, code: str
) -> None:
    bearer = {"Authorization": f"Bearer {await token_of(http, keys.key)}"}
    async with http.post("/packages", params={"name": name}, data=b"x", headers=bearer) as answer:
        assert (await answer.json())["code"] == code


def _zip(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return target.getvalue()


STEM = f"{INSTITUTION}{upload_day()}001"


@pytest.mark.parametrize(
    "raw",
    [b"", b"PK", b"no zip", _zip(), _zip("a.xml"), _zip(f"{STEM}.xml", "b.xml"), _zip(STEM)[:-30]],
)
async def test_an_archive_that_is_not_one_xml_of_the_name_is_refused(
    http: aiohttp.ClientSession, keys: Keys, play: Rehearsal, raw: bytes
) -> None:
    bearer = {"Authorization": f"Bearer {await token_of(http, keys.key)}"}
    async with http.post(
        "/packages", params={"name": f"{STEM}.zip"}, data=raw, headers=bearer
    ) as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "archive")
    assert play.ledger()["refusals"] == [{"name": f"{STEM}.zip", "code": "archive"}]


async def test_a_package_that_is_too_large_is_refused(keys: Keys, tmp_path: Path) -> None:
    async with (
        rehearsal(keys, tmp_path, largest_package=100) as play,
        aiohttp.ClientSession(play.url) as http,
    ):
        bearer = {"Authorization": f"Bearer {await token_of(http, keys.key)}"}
        async with http.post(
            "/packages", params={"name": f"{STEM}.zip"}, data=b"x" * 101, headers=bearer
        ) as answer:
            assert (answer.status, (await answer.json())["code"]) == (413, "too-large")


async def test_a_file_that_cannot_be_read_is_taken_and_then_rejected_whole(
    play: Rehearsal,
) -> None:
    package = sealed(b'<?xml version="1.0" encoding="UTF-8"?><patient/>')
    receipt = await play.channel.submit(package, play.key)
    raw = await play.channel.fetch_verdict(package, receipt, play.key)
    assert raw is not None
    assert play.ledger()["orders"] == []


async def test_a_correction_replaces_all_rows_and_an_older_one_does_not(play: Rehearsal) -> None:
    day = upload_day()
    two = [row(), row(r1="2")]
    for serial, (at, rows) in enumerate(
        [("100000", two), ("110000", [row(r4="99")]), ("090000", two)], start=1
    ):
        package = sealed(document((header(h16=f"{day}{at}"), rows)), serial)
        await play.channel.submit(package, play.key)
    (standing,) = play.ledger()["accepted"]
    assert standing["h16"] == f"{day}110000"
    assert [fields["r4"] for fields in standing["rows"]] == ["99"]
    assert play.ledger()["orders"][0]["accepted_uploads"] == 2


async def test_ledger_and_faults_are_for_the_operator(http: aiohttp.ClientSession) -> None:
    operator = {"X-Operator-Token": OPERATOR}
    for path in ("/ledger", "/faults"):
        async with http.get(path) as answer:
            assert answer.status == 403
        async with http.get(path, headers=operator) as answer:
            assert answer.status == 200
    fault = {"fault": "query-down", "times": 2}
    async with http.post("/faults", json=fault, headers=operator) as answer:
        assert (await answer.json())["waiting"] == [fault]
    async with http.post("/faults", json={"fault": "x"}, headers=operator) as answer:
        assert answer.status == 400
    async with http.delete("/faults", headers=operator) as answer:
        assert (await answer.json())["waiting"] == []


async def test_two_at_once_under_one_name_make_one_package(play: Rehearsal) -> None:
    package = good_package()
    await play.channel.query(package, play.key)
    receipts = await asyncio.gather(*(play.channel.submit(package, play.key) for _ in range(8)))
    assert len({receipt.receipt_number for receipt in receipts}) == 1
    assert play.ledger()["orders"][0]["uploads"] == 1


async def _start(keys: Keys, data: Path, *more: str) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "broker.sandbox",
        "--data",
        str(data),
        "--trust",
        str(keys.authority.certificate_file),
        *more,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = await process.stdout.readline()
    return process, str(json.loads(line)["gateway"])


async def test_the_program_keeps_its_ledger_over_a_kill(keys: Keys, tmp_path: Path) -> None:
    # The program keeps the real time: its day may be the one before that of the samples.
    package = sealed(document((header(), [row()])), day=upload_day(1))
    process, url = await _start(keys, tmp_path, "--query-lag", "0")
    async with SandboxChannel(url) as channel:
        receipt = await channel.submit(package, keys.key)
    process.kill()
    await process.wait()
    process, url = await _start(keys, tmp_path)
    try:
        async with SandboxChannel(url) as channel:
            answer = await channel.query(package, keys.key)
            assert answer.arrival is Arrival.ARRIVED
            assert answer.receipt is not None
            assert answer.receipt.receipt_number == receipt.receipt_number
        token = (tmp_path / "operator-token").read_text().strip()
        assert (tmp_path / "operator-token").stat().st_mode & 0o777 == 0o600
        async with (
            aiohttp.ClientSession(url) as http,
            http.get("/ledger", headers={"X-Operator-Token": token}) as seen,
        ):
            assert (await seen.json())["duplicates"] == 0
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0


async def test_a_program_that_cannot_start_says_why(keys: Keys, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "broker.sandbox",
        "--data",
        str(tmp_path),
        "--trust",
        str(tmp_path / "nowhere.pem"),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert b"cannot start" in said
    assert b"nowhere.pem" in said
