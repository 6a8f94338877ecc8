"""Two real brokers on one PostgreSQL: one is killed or paused in the middle of a send, and nothing
is lost, nothing goes out twice, no file number is left out.

``LABBROKER_NODE_ROUNDS`` is the number of rounds; ``make test`` takes few.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from adapters.hl7.client import connect
from adapters.ports.intake import Media
from broker.demo.senders import drop_file
from broker.store.engine import open_reader
from broker.store.location import StoreLocation
from broker.store.schema import package, receipt
from tests.acceptance.running_service import (
    CLINICS,
    GatewayProgram,
    Ground,
    Service,
    command_output,
    no_child_left,
    until_at_rest,
)
from tests.acceptance.synthetic_load import Load, Sent, Way
from tests.postgresql_server import PostgresqlServer

ROUNDS = int(os.environ.get("LABBROKER_NODE_ROUNDS", "2"))
RESULTS_A_ROUND = 20
_STORE = """
[store]
url = "{url}"
lease_seconds = 2
"""


@dataclass(slots=True)
class Node(Ground):
    """A ground whose settings name the shared store, with folders of its own."""

    number: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        if self.number == 1:
            Ground.__post_init__(self)
        for inbox in (self.lab_inbox, self.visits_inbox):
            inbox.mkdir(parents=True, exist_ok=True)

    @property
    def settings_file(self) -> Path:
        return self.folder / f"node-{self.number}.toml"

    @property
    def lab_inbox(self) -> Path:
        return self.folder / f"inbox-{self.number}" / "lab"

    @property
    def visits_inbox(self) -> Path:
        return self.folder / f"inbox-{self.number}" / "visits"

    def settle(self, gateway: str) -> None:
        self.write_settings(gateway, settle_seconds=2)
        text = self.settings_file.read_text("utf-8")
        text = text.replace('"store"', f'"store-{self.number}"')
        text = text.replace('"inbox/', f'"inbox-{self.number}/')
        text = text.replace('"labbroker.log"', f'"labbroker-{self.number}.log"')
        self.settings_file.write_text(text + _STORE.format(url=self.url), "utf-8")


async def send(service: Service, results: list[Sent], acknowledged: dict[str, Sent]) -> None:
    """Over MLLP; what is not acknowledged is the caller's to send again."""
    try:
        async with await connect("127.0.0.1", service.mllp_port) as client:
            for sent in results:
                answer = await client.send(sent.raw)
                if answer.accepted:
                    acknowledged[sent.control_id] = sent
    except OSError:
        return
    except Exception as error:
        if type(error).__name__ != "NotAcknowledged":
            raise


async def until_in_flight(reader: Engine) -> None:
    """Or until nothing will be."""

    def in_flight() -> bool:
        with reader.connect() as connection:
            states = select(func.count()).where(package.c.state == "inflight")
            return bool(connection.execute(states).scalar())

    for _ in range(100):
        if in_flight():
            return
        await asyncio.sleep(0.03)


@pytest.mark.slow
async def test_a_node_that_dies_or_is_paused_in_a_send_costs_no_result_and_doubles_none(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    seed = int(os.environ.get("LABBROKER_SEED", "0")) or random.randrange(10**6)
    print(f"LABBROKER_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    load = Load(seed, CLINICS, no_visit_rate=0)
    url = postgresql.new_database()
    grounds = [Node(tmp_path, number=number, url=url) for number in (1, 2)]
    acknowledged: dict[str, Sent] = {}
    sent: list[Sent] = []
    async with no_child_left():
        gateway = await GatewayProgram.start(grounds[0], "--repeats", "accept", "--hold", "1")
        for ground in grounds:
            ground.settle(gateway.url)
        services = [await Service.start(ground) for ground in grounds]
        await gateway.order_fault("slow-answer", times=0, seconds=0.3)
        reader = open_reader(StoreLocation(tmp_path, url))
        for number in range(ROUNDS):
            new = [each for each in load.results(RESULTS_A_ROUND * 2) if each.way is Way.MLLP]
            sent += new
            drop_file(grounds[number % 2].visits_inbox, f"{number}.xml", load.visits_file(new))
            half = len(new) // 2
            sending = asyncio.gather(
                send(services[0], new[:half], acknowledged),
                send(services[1], new[half:], acknowledged),
            )
            await until_in_flight(reader)
            await asyncio.sleep(chance.random() * 0.3)
            victim = chance.randrange(2)
            if number % 2:
                os.kill(services[victim].child.pid, signal.SIGSTOP)
                await asyncio.sleep(3)
                os.kill(services[victim].child.pid, signal.SIGCONT)
            else:
                await services[victim].child.kill()
            await sending
            if not services[victim].child.running:
                services[victim] = await Service.start(grounds[victim])
            missing = [each for each in new if each.control_id not in acknowledged]
            await send(services[1 - victim], missing, acknowledged)
        await gateway.clear_faults()
        await until_at_rest(reader, *grounds)
        assert [await service.child.stop() for service in services] == [0, 0]
        ledger = await gateway.ledger()
        listed = (await command_output(grounds[1], "receipts", "--jsonl")).splitlines()
        with reader.connect() as connection:
            rows = connection.execute(select(receipt)).all()
            held = connection.execute(select(package.c.state, package.c.stem)).all()
        reader.dispose()
    assert len(acknowledged) == len(sent)
    assert len(listed) == len(rows)
    _check(rows, held, ledger, sent)


def _check(rows: Any, packages: Any, ledger: dict[str, Any], sent: list[Sent]) -> None:
    stored = Counter(row.control_id for row in rows if row.media == Media.HL7V2.value)
    assert stored == Counter(each.control_id for each in sent)
    assert {row.state for row in rows} == {"parsed"}
    assert ledger["duplicates"] == 0
    assert ledger["refusals"] == []
    names = Counter(each["name"] for each in ledger["packages"])
    assert {name: count for name, count in names.items() if count != 1} == {}
    standing = {item["key"][8]: item["rows"][0]["r4"] for item in ledger["accepted"]}
    assert standing == {each.person.national_id: each.value for each in sent}
    assert {order["uploads"] for order in ledger["orders"]} == {1}
    assert {row.state for row in packages} <= {"checked", "stale"}
    by_day: dict[str, list[int]] = {}
    for row in packages:
        by_day.setdefault(row.stem[:17], []).append(int(row.stem[17:20]))
    for numbers in by_day.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
