"""What goes when, and what will not be in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from broker.lateness import Pace, Reward
from broker.opening_hours import ALWAYS, OpeningHours, read_hours
from broker.store.unconfirmed import PART, Unconfirmed
from broker.upload_plan import Leaving, PlanEntry, Remedy, plan_uploads

CLINIC, LAB = "3501234567", "3501234568"
NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)  # Monday 12:00 in Taipei
NIGHT = NOON + timedelta(hours=8)
HOURS = {CLINIC: read_hours(["mon-fri 08:00-17:30"]), LAB: ALWAYS}


def group(
    state: str = "ready",
    held_reason: str = "",
    uploader: str = CLINIC,
    records: int = 1,
    due_in: timedelta = timedelta(hours=20),
    at: datetime = NOON,
) -> Unconfirmed:
    return Unconfirmed(uploader, CLINIC, state, held_reason, records, at + due_in, at + due_in)


def planned(
    groups: Iterable[Unconfirmed],
    now: datetime = NOON,
    hours: Mapping[str, OpeningHours] = HOURS,
) -> list[PlanEntry]:
    leaving = Leaving(now, hours, pace, timedelta(hours=8), timedelta(hours=2))
    return plan_uploads(groups, leaving)


def pace(uploader_code: str, clinic_code: str) -> Pace:
    return Pace(to_receipt=timedelta(minutes=10))


def test_what_is_ready_leaves_now_and_is_in_time() -> None:
    (entry,) = planned([group(), group(records=2)])
    assert (entry.institution_code, entry.reason, entry.records) == (CLINIC, "ready", 3)
    assert entry.leaves_at == NOON
    assert entry.by_reward == {Reward.FULL: 3, Reward.HALF: 0, Reward.RATE_ONLY: 0}
    assert entry.remedy is Remedy.NOTHING


def test_a_card_that_is_away_too_long_costs_half_and_is_told() -> None:
    tonight = group(due_in=timedelta(hours=2), at=NIGHT)
    tomorrow = group(due_in=timedelta(hours=18), at=NIGHT)
    (entry,) = planned([tonight, tomorrow], NIGHT)
    assert entry.leaves_at == datetime(2026, 11, 24, 0, tzinfo=UTC)
    assert entry.by_reward == {Reward.FULL: 1, Reward.HALF: 1, Reward.RATE_ONLY: 0}
    assert entry.remedy is Remedy.OPEN_EARLIER
    assert entry.due_at == NIGHT + timedelta(hours=2)


def test_what_a_send_takes_counts() -> None:
    (entry,) = planned([group(due_in=timedelta(minutes=9))])
    assert entry.by_reward[Reward.HALF] == 1


def test_after_an_outage_the_plan_says_what_is_still_to_be_saved() -> None:
    groups = [
        group(due_in=timedelta(hours=-100), uploader=LAB),
        group(due_in=timedelta(hours=-10), uploader=LAB, records=2),
        group(due_in=timedelta(hours=10), uploader=LAB, records=3),
    ]
    (entry,) = planned(groups)
    assert entry.by_reward == {Reward.FULL: 3, Reward.HALF: 2, Reward.RATE_ONLY: 1}
    assert entry.remedy is Remedy.NOTHING, "nothing but to let them go"


def test_what_waits_for_a_person_does_not_leave() -> None:
    held = group("held", "unmapped")
    rejected = group("rejected")
    entries = planned([held, rejected])
    assert {(entry.reason, entry.leaves_at, entry.remedy) for entry in entries} == {
        ("unmapped", None, Remedy.WORK_OFF),
        ("rejected", None, Remedy.WORK_OFF),
    }


def test_what_nobody_uploads_is_told() -> None:
    (entry,) = planned([group(uploader="3599999999")])
    assert (entry.leaves_at, entry.remedy) == (None, Remedy.NAME_UPLOADER)


def test_a_card_that_never_comes_leaves_nothing() -> None:
    never = {CLINIC: OpeningHours(((),) * 7)}
    (entry,) = planned([group()], NOON, never)
    assert (entry.leaves_at, entry.remedy) == (None, Remedy.OPEN_EARLIER)


def test_the_earliest_due_stands_first() -> None:
    groups = [group(), group(uploader=LAB, due_in=timedelta(hours=1))]
    assert [entry.institution_code for entry in planned(groups)] == [
        LAB,
        CLINIC,
    ]


def test_a_part_of_an_order_leaves_when_its_clock_presses() -> None:
    (entry,) = planned([group(held_reason=PART, uploader=LAB)])
    assert (entry.reason, entry.leaves_at) == ("part", NOON + timedelta(hours=12))
    assert entry.by_reward[Reward.FULL] == 1
    assert entry.remedy is Remedy.NOTHING


def test_a_part_that_would_press_while_its_card_is_away_leaves_before_that() -> None:
    (entry,) = planned([group(held_reason=PART, due_in=timedelta(hours=22))])
    # Due on Tuesday at 10: it would press at 2 in the night.
    assert entry.leaves_at == NOON + timedelta(hours=3, minutes=30)
    (late,) = planned([group(held_reason=PART, due_in=timedelta(hours=5))])
    assert late.leaves_at == NOON
