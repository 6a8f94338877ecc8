"""Silence, a full disk, an old backup and deliveries that do not arrive open one alarm and close
it."""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from adapters.ports.intake import Door, Media, Payload
from broker.cli.status import CARD_WORDS
from broker.config.alarm_section import AlarmLimits
from broker.delivery.agreement import DeliveryKind, DeliveryState
from broker.demo.people import CLINIC, LAB
from broker.operation.alarm_words import ALARM_WORDS, alarm_words
from broker.operation.backup import make_backup
from broker.operation.metrics import operation_metrics
from broker.operation.notices import owed_notices
from broker.operation.watch import OPERATION_ALARMS, OperationWatch
from broker.store.alarms import AlarmKind
from broker.store.delivery_tables import outgoing
from broker.store.outbox import begin_attempt, end_attempt, send_again, settle_refused
from broker.store.receipts import ReceiptAppender, receipt_row
from broker.store.schema import receipt
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.delivery_stage import agreement, oru

WORDS = Path(__file__).parents[2] / "broker/web/console/words/today.toml"
Told = list[tuple[str, str, str, bool]]


async def look(watch: OperationWatch) -> Told:
    return [
        (change.key.kind.value, change.key.institution_code, change.key.reason, change.opened)
        for change in await watch.look()
    ]


def watching(stage: Stage, free: float = 0.5, limits: AlarmLimits | None = None) -> OperationWatch:
    return OperationWatch(
        stage.writer,
        stage.reader,
        stage.folder,
        {"lab": LAB},
        lambda: stage.now,
        limits=limits,
        free=lambda _: free,
    )


async def send_often(stage: Stage, since: datetime, until: datetime, hours: range) -> None:
    """Something each twenty minutes of the ``hours`` of each day (UTC)."""
    rows, at = [], since
    while at <= until:
        if at.hour in hours:
            raw = at.isoformat().encode()
            payload = Payload("lab", Door.MLLP, Media.HL7V2, raw, "")
            rows.append(receipt_row(payload, at))
        at += timedelta(minutes=20)
    await stage.writer.write(lambda c: ReceiptAppender(c).append(c, rows))
    await stage.writer.write(lambda c: c.execute(update(receipt).values(state="parsed")))


