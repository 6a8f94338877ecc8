"""Any order of messages, faults, deaths and clock changes: the promises hold after each step.

``LABBROKER_STATE_EXAMPLES`` and ``LABBROKER_STATE_STEPS`` make the search longer.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Door, Media, Payload
from broker.bootstrap.readers import READERS
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, Person, national_id
from broker.drafting import Drafting
from broker.intake import DurableIntake
from broker.pipeline import Pipeline
from broker.states import (
    PACKAGE_TRANSITIONS,
    RECEIPT_TRANSITIONS,
    RECORD_TRANSITIONS,
    HeldReason,
)
from broker.store.schema import receipt, record
from mapping.moment import TAIPEI
from mapping.profile import Agreement, Route, SourceProfile
from mapping.visit import Order, Visit
from tests.integration.scripted_gateway import TAKEN, Death, Fate, ScriptedGateway
from tests.integration.submission_stage import Clock, SubmissionStage, standing

EXAMPLES = int(os.environ.get("LABBROKER_STATE_EXAMPLES", "20"))
STEPS = int(os.environ.get("LABBROKER_STATE_STEPS", "30"))

NOW = datetime(2025, 2, 4, 4, 0, tzinfo=UTC)
TIMES = Times.before(NOW)
PROFILE = SourceProfile("lab", lab_code=LAB, clinic_code=CLINIC, default_method="無")
AGREEMENT = Agreement(LAB, CLINIC, Route.CLINIC)

T = TypeVar("T")


_NEVER = ("", 0)
_POINTS = (
    _NEVER,
    ("after the last byte", 0),
    ("after the answer was read", 0),
    ("after the first byte", 0),
    ("before the first byte", 0),
    *(("before a commit", number) for number in range(5)),
)
_LAGS = st.sampled_from((0, 0, 5, 25))


class _Died(Enum):
    DIED = "died"


_DIED: Final = _Died.DIED

_LOG_OF_STEPS = """
CREATE TABLE IF NOT EXISTS step (axis TEXT, before TEXT, after TEXT);
CREATE TRIGGER IF NOT EXISTS receipt_step AFTER UPDATE OF state ON receipt
BEGIN INSERT INTO step VALUES ('receipt', old.state, new.state); END;
CREATE TRIGGER IF NOT EXISTS record_step AFTER UPDATE OF state ON record
BEGIN INSERT INTO step VALUES ('record', old.state, new.state); END;
CREATE TRIGGER IF NOT EXISTS package_step AFTER UPDATE OF state ON package
BEGIN INSERT INTO step VALUES ('package', old.state, new.state); END;
"""
_ALLOWED = {
    (axis, before.value, after.value)
    for axis, table in (
        ("receipt", RECEIPT_TRANSITIONS),
        ("record", RECORD_TRANSITIONS),
        ("package", PACKAGE_TRANSITIONS),
    )
    for before, targets in table.items()
    for after in targets
}


@dataclass(slots=True)
class Patient:
    """One person with one order."""

    person: Person
    number: int
    has_visit: bool = False
    value: str = ""
    version: int = 0


@dataclass
class WholeStage(SubmissionStage):
    """From the door to the verdict: the intake and the pipeline stand before the submission."""

    async def start(self) -> None:
        await super().start()
        self.intake = DurableIntake(self.writer, lambda: None, self.clock)
        self.pipeline = Pipeline(
            self.writer,
            self.reader,
            READERS,
            {"lab": PROFILE},
            Drafting((AGREEMENT,), frozenset({CLINIC})),
            self.clock,
            lambda: None,
        )

        def log_steps(connection: Any) -> None:
            for statement in _LOG_OF_STEPS.split(";\n"):
                if statement.strip():
                    whole = statement if "BEGIN" not in statement else f"{statement};"
                    connection.exec_driver_sql(whole.replace("; END;", "; END"))

        await self.writer.write(log_steps)

    async def read_again(self) -> None:
        while await self.pipeline.work_once():
            pass


class BrokerMachine(RuleBasedStateMachine):
    """Rules are what the world does; invariants are the promises."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.loop = asyncio.new_event_loop()
        self.clock = Clock(NOW)
        self.fates: list[Fate] = []
        self.lag = timedelta(0)
        self.down = False
        self.dies_at = _NEVER
        self.gateway = ScriptedGateway(
            self.folder / "gateway",
            self.clock.true_time,
            hook=self.live_or_die,
            fate=lambda: self.fates.pop(0) if self.fates else Fate.CONFIRMED,
            lag=lambda: self.lag,
            down=lambda: self.down,
        )
        self.stage = WholeStage(
            self.folder / "store",
            {CLINIC: self.gateway.uploader(CLINIC)},
            self.clock,
            hook=self.live_or_die,
        )
        self.patients: list[Patient] = []
        self.acknowledged: dict[int, bytes] = {}
        self.payloads: list[Payload] = []
        self.refused = False
        self.loop.run_until_complete(self.stage.start())

    # What the world does

    @rule(with_visit=st.booleans())
    def a_result_comes(self, with_visit: bool) -> None:
        number = len(self.patients) + 1
        person = Person(national_id("E", 10000000 + number), "測試", date(1980, 1, 1), "M")
        patient = Patient(person, number)
        self.patients.append(patient)
        self.tell(patient)
        if with_visit:
            self.give_visit(patient)

    @precondition(lambda self: self.patients)
    @rule(which=st.integers(0, 1000))
    def a_correction_comes(self, which: int) -> None:
        self.tell(self.patients[which % len(self.patients)])

    @precondition(lambda self: self.payloads)
    @rule(which=st.integers(0, 1000))
    def a_message_comes_again(self, which: int) -> None:
        self.receive(self.payloads[which % len(self.payloads)])

    @precondition(lambda self: any(not patient.has_visit for patient in self.patients))
    @rule()
    def a_visit_comes(self) -> None:
        self.give_visit(next(each for each in self.patients if not each.has_visit))

    @rule()
    def the_pipeline_works(self) -> None:
        self.live(self.stage.read_again())

    @rule(fate=st.sampled_from(Fate), lag=_LAGS, minutes=st.sampled_from((0, 0, 6)))
    def the_broker_works(self, fate: Fate, lag: int, minutes: int) -> None:
        """One round, in which a send may go wrong."""
        self.fates = [fate]
        self.lag = timedelta(minutes=lag)
        self.refused = self.refused or fate is Fate.REFUSED
        if self.live(self.stage.read_again()) is not _DIED:
            self.live(self.stage.scheduler.work_once())
        self.clock.pass_time(timedelta(minutes=minutes))

    @rule(fate=st.sampled_from(sorted(TAKEN)), lag=_LAGS, point=st.sampled_from(_POINTS))
    def a_result_is_sent(self, fate: Fate, lag: int, point: tuple[str, int]) -> None:
        """A new result all the way to the gateway; the process may die at a point of it."""
        self.a_result_comes(True)
        if self.live(self.stage.read_again()) is _DIED:
            return
        self.dies_at = point
        self.the_broker_works(fate, lag, 0)
        self.dies_at = _NEVER

    @rule(minutes=st.sampled_from((1, 6, 12, 31, 240, 1500)))
    def time_passes(self, minutes: int) -> None:
        self.clock.pass_time(timedelta(minutes=minutes))

    @rule(minutes=st.sampled_from((-45, -2, 2, 45)))
    def the_clock_is_set(self, minutes: int) -> None:
        """Not over midnight, where a date would be wrong for all to see."""
        moved = self.clock.wall + timedelta(minutes=minutes)
        if moved.astimezone(TAIPEI).date() == self.clock.true_time().astimezone(TAIPEI).date():
            self.clock.wall = moved

    @rule(down=st.booleans())
    def queries_fail_or_not(self, down: bool) -> None:
        self.down = down

    @rule()
    def the_process_dies(self) -> None:
        self.restart()

    # The promises

    @invariant()
    def nothing_is_uploaded_twice(self) -> None:
        ledger = self.gateway.ledger.summary()
        assert ledger["duplicates"] == 0
        assert ledger["suspected"] == []
        names = [package["name"] for package in ledger["packages"]]
        assert len(names) == len(set(names))

    @invariant()
    def what_was_acknowledged_is_stored(self) -> None:
        with self.stage.reader.connect() as connection:
            rows = connection.execute(select(receipt.c.id, receipt.c.raw)).all()
        stored = {row.id: row.raw for row in rows}
        for receipt_id, raw in self.acknowledged.items():
            assert stored[receipt_id] == raw

    @invariant()
    def every_step_is_in_the_table(self) -> None:
        with self.stage.reader.connect() as connection:
            steps = set(map(tuple, connection.exec_driver_sql("SELECT * FROM step").all()))
        assert {step for step in steps if step not in _ALLOWED and step[1] != step[2]} == set()

    @invariant()
    def what_is_held_says_why(self) -> None:
        for row in self.stage.rows(record):
            assert (row.state == "held") == (row.held_reason != "") or row.state != "held"
            if row.state == "held":
                assert row.held_reason in set(HeldReason)

    def teardown(self) -> None:
        """When faults stop, everything comes to its end, and the last word stands."""
        try:
            self.dies_at = _NEVER
            self.down = False
            self.fates.clear()
            self.clock.wall = max(self.clock.wall, self.clock.true_time())
            self.loop.run_until_complete(self.stage.read_again())
            self.loop.run_until_complete(self.stage.run())
            self.every_step_is_in_the_table()
            self.nothing_is_uploaded_twice()
            self.last_words_stand()
        finally:
            self.stage.end()
            self.gateway.ledger.close()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)

    def last_words_stand(self) -> None:
        rows = self.stage.rows(record)
        assert {row.state for row in rows} <= {"accepted", "superseded", "rejected", "held"}
        held = {row.held_reason for row in rows if row.state == "held"}
        assert held <= {"unmatched"}
        if not self.refused:
            assert "rejected" not in {row.state for row in rows}
        rejected = {row.national_id for row in rows if row.state == "rejected"}
        found = standing(self.gateway.ledger.summary())
        for patient in self.patients:
            person = patient.person.national_id
            if not patient.has_visit:
                assert person not in found
            elif person not in rejected:
                assert found.get(person) == patient.value

    # How

    def live_or_die(self, point: str) -> None:
        name, count = self.dies_at
        if name == point:
            if count == 0:
                raise Death(point)
            self.dies_at = (name, count - 1)

    def live(self, work: Coroutine[Any, Any, T]) -> T | Literal[_Died.DIED]:
        """Run one piece of work, which the process may not survive."""
        try:
            return self.loop.run_until_complete(work)
        except Death:
            self.restart()
            return _DIED

    def restart(self) -> None:
        self.dies_at = _NEVER
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(self.stage.restart())

    def receive(self, payload: Payload) -> bool:
        """True when it was acknowledged."""
        accepted = self.live(self.stage.intake.receive(payload))
        if accepted is _DIED:
            return False
        digest = hashlib.sha256(payload.raw).digest()
        known = [
            number
            for number, raw in self.acknowledged.items()
            if hashlib.sha256(raw).digest() == digest
        ]
        assert not known or known == [accepted.receipt_id]
        self.acknowledged[accepted.receipt_id] = payload.raw
        return True

    def tell(self, patient: Patient) -> None:
        """A new version of a patient's result; the sender repeats it until it is acknowledged."""
        patient.version += 1
        patient.value = str(60 + patient.version)
        line = Line("GLU", "Glucose AC", "NM", patient.value, "mg/dL", "70-99")
        times = Times(
            TIMES.collected, TIMES.received, TIMES.reported + timedelta(minutes=patient.version)
        )
        control_id = f"{patient.number}-{patient.version}"
        raw = oru(
            control_id, patient.person, "09005C^Glucose^NHI", f"F{patient.number:08d}", (line,),
            times, status="F" if patient.version == 1 else "C",
        )  # fmt: skip
        payload = Payload("lab", Door.MLLP, Media.HL7V2, raw, control_id)
        self.payloads.append(payload)
        while not self.receive(payload):
            pass

    def give_visit(self, patient: Patient) -> None:
        day = TIMES.collected.date()
        moment = datetime.combine(day, time(8, 0, 1), TAIPEI) + timedelta(seconds=patient.number)
        visit = Visit(
            institution_code=CLINIC,
            national_id=patient.person.national_id,
            birth_on=patient.person.birth_on,
            card_at=moment.astimezone(UTC),
            visit_type="01",
            visit_serial=f"{patient.number:04d}",
            visit_on=day,
            provider_id=national_id("C", 19900077),
            orders=(Order("09005C", card_mark="03"),),
        )
        raw = write_ic_card((visit,))
        while not self.receive(Payload("clinic", Door.FOLDER, Media.IC_CARD_XML, raw)):
            pass
        patient.has_visit = True


BrokerMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestBroker = BrokerMachine.TestCase
