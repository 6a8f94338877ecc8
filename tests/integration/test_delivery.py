"""What a clinic ordered reaches that clinic, each word once and in its order."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import hmac
import io
import json
import os
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pypdf import PdfReader
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from adapters.ports.intake import StorageUnavailable
from adapters.ports.signing import SIGNATURE
from broker.bootstrap.delivery import Rendering, report_reading
from broker.bootstrap.readers import READERS
from broker.config.secret import SecretReference
from broker.delivery.agreement import DeliveryFormat, DeliveryKind
from broker.delivery.outbox import StoredOutbox
from broker.demo.people import CLINIC, LAB
from broker.nodes import Hold, Node
from broker.results import ReadResults
from broker.store.leases import LeaseLost
from broker.store.outbox import attempts_of, deliveries_of, inbox_of, mark_read, send_again
from broker.store.receipts import replay_receipt
from mapping.report import ObservationStatus, ReportStatus
from tests.integration.broker_stage import NOW, PROFILE, open_stage
from tests.integration.delivery_stage import (
    OTHER,
    PERSON,
    Receiver,
    agreement,
    delivering,
    oru,
    rows,
    states,
    until,
)

MLLP, FOLDER, HOOK, INBOX = (
    DeliveryKind.MLLP,
    DeliveryKind.FOLDER,
    DeliveryKind.FHIR_HOOK,
    DeliveryKind.INBOX,
)


def done(stage: Any, count: int = 1) -> Any:
    return lambda: states(stage).count("acknowledged") == count


async def test_every_word_reaches_the_clinic_once_and_in_its_order(tmp_path: Path) -> None:
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await stage.receive(oru("F1", "90", status="P"))
            await stage.receive(oru("F2", "101"))
            await stage.receive(oru("F1", "92.0"))
            await stage.receive(oru("F1", "92.0"))
            async with delivering(stage, to):
                await until(done(stage, 3))
            assert [row.answer for row in rows(stage)] == ["AA"] * 3
    assert clinic.values == ["90", "101", "92.0"]
    assert [each.status for each in clinic.reports] == [
        ReportStatus.PRELIMINARY,
        ReportStatus.FINAL,
        ReportStatus.FINAL,
    ]


async def test_a_value_that_changes_after_it_was_final_goes_out_as_a_correction(
    tmp_path: Path,
) -> None:
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage, delivering(stage, to) as out:
            await stage.receive(oru("F1", "90"))
            await stage.receive(oru("F1", "96", reported="202611191300"))
            out.wake()
            await until(done(stage, 2))
    assert [each.observations[0].status for each in clinic.reports] == [
        ObservationStatus.FINAL,
        ObservationStatus.CORRECTED,
    ]
    assert clinic.reports[1].status is ReportStatus.CORRECTED


async def test_a_result_waits_until_the_clinic_answers_and_nothing_overtakes_it(
    tmp_path: Path,
) -> None:
    said = iter(["AR", None, "AE", "AA"])
    async with Receiver(lambda count, raw: next(said)).listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage, delivering(stage, to) as out:
            await stage.receive(oru("F1", "1"))
            await stage.receive(oru("F2", "2"))
            out.wake()
            await until(lambda: "queued" not in states(stage) and "sent" not in states(stage))
            await until(lambda: states(stage) == ["refused", "acknowledged"])
            assert [row.attempts for row in rows(stage)] == [3, 1]
            with stage.reader.connect() as connection:
                tries = attempts_of(connection, rows(stage)[0].id)
            assert [each.outcome for each in tries] == ["failed", "failed", "refused"]
            assert all(each.ended_at for each in tries)
    assert clinic.values == ["1", "1", "1", "2"]
    assert clinic.came[0] == clinic.came[1] == clinic.came[2]


async def test_only_the_clinic_that_ordered_gets_it(tmp_path: Path) -> None:
    async with Receiver().listening() as one, Receiver().listening() as other:
        to = (
            agreement("one", MLLP, host="127.0.0.1", port=one.port),
            agreement("other", MLLP, OTHER, host="127.0.0.1", port=other.port),
            agreement("box", INBOX),
            agreement("other-box", INBOX, OTHER),
        )
        async with open_stage(tmp_path, deliveries=to) as stage, delivering(stage, *to) as out:
            for number in range(6):
                clinic = CLINIC if number % 3 else OTHER
                await stage.receive(oru(f"F{number}", str(number), clinic=clinic))
            out.wake()
            await until(done(stage, 6))
            with stage.reader.connect() as connection:
                mine = inbox_of(connection, frozenset({CLINIC}))
                assert {row.clinic_code for row in mine} == {CLINIC}
                assert len(mine) == 4
                assert inbox_of(connection, frozenset()) == []
                assert inbox_of(connection, frozenset({""})) == []
                assert len(inbox_of(connection, None)) == 6
                assert {
                    row.clinic_code for row in deliveries_of(connection, frozenset({OTHER}))
                } == {OTHER}
            assert (
                await stage.writer.write(
                    lambda c: mark_read(c, mine[0].id, frozenset({OTHER}), "x", stage.now)
                )
                is None
            )
            # The same patient at the other clinic: its own view holds no word of the first.
            for row in mine:
                assert out.reading.view(OTHER, row.receipt_id, row.number, trends=True) is None
    assert one.values == ["1", "2", "4", "5"]
    assert other.values == ["0", "3"]


async def test_a_result_without_a_known_clinic_goes_nowhere(tmp_path: Path) -> None:
    to = agreement("box", INBOX)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        await stage.receive(oru("F1", "1", clinic="UNKNOWN-XX"))
        await stage.receive(oru("F2", "1"), source="unknown")
        await stage.receive(oru("F3", "1").replace(b"|P|2.5.1", b"|T|2.5.1"))
        assert [row.clinic_code for row in rows(stage)] == [CLINIC]


async def test_reading_a_receipt_again_queues_nothing_twice(tmp_path: Path) -> None:
    to = agreement("box", INBOX)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        accepted = await stage.receive(oru("F1", "1"))
        await stage.writer.write(lambda c: replay_receipt(c, accepted.receipt_id))
        await stage.work()
        assert states(stage) == ["queued"]


async def test_an_inbox_remembers_who_read_a_result_first(tmp_path: Path) -> None:
    to = agreement("box", INBOX)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        await stage.receive(oru("F1", "1"))
        number = rows(stage)[0].id
        assert rows(stage)[0].lab_code == LAB
        of_the_lab = frozenset({LAB})
        assert not await stage.writer.write(
            lambda c: mark_read(c, number, of_the_lab, "wu", stage.now)
        ), "who sent it has not received it"
        for who in ("chen", "lin"):
            read = partial(
                mark_read,
                outgoing_id=number,
                institutions=frozenset({CLINIC}),
                by=who,
                now=stage.now,
            )
            await stage.writer.write(read)
        assert (rows(stage)[0].state, rows(stage)[0].answer) == ("acknowledged", "chen")
        with stage.reader.connect() as connection:
            assert inbox_of(connection, None, unread=True) == []


@pytest.mark.parametrize("form", list(DeliveryFormat), ids=str)
async def test_a_folder_gets_whole_files_of_each_form(tmp_path: Path, form: DeliveryFormat) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    to = agreement("f", FOLDER, folder=folder, format=form, heading="安心醫事檢驗所")
    async with open_stage(tmp_path / "store", deliveries=(to,)) as stage:
        await stage.receive(oru("F0", "88", taken="202611010900", reported="202611011000"))
        await stage.receive(oru("F1", "182.0", flag="HH"))
        async with delivering(stage, to):
            await until(done(stage, 2))
        assert [row.answer for row in rows(stage)] == sorted(os.listdir(folder))
        assert [row.body for row in rows(stage)] == [None, None]
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [f".{form.value}"] * 2
    raw = files[1].read_bytes()
    if form is DeliveryFormat.CSV:
        (row,) = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
        assert (row["檢驗值"], row["姓名"]) == ("182.0", "許功蓋")
    elif form is DeliveryFormat.PDF:
        text = PdfReader(io.BytesIO(raw)).pages[0].extract_text()
        for told in (
            "許功蓋",
            "182.0",
            "mg/dL",
            "70 - 100",
            "HH",
            "88",
            "26-11-01",
            "安心醫事檢驗所",
        ):
            assert told in text


async def test_a_folder_that_is_away_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "share"
    to = agreement("f", FOLDER, folder=folder)
    async with open_stage(tmp_path / "store", deliveries=(to,)) as stage, delivering(stage, to):
        await stage.receive(oru("F1", "1"))
        async with delivering(stage, to):
            await until(lambda: states(stage) == ["failed"] or rows(stage)[0].attempts > 1)
            assert rows(stage)[0].error_code in ("ENOENT", "")
            folder.mkdir()
            await until(done(stage))
    assert len(list(folder.iterdir())) == 1


async def test_a_hook_is_told_where_to_read_without_a_word_about_the_patient(
    tmp_path: Path,
) -> None:
    came: list[tuple[dict[str, str], bytes, str]] = []
    answers = iter([500, 307, 200])

    async def notified(request: web.Request) -> web.Response:
        came.append((dict(request.headers), await request.read(), request.path_qs))
        return web.Response(status=next(answers), headers={"Location": "http://127.0.0.1:1/"})

    application = web.Application()
    application.router.add_post("/hook", notified)
    async with TestServer(application) as server:
        to = agreement(
            "h", HOOK, url=str(server.make_url("/hook")), secret=SecretReference(variable="KEY")
        )
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            accepted = await stage.receive(oru("F1", "181"))
            async with delivering(stage, to, environ={"KEY": "geheim"}):
                await until(done(stage))
            assert rows(stage)[0].attempts == 3
    assert len({body for _, body, _ in came}) == 1
    assert len({headers["Idempotency-Key"] for headers, _, _ in came}) == 1
    headers, body, path = came[-1]
    for secret in (PERSON, "許功蓋", "181", "1958"):
        assert secret not in body.decode()
        assert secret not in path
    told = json.loads(body)["entry"][0]["resource"]["parameter"]
    assert {"reference": f"DiagnosticReport/r{accepted.receipt_id}-n1"} in [
        each.get("valueReference") for each in told
    ]
    stamp, digest = (part.partition("=")[2] for part in headers[SIGNATURE].split(","))
    expected = hmac.new(b"geheim", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)


async def test_a_hook_without_its_secret_keeps_the_notification(tmp_path: Path) -> None:
    to = agreement("h", HOOK, url="http://127.0.0.1:9/x", secret=SecretReference(variable="KEY"))
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        await stage.receive(oru("F1", "1"))
        async with delivering(stage, to):
            await until(lambda: rows(stage)[0].error_code == "secret-unavailable")
        assert states(stage)[0] in ("failed", "sent")


async def test_what_cannot_be_written_is_refused_and_the_next_goes_on(tmp_path: Path) -> None:
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port, charset="cp950")
        async with open_stage(tmp_path, deliveries=(to,)) as stage, delivering(stage, to) as out:
            await stage.receive(oru("F1", "1").replace("血糖".encode(), "é".encode()))
            await stage.receive(oru("F2", "2"))
            out.wake()
            await until(done(stage))
            assert [(row.state, row.error_code) for row in rows(stage)] == [
                ("refused", "hl7-unwritable"),
                ("acknowledged", ""),
            ]
    assert clinic.values == ["2"]
    assert "血糖" in clinic.came[0].decode("cp950")


async def test_a_person_may_have_a_result_sent_again(tmp_path: Path) -> None:
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage, delivering(stage, to) as out:
            await stage.receive(oru("F1", "1"))
            out.wake()
            await until(done(stage))
            number = rows(stage)[0].id
            assert await stage.writer.write(lambda c: send_again(c, number, stage.now))
            out.wake()
            await until(done(stage, 2))
            assert await stage.writer.write(lambda c: send_again(c, 99, stage.now)) is None
    assert clinic.values == ["1", "1"]


class OthersNode(Node):
    """Another broker on the same store delivers, until it is gone."""

    def __init__(self) -> None:
        self.gone = False

    async def take(self, *names: str) -> Hold | None:
        return Hold() if self.gone else None


class LostHold(Hold):
    def require(self, connection: Connection) -> None:
        raise LeaseLost(name="send:delivery/a")


async def test_only_the_node_that_holds_a_destination_sends_to_it(tmp_path: Path) -> None:
    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await stage.receive(oru("F1", "1"))
            node = OthersNode()
            results = ReadResults(stage.reader, READERS, {"lab": PROFILE})
            render = Rendering(report_reading(results))
            outbox = StoredOutbox(to, stage.writer, stage.reader, render, lambda: NOW, node)
            assert await outbox.first() is None
            outbox._hold = LostHold()
            assert await outbox.first() is None
            assert states(stage) == ["queued"]
            node.gone = True
            assert await outbox.first() is not None
            assert states(stage) == ["sent"]


async def test_a_store_that_is_away_refuses_no_report_and_ends_no_sender(tmp_path: Path) -> None:
    away = sqlite3.OperationalError("disk I/O error")
    away.sqlite_errorcode = sqlite3.SQLITE_IOERR

    async with Receiver().listening() as clinic:
        to = agreement("a", MLLP, host="127.0.0.1", port=clinic.port)
        async with open_stage(tmp_path, deliveries=(to,)) as stage:
            await stage.receive(oru("F1", "1"))
            real = Rendering(report_reading(ReadResults(stage.reader, READERS, {"lab": PROFILE})))
            faults = [OperationalError("SELECT 1", {}, away)]

            def render(agreement: Any, row: Any, now: Any) -> tuple[str, bytes]:
                if faults:
                    raise faults.pop()
                return real(agreement, row, now)

            outbox = StoredOutbox(to, stage.writer, stage.reader, render, lambda: NOW)
            with pytest.raises(StorageUnavailable):
                await outbox.first()
            assert states(stage) == ["queued"]
            assert await outbox.first() is not None


_CHILD = """
import asyncio, sys
from pathlib import Path
from broker.delivery.agreement import DeliveryKind
from tests.integration.broker_stage import NOW, PROFILE, open_stage
from tests.integration.delivery_stage import agreement, delivering, oru, states

