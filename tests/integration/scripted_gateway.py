"""A gateway without sockets: the stand-in's own rules and ledger, faults by script, and deaths.

What arrives is judged and booked by :mod:`broker.sandbox`, so the ledger is the truth of what was
uploaded and how often. The same file name is taken again: a repeated send always shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters.nhi.check_report import open_verdict
from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    NotDelivered,
    OutcomeUnknown,
    QueryAnswer,
    RefusedByGateway,
    SealedPackage,
)
from adapters.ports.credential import Credential, CredentialKind
from broker.sandbox.archive import pack_reports
from broker.sandbox.ledger import Ledger, TakenPackage
from broker.sandbox.reception import Refused, check_owner_and_day, open_package, parse_name
from broker.sandbox.settings import ReportEncryption, SandboxSettings
from broker.sandbox.upload_document import UploadedOrder
from broker.sandbox.verdict import judge, print_verdict
from broker.submission import Uploader
from mapping.verdict import CheckReport

PASSWORD = "A123456789"

Hook = Callable[[str], None]


class Death(BaseException):
    """The process ends here: no clean-up, no ``except Exception``."""


class Fate(StrEnum):
    """What becomes of one send."""

    CONFIRMED = "confirmed"
    NOT_DELIVERED = "not delivered"
    REFUSED = "refused"
    TIME_OUT_AFTER_ACCEPTING = "time-out after accepting"
    ERROR_AFTER_ACCEPTING = "500 after accepting"
    TORN_RECEIPT = "torn receipt"
    LOST_ON_THE_WAY = "cut off before it was whole"
    FAULT_BEFORE = "a fault of the channel before accepting"
    FAULT_AFTER = "a fault of the channel after accepting"


TAKEN = frozenset(
    {
        Fate.CONFIRMED,
        Fate.TIME_OUT_AFTER_ACCEPTING,
        Fate.ERROR_AFTER_ACCEPTING,
        Fate.TORN_RECEIPT,
        Fate.FAULT_AFTER,
    }
)


@dataclass(slots=True)
class TestKey:
    """Signs nothing: there is no login here."""

    __test__ = False

    institution_code: str
    kind: CredentialKind = CredentialKind.SOFTWARE
    certificate: bytes = b""

    def sign(self, message: bytes) -> bytes:
        return message


def never(_: str) -> None:
    """The hook of a calm run."""


@dataclass
class ScriptedGateway:
    """Implements ``SubmissionChannel``. ``clock`` is the gateway's own, right, clock.

    ``fate`` is asked for each send, ``lag`` for how long a query denies what was taken, ``down``
    whether a query or a report fails. ``hook`` is called at each point where a process may die.
    """

    folder: Path
    clock: Callable[[], datetime]
    hook: Hook = never
    fate: Callable[[], Fate] = lambda: Fate.CONFIRMED
    lag: Callable[[], timedelta] = timedelta
    down: Callable[[], bool] = lambda: False
    verdict_delay: timedelta = timedelta(minutes=1)
    doctor: Callable[[dict[str, Any]], dict[str, Any]] = lambda outcome: outcome
    """Changes what the report tells: ``{"errors": [...], "correct": [...]}``."""
    password: str = PASSWORD
    sends: list[tuple[str, str]] = field(default_factory=list)
    """Stem and SHA-256 of each send whose bytes began to leave."""
    queries: int = 0
    fetches: int = 0
    name: str = "sandbox"

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder)
        self._settings = SandboxSettings(self.folder, (), clock=self.clock)

    def uploader(self, institution_code: str, credential: Credential | None = None) -> Uploader:
        def read(raw: bytes) -> tuple[CheckReport, ...]:
            return open_verdict(raw, PASSWORD)

        key = credential or TestKey(institution_code)
        return Uploader(institution_code, self, key, read)

    async def submit(self, package: SealedPackage, credential: Credential) -> ChannelReceipt:
        self.hook("before the first byte")
        fate = self.fate()
        if fate is Fate.NOT_DELIVERED:
            raise NotDelivered(reason="no route")
        self.sends.append((package.stem, package.sha256))
        self.hook("after the first byte")
        if fate is Fate.LOST_ON_THE_WAY:
            raise OutcomeUnknown(reason="connection lost")
        if fate is Fate.FAULT_BEFORE:
            raise RuntimeError("a fault of the channel")
        if fate is Fate.REFUSED:
            raise RefusedByGateway(reason="archive", gateway_code="archive")
        taken = self._take(package)
        self.hook("after the last byte")
        if fate is Fate.TIME_OUT_AFTER_ACCEPTING:
            raise TimeoutError
        if fate in (Fate.ERROR_AFTER_ACCEPTING, Fate.TORN_RECEIPT):
            raise OutcomeUnknown(reason=fate.value)
        if fate is Fate.FAULT_AFTER:
            raise RuntimeError("a fault of the channel")
        self.hook("after the answer was read")
        return ChannelReceipt(taken.receipt_number, taken.confirmed_at, b"{}")

    async def query(self, package: SealedPackage, credential: Credential) -> QueryAnswer:
        self.queries += 1
        self.hook("before a query")
        if self.down():
            raise OutcomeUnknown(reason="the query failed")
        taken = self.ledger.find_name(f"{package.stem}.zip")
        self.hook("after a query")
        if taken is None or taken.visible_at > self.clock():
            return QueryAnswer(Arrival.ABSENT)
        if taken.sha256 != package.sha256:
            raise OutcomeUnknown(reason="the gateway holds other bytes under this file name")
        return QueryAnswer(
            Arrival.ARRIVED, ChannelReceipt(taken.receipt_number, taken.confirmed_at)
        )

    async def fetch_verdict(
        self, package: SealedPackage, receipt: ChannelReceipt, credential: Credential
    ) -> bytes | None:
        self.fetches += 1
        self.hook("before the verdict")
        if self.down():
            raise NotDelivered(reason="the report failed")
        taken = self.ledger.find_receipt(receipt.receipt_number)
        assert taken is not None, "a receipt that the gateway never gave"
        if taken.due_at > self.clock():
            return None
        outcome = json.dumps(self.doctor(json.loads(taken.outcome)))
        reports = print_verdict(replace(taken, outcome=outcome))
        self.hook("after the verdict")
        encryption = ReportEncryption.NONE if self.password == PASSWORD else ReportEncryption.AES
        return pack_reports(reports, encryption, self.password)

    def hold_already(self, order: UploadedOrder) -> None:
        """Somebody else has uploaded this order, with a later upload time."""
        self.ledger.take(
            f"{order.header['h2']}1140204999.zip",
            order.header["h2"],
            "",
            [(order, True)],
            '{"errors": [], "correct": []}',
            self.clock(),
            timedelta(0),
            timedelta(0),
        )

    def _take(self, package: SealedPackage) -> TakenPackage:
        name = parse_name(f"{package.stem}.zip")
        try:
            check_owner_and_day(name, name.institution, self._settings)
            document = open_package(package.raw_zip, name, self._settings.largest_document)
        except Refused as refusal:
            raise RefusedByGateway(reason=refusal.code, gateway_code=refusal.code) from None
        orders, outcome = judge(document, name, self._settings, self.ledger.standing_upload)
        taken = self.ledger.take(
            f"{package.stem}.zip",
            name.institution,
            package.sha256,
            orders,
            outcome,
            self.clock(),
            self.lag(),
            self.verdict_delay,
            again=True,
        )
        assert taken is not None
        return taken
