"""A stage whose results are sealed and, as far as the store knows, with NHI; and NHI's reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from adapters.nhi.check_report import open_verdict
from adapters.ports.intake import Accepted, Door, Media, Payload
from broker.check_reports import CheckReports
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, PEOPLE, Person
from broker.packages import Sealer
from broker.sandbox.archive import pack_reports
from broker.sandbox.printing import PrintedLayout, PrintedRecord, print_report
from broker.sandbox.settings import ReportEncryption
from broker.states import PackageState, RecordState
from broker.store.packages import move_package, move_package_records
from broker.store.schema import package, package_record, receipt, record
from broker.store.verdicts import confirm_records
from mapping.convert import stamp_upload_time
from mapping.record import UploadRecord, record_from_json
from tests.integration.broker_stage import NOW, Stage

NUMBER = "1151120000017"
PASSWORD = "A123456789"
DAY = "1151120"
TIMES = Times.before(NOW)
ORDERS: tuple[tuple[Person, str, Line], ...] = (
    (PEOPLE[0], "09005C", Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")),
    (PEOPLE[1], "09015C", Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")),
    (PEOPLE[1], "09001C", Line("CHOL", "Cholesterol", "NM", "183", "mg/dL", "<200")),
    (PEOPLE[4], "09013C", Line("UA", "Uric acid", "NM", "6.2", "mg/dL", "3.4-7.0")),
)


def desk(sources: Iterable[str] = ("vpn",), passwords: Iterable[str] = (PASSWORD,)) -> CheckReports:
    """Reports may come from the source ``vpn``."""
    return CheckReports(
        open_verdict, frozenset(sources), lambda: tuple(passwords), timedelta(minutes=1)
    )


async def receive_orders(stage: Stage) -> None:
    """Visits and one result for each of :data:`ORDERS`, all ready."""
    await stage.load_visits()
    for number, (person, code, line) in enumerate(ORDERS, start=1):
        message = oru(str(number), person, f"{code}^x^NHI", f"N90000{number}", (line,), TIMES)
        await stage.receive(message, control_id=str(number))
    assert stage.states() == ["ready"] * len(ORDERS)


async def seal(stage: Stage) -> int:
    """Seal what is ready and send nothing."""
    sealer = Sealer(stage.writer, stage.reader, stage.folder, lambda: stage.now, 1000)
    package_id = await sealer.seal(CLINIC)
    assert package_id is not None
    return package_id


async def submit(stage: Stage, *, number: str = NUMBER, known: bool = True) -> int:
    """Seal what is ready and hand it to NHI; with ``known`` False its answer got lost."""
    package_id = await seal(stage)

    def send(connection: Any) -> None:
        move_package(connection, package_id, PackageState.CLAIMED)
        move_package(connection, package_id, PackageState.INFLIGHT, sent_at=stage.now)
        move_package_records(connection, package_id, RecordState.INFLIGHT)
        if not known:
            move_package(connection, package_id, PackageState.UNKNOWN, next_at=stage.now)
            move_package_records(connection, package_id, RecordState.UNKNOWN)
            return
        move_package(
            connection,
            package_id,
            PackageState.SUBMITTED,
            receipt_number=number,
            confirmed_at=stage.now,
            next_at=stage.now,
        )
        confirm_records(connection, package_id, stage.now)

    await stage.writer.write(send)
    return package_id


def sent_records(stage: Stage, package_id: int) -> list[UploadRecord]:
    """What was in the package, as NHI got it."""
    with stage.reader.connect() as connection:
        sealed_at = connection.execute(
            select(package.c.sealed_at).where(package.c.id == package_id)
        ).scalar_one()
        bodies = connection.execute(
            select(record.c.body)
            .join(package_record, package_record.c.record_id == record.c.id)
            .where(package_record.c.package_id == package_id)
            .order_by(package_record.c.position)
        ).scalars()
        return [stamp_upload_time(record_from_json(json.loads(body)), sealed_at) for body in bodies]


def package_state(stage: Stage, package_id: int) -> str:
    with stage.reader.connect() as connection:
        found: str = connection.execute(
            select(package.c.state).where(package.c.id == package_id)
        ).scalar_one()
        return found


Fault = tuple[str, tuple[str, ...]]
"""A code and the marked fields."""


@dataclass
class Report:
    """A check report to be printed. ``faults`` by order code; the others are correct."""

    records: list[UploadRecord]
    faults: Mapping[str, Fault] = field(default_factory=dict)
    number: str = NUMBER
    institution: str = CLINIC
    day: str = DAY
    layout: PrintedLayout | None = None
    change: Callable[[dict[str, str]], None] = lambda values: None

    def errors(self, note: str = "") -> bytes:
        """The report of wrong records."""
        return self._print(
            [
                PrintedRecord(values, frozenset(flagged), code)
                for record in self.records
                for code, flagged in [self.faults.get(record.value("h15"), ("", ()))]
                if code
                for values in self._rows(record)[:1]
            ],
            False,
            note,
        )

    def correct(self) -> bytes:
        """The report of correct records."""
        right = [each for each in self.records if each.value("h15") not in self.faults]
        printed = [PrintedRecord(values) for record in right for values in self._rows(record)]
        return self._print(printed, True, "")

    def entries(self) -> dict[str, bytes]:
        """Both, under the names that NHI gives them."""
        base = f"{self.institution}-{self.day}-5-{self.number}-7"
        found = {f"{base}.correct.assaychk.txt": self.correct()}
        if self.faults:
            found[f"{base}.assaychk.txt"] = self.errors()
        return found

    def zipped(self, password: str = "", *, aes: bool = False) -> bytes:
        """The ZIP as it is downloaded; without a password it is open."""
        encryption = ReportEncryption.AES if aes else ReportEncryption.ZIPCRYPTO
        encryption = encryption if password else ReportEncryption.NONE
        return pack_reports(self.entries(), encryption, password)

    def _rows(self, record: UploadRecord) -> list[dict[str, str]]:
        header = {tag: each.value for tag, each in record.header.items()}
        rows = []
        for row in record.rows:
            values = header | {tag: each.value for tag, each in row.items()}
            self.change(values)
            rows.append(values)
        return rows

    def _print(self, records: list[PrintedRecord], correct: bool, note: str) -> bytes:
        text = print_report(
            self.institution, self.day, self.number, records, correct, self.layout, note
        )
        return text.encode("cp950")


async def bring(
    stage: Stage, raw: bytes, name: str = "report.txt", *, source: str = "vpn"
) -> Accepted:
    """The report comes by the folder of ``source`` and is read."""
    payload = Payload(source, Door.FOLDER, Media.CHECK_REPORT, raw, name=name)
    accepted = await stage.intake.receive(payload)
    await stage.work()
    return accepted


def receipt_row(stage: Stage, receipt_id: int) -> Any:
    with stage.reader.connect() as connection:
        return connection.execute(select(receipt).where(receipt.c.id == receipt_id)).one()


def finding_codes(stage: Stage, receipt_id: int) -> list[str]:
    return [each["code"] for each in json.loads(receipt_row(stage, receipt_id).findings)]