async def main():
    to = agreement("a", DeliveryKind.MLLP, host="127.0.0.1", port=int(sys.argv[2]))
    async with open_stage(Path(sys.argv[1]), deliveries=(to,)) as stage:
        for number in range(int(sys.argv[3]), int(sys.argv[4])):
            await stage.receive(oru(f"F{number}", str(number)))
        async with delivering(stage, to):
            while set(states(stage)) != {"acknowledged"}:
                await asyncio.sleep(0.01)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_service_that_is_killed_loses_nothing_and_repeats_no_known_acknowledgement(
    tmp_path: Path,
) -> None:
    """Killed as a message arrives, before its answer or after it."""
    total = 8
    child: asyncio.subprocess.Process | None = None
    kills = {2: "before", 5: "after"}

    def answer(count: int, raw: bytes) -> str | None:
        how = kills.pop(len(set(clinic.came)), None)
        if how is None:
            return "AA"
        assert child is not None
        if how == "before":
            os.kill(child.pid, signal.SIGKILL)
            return None
        asyncio.get_running_loop().call_later(0.05, os.kill, child.pid, signal.SIGKILL)
        return "AA"

    async with Receiver(answer).listening() as clinic:
        for attempt in range(5):
            first, last = (0, total) if attempt == 0 else (total, total)
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _CHILD, str(tmp_path), str(clinic.port)),
                *(str(first), str(last)),
                cwd=Path(__file__).parents[2],
            )
            if await child.wait() == 0:
                break
        assert not kills
        assert attempt >= 2
    seen = list(dict.fromkeys(clinic.values))
    assert seen == [str(number) for number in range(total)]
    # Only a message that was under way when the service died may have come twice.
    assert len(clinic.came) <= total + 2


async def test_a_destination_that_was_given_to_another_clinic_gets_nothing_of_the_first(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "clinic"
    before = agreement("his", FOLDER, folder=folder)
    async with open_stage(tmp_path / "store", deliveries=(before,)) as stage:
        await stage.receive(oru("F1", "1"))
        async with delivering(stage, before):
            await until(lambda: rows(stage)[0].attempts > 0)
        folder.mkdir()
        async with delivering(stage, agreement("his", FOLDER, OTHER, folder=folder)):
            await until(lambda: states(stage) == ["refused"])
        assert rows(stage)[0].error_code == "delivery-not-theirs"
    assert list(folder.iterdir()) == []