async def test_a_source_that_is_silent_in_its_hours_is_alarmed_until_it_sends(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        make_backup_of(stage)
        now = stage.now.replace(hour=4, minute=0, second=0, microsecond=0)
        begin = now - timedelta(days=12)
        await send_often(stage, begin, now, range(24))
        watch = watching(stage)
        stage.now = now + timedelta(hours=2)
        assert await look(watch) == []
        stage.now = now + timedelta(hours=4)
        assert await look(watch) == [("source-silent", LAB, "lab", True)]
        assert await look(watch) == []
        await send_often(stage, stage.now, stage.now, range(24))
        assert await look(watch) == [("source-silent", LAB, "lab", False)]


async def test_a_night_without_a_word_alarms_nobody(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        make_backup_of(stage)
        now = stage.now.replace(hour=9, minute=0, second=0, microsecond=0)
        await send_often(stage, now - timedelta(days=12), now, range(10))
        stage.now = now + timedelta(hours=14)
        assert await look(watching(stage)) == []
        stage.now = now + timedelta(hours=18)
        assert await look(watching(stage)) == [("source-silent", LAB, "lab", True)]


async def test_a_disk_that_is_nearly_full_is_alarmed(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        assert await look(watching(stage, free=0.04)) == [("disk-low", "", "disk", True)]
        assert await look(watching(stage, free=0.04)) == []
        assert await look(watching(stage, free=0.06)) == [("disk-low", "", "disk", False)]


def make_backup_of(stage: Stage) -> None:
    make_backup(stage.folder, stage.folder / f"copy-{stage.now:%Y%m%d%H}", stage.now)


async def test_a_store_without_a_fresh_backup_is_alarmed_after_two_days(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(oru("F1", "88"))
        watch = watching(stage)
        assert await look(watch) == []
        stage.now += timedelta(hours=49)
        assert await look(watch) == [("backup-old", "", "backup", True)]
        make_backup_of(stage)
        assert await look(watch) == [("backup-old", "", "backup", False)]


async def test_deliveries_that_do_not_arrive_are_alarmed_for_their_clinic(tmp_path: Path) -> None:
    ways = (agreement("his", DeliveryKind.MLLP), agreement("box", DeliveryKind.INBOX))
    async with open_stage(tmp_path, deliveries=ways) as stage:
        await stage.receive(oru("F1", "88"))
        watch = watching(stage)
        assert await look(watch) == []
        stage.now += timedelta(minutes=31)
        assert await look(watch) == [("delivery-stuck", CLINIC, "his", True)]
        with stage.reader.connect() as connection:
            (notice,) = owed_notices(connection, "mail", stage.now - timedelta(days=1))
        assert (notice.en, notice.zh) == alarm_words("delivery-stuck")
        assert notice.records == 1
        await stage.writer.write(lambda c: c.execute(update(outgoing).values(state="acknowledged")))
        assert await look(watch) == [("delivery-stuck", CLINIC, "his", False)]


def test_every_kind_of_alarm_has_its_words() -> None:
    assert set(ALARM_WORDS) == set(AlarmKind)
    page = tomllib.loads(WORDS.read_text("utf-8"))
    for kind in AlarmKind:
        assert page[f"alarm_{kind.value.replace('-', '_')}"].keys() == {"zh", "en"}
    assert {kind.value for kind in OPERATION_ALARMS} <= set(CARD_WORDS)


async def test_a_refused_delivery_is_alarmed_once_until_a_person_has_seen_to_it(
    tmp_path: Path,
) -> None:
    to = agreement("his", DeliveryKind.MLLP)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        for number in range(2):
            await stage.receive(oru(f"F{number}", "88"))
        watch = watching(stage)
        for number in (1, 2):
            await stage.writer.write(
                lambda c, number=number: end_attempt(  # type: ignore[misc]
                    c, number, DeliveryState.REFUSED, stage.now, answer="AE"
                )
            )
        assert await look(watch) == [("delivery-refused", CLINIC, "his", True)]
        assert await look(watch) == []
        with stage.reader.connect() as connection:
            lines = operation_metrics(connection, None, stage.now)
            (notice,) = owed_notices(connection, "mail", stage.now - timedelta(days=1))
        assert "labbroker_deliveries_refused_open 2" in lines
        assert (notice.records, notice.en) == (2, alarm_words("delivery-refused")[0])
        settled = await stage.writer.write(lambda c: settle_refused(c, 1, "mei", stage.now))
        assert settled
        assert not await stage.writer.write(lambda c: settle_refused(c, 1, "bo", stage.now))
        assert await look(watch) == []
        again = await stage.writer.write(lambda c: send_again(c, 2, stage.now, "mei"))
        assert again is not None
        assert await look(watch) == [("delivery-refused", CLINIC, "his", False)]
        # Refused once more, it is told once more.
        await stage.writer.write(
            lambda c: end_attempt(c, again, DeliveryState.REFUSED, stage.now, answer="AE")
        )
        assert await look(watch) == [("delivery-refused", CLINIC, "his", True)]


@pytest.mark.parametrize(
    ("answer", "is_no"),
    [("AR", True), ("http-403", True), ("http-429", False), ("http-503", False), ("gone", False)],
)
async def test_a_receiver_that_says_no_to_each_try_is_alarmed_at_once(
    tmp_path: Path, answer: str, is_no: bool
) -> None:
    to = agreement("his", DeliveryKind.MLLP)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        await stage.receive(oru("F1", "88"))
        await stage.writer.write(lambda c: begin_attempt(c, 1, "", b"x", stage.now))
        await stage.writer.write(
            lambda c: end_attempt(c, 1, DeliveryState.FAILED, stage.now, error_code=answer)
        )
        watch = watching(stage)
        opened = [("delivery-refused", CLINIC, "his", True)] if is_no else []
        assert await look(watch) == opened
        await stage.writer.write(
            lambda c: end_attempt(c, 1, DeliveryState.ACKNOWLEDGED, stage.now, answer="AA")
        )
        assert len(await look(watch)) == len(opened)


async def test_every_limit_of_the_settings_counts(tmp_path: Path) -> None:
    limits = AlarmLimits(
        delivery=timedelta(hours=3),
        silence=timedelta(hours=6),
        disk_free=0.3,
        backup=timedelta(hours=5),
    )
    to = agreement("his", DeliveryKind.MLLP)
    async with open_stage(tmp_path, deliveries=(to,)) as stage:
        now = stage.now.replace(hour=4, minute=0, second=0, microsecond=0)
        stage.now = now
        await stage.receive(oru("F1", "88"))
        await send_often(stage, now - timedelta(days=12), now, range(24))
        make_backup_of(stage)
        watch = watching(stage, free=0.31, limits=limits)
        told = []
        for hours in (2, 4, 6, 8):
            stage.now = now + timedelta(hours=hours)
            told.append([kind for kind, *_ in await look(watch)])
        assert told == [[], ["delivery-stuck"], ["backup-old"], ["source-silent"]]
        last = await look(watching(stage, free=0.29, limits=limits))
        assert [kind for kind, *_ in last] == ["disk-low"]
