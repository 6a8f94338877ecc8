"""kill -9 at random moments: what was acknowledged is there once, and uploaded once.

A real `labbroker serve` takes results by MLLP, HTTP and dropped files and sends them to the
stand-in gateway, while the parent records every acknowledgement that it reads and kills the
service. After each kill the senders do what real senders do: what was not acknowledged is sent
again, the very same bytes.

``LABBROKER_KILLS`` is the number of kills in all; ``make test`` takes few, 100 is the figure of
the acceptance.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.hl7.client import NotAcknowledged, connect
from broker.demo.senders import drop_file
from broker.store.engine import open_reader
from tests.acceptance.running_service import (
    CLINICS,
    TOKEN,
    GatewayProgram,
    Ground,
    Service,
    command_output,
    no_child_left,
    until_at_rest,
)
from tests.acceptance.synthetic_load import Load, Sent, Way

KILLS = int(os.environ.get("LABBROKER_KILLS", "6"))
MLLP_CONNECTIONS = 4
RESULTS_A_CYCLE = 90

# Whether the gateway took the package or not, the sender cannot know. A lagging query lies for
# less than the settling time; a repeated name would be taken again and show in the ledger.
FAULTS: tuple[tuple[str, dict[str, float]], ...] = (
    ("timeout-after-accepting", {"seconds": 0.5}),
    ("timeout-after-accepting", {"seconds": 3}),
    ("error-after-accepting", {}),
    ("close-after-accepting", {}),
    ("login-page-after-accepting", {}),
    ("truncated-receipt", {}),
    ("slow-answer", {"seconds": 0.5}),
    ("lagging-query", {"seconds": 2}),
    ("close-at-half", {}),
    ("error-before-reading", {}),
    ("login-page", {}),
    ("query-down", {}),
    ("report-down", {}),
    ("report-damaged", {}),
)


@dataclass(slots=True)
class Senders:
    """What was sent and what was acknowledged, as the senders know it."""

    load: Load
    acknowledged: dict[tuple[str, str], Sent] = field(default_factory=dict)
    pending: list[Sent] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    attempts: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def more(self, count: int) -> list[Sent]:
        """New results and some corrections of acknowledged ones, to be sent when possible."""
        corrected = {sent.corrects for sent in self.sent if sent.corrects}
        candidates = [
            sent
            for sent in self.acknowledged.values()
            if sent.way is Way.MLLP and not sent.corrects and sent.control_id not in corrected
        ]
        new = self.load.results(count)
        new += [self.load.corrected(sent) for sent in candidates[-200::40]]
        self.pending += new
        self.sent += new
        return new

    async def run(self, service: Service, ground: Ground) -> None:
        """Send all that is pending. Returns when nothing is left or the service is gone."""
        queue = {way: [sent for sent in self.pending if sent.way is way] for way in Way}
        workers = [
            *(
                self._send_mllp(service, queue[Way.MLLP][lane::MLLP_CONNECTIONS])
                for lane in range(MLLP_CONNECTIONS)
            ),
            *(self._post(service, queue[Way.HTTP][lane::2]) for lane in range(2)),
            self._drop(ground, queue[Way.FILE]),
        ]
        await asyncio.gather(*workers)

    def forget_acknowledged(self) -> None:
        self.pending = [
            sent for sent in self.pending if (sent.control_id, sent.sha256) not in self.acknowledged
        ]

    async def _send_mllp(self, service: Service, lane: list[Sent]) -> None:
        with suppress(OSError, NotAcknowledged):
            async with await connect("127.0.0.1", service.mllp_port) as client:
                # Some at a time under way, as an interface engine does.
                for start in range(0, len(lane), 5):
                    burst = lane[start : start + 5]
                    await asyncio.gather(*(self._exchange(client, sent) for sent in burst))
                    await asyncio.sleep(0.08)

    async def _exchange(self, client: Any, sent: Sent) -> None:
        self.attempts += 1
        answer = await client.send(sent.raw)
        if answer.accepted:
            self.acknowledged[sent.control_id, sent.sha256] = sent
        else:
            self.refused[answer.code] += 1

    async def _post(self, service: Service, lane: list[Sent]) -> None:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/fhir+json",
        }
        url = f"http://127.0.0.1:{service.http_port}/fhir"
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with aiohttp.ClientSession() as session:
                for sent in lane:
                    self.attempts += 1
                    async with session.post(url, data=sent.raw, headers=headers) as answer:
                        body = await answer.json(content_type=None)
                    if answer.status == 200 and "entry" in body:
                        self.acknowledged[sent.control_id, sent.sha256] = sent
                    else:
                        self.refused[str(answer.status)] += 1
                    await asyncio.sleep(0.05)

    async def _drop(self, ground: Ground, lane: list[Sent]) -> None:
        """A file is acknowledged when it has left the inbox (see :meth:`read_done`)."""
        for sent in lane:
            self.attempts += 1
            drop_file(ground.lab_inbox, f"{sent.number}.csv", sent.raw)
            self.pending.remove(sent)
            await asyncio.sleep(0.05)

    def read_done(self, ground: Ground) -> None:
        """Files that stand in ``done`` were acknowledged by that."""
        by_sha256 = {sent.sha256: sent for sent in self.sent if sent.way is Way.FILE}
        for path in (ground.lab_inbox / "done").glob("*.csv"):
            number = path.name.rpartition("-")[2].removesuffix(".csv")
            sent = next((each for each in by_sha256.values() if str(each.number) == number), None)
            if sent is not None:
                self.acknowledged[sent.control_id, sent.sha256] = sent


async def kill_cycles(
    ground: Ground, gateway: GatewayProgram, kills: int, chance: random.Random, faults: bool
) -> Senders:
    senders = Senders(Load(chance.randrange(10**6), CLINICS))
    for cycle in range(kills):
        new = senders.more(RESULTS_A_CYCLE)
        service = await Service.start(ground)
        sending = asyncio.create_task(senders.run(service, ground))
        visits = asyncio.create_task(
            _drop_visits(ground, senders, cycle, new, chance.uniform(0, 0.5))
        )
        if faults:
            for fault, how in chance.sample(FAULTS, 3):
                await gateway.order_fault(fault, **how)
        await _moment_of_death(ground, senders, chance)
        await service.child.kill()
        await asyncio.gather(sending, visits)
        senders.forget_acknowledged()
    return senders


async def _moment_of_death(ground: Ground, senders: Senders, chance: random.Random) -> None:
    """Any time, or between the acknowledgements of one burst, or while a package is sent."""
    aim = chance.choice(("any time", "a burst", "a send", "a send"))
    sendings = _sendings(ground)
    await asyncio.sleep(chance.uniform(0.05, 1.2 if aim == "any time" else 0.4))
    known, wanted = len(senders.acknowledged), chance.randint(1, 4)
    with suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            while (  # noqa: ASYNC110 - read between two turns of the loop
                aim == "a burst" and len(senders.acknowledged) < known + wanted
            ):
                await asyncio.sleep(0)
            while aim == "a send" and _sendings(ground) == sendings:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    if aim == "a send":
        await asyncio.sleep(chance.uniform(0, 0.2))


def _sendings(ground: Ground) -> int:
    log = ground.folder / "labbroker.log"
    return log.read_bytes().count(b'"package.inflight"') if log.exists() else 0


async def _drop_visits(
    ground: Ground, senders: Senders, cycle: int, new: list[Sent], after: float
) -> None:
    await asyncio.sleep(after)
    fresh = [sent for sent in new if not sent.corrects]
    drop_file(ground.visits_inbox, f"visits-{cycle}.xml", senders.load.visits_file(fresh))


def living_numbers(sent: Iterable[Sent]) -> dict[str, str]:
    """The value that must stand at NHI for each person with a visit: the last one told."""
    values: dict[str, str] = {}
    for each in sent:
        if each.has_visit and (each.corrects or each.person.national_id not in values):
            values[each.person.national_id] = each.value
    return values


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("faults", [False, True], ids=["calm gateway", "gateway with faults"])
async def test_what_was_acknowledged_is_there_once_and_uploaded_once(
    tmp_path: Path, faults: bool
) -> None:
    seed = int(os.environ.get("LABBROKER_SEED", "0")) or random.randrange(10**6)
    print(f"LABBROKER_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    ground = Ground(tmp_path)
    async with no_child_left():
        gateway = await GatewayProgram.start(ground, "--repeats", "accept", "--hold", "1")
        ground.write_settings(gateway.url)
        if not faults:
            # Answers that take their time: the service often dies with a package under way.
            await gateway.order_fault("slow-answer", times=0, seconds=0.15)
        senders = await kill_cycles(ground, gateway, max(1, KILLS // 2), chance, faults)
        await gateway.clear_faults()
        service = await Service.start(ground)
        await senders.run(service, ground)
        reader = open_reader(ground.store)
        await until_at_rest(reader, ground)
        reader.dispose()
        senders.forget_acknowledged()
        senders.read_done(ground)
        assert await service.child.stop() == 0
        lines = (await command_output(ground, "receipts", "--jsonl")).splitlines()
        ledger = await gateway.ledger()
    receipts = [json.loads(line) for line in lines]
    _check_receipts(receipts, senders)
    _check_uploads(ledger, senders)


def _check_receipts(receipts: list[dict[str, Any]], senders: Senders) -> None:
    assert not senders.refused
    assert not senders.pending
    stored = Counter(
        (receipt["control_id"], receipt["sha256"])
        for receipt in receipts
        if receipt["source"] != "clinic"
    )
    assert [key for key in senders.acknowledged if key not in stored] == []
    assert {key: count for key, count in stored.items() if count != 1} == {}
    # All were acknowledged in the end, so nothing else is there either.
    assert set(stored) == set(senders.acknowledged)
    assert len(senders.acknowledged) == len(senders.sent)
    assert {receipt["state"] for receipt in receipts} == {"parsed"}


def _check_uploads(ledger: dict[str, Any], senders: Senders) -> None:
    assert ledger["duplicates"] == 0
    assert ledger["suspected"] == []
    assert ledger["refusals"] == []
    names = Counter(package["name"] for package in ledger["packages"])
    assert {name: count for name, count in names.items() if count != 1} == {}
    serials = sorted(names)
    by_day: dict[str, list[int]] = {}
    for name in serials:
        by_day.setdefault(name[:17], []).append(int(name[17:20]))
    corrected = {sent.person.national_id for sent in senders.sent if sent.corrects}
    expected = living_numbers(senders.sent)
    standing = {item["key"][8]: item["rows"][0]["r4"] for item in ledger["accepted"]}
    assert standing == expected
    for order in ledger["orders"]:
        # A correction that came before the first was sealed leaves one upload.
        most = 2 if order["key"][8] in corrected else 1
        assert 1 <= order["uploads"] <= most
        assert order["accepted_uploads"] == order["uploads"]
    for numbers in by_day.values():
        assert len(numbers) == len(set(numbers))
