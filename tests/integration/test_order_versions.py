"""Which words are versions of one result, and which are other results: nothing is replaced, doubled
or dropped that the laboratory did not say so of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.folder.formats.ic_card_writer import write_ic_card
from adapters.ports.intake import Media
from broker.demo.messages import CBC, Line, Times, oru
from broker.demo.people import CLINIC, PEOPLE, visits
from broker.store.receipts import replay_receipt
from broker.store.visits import find_visits
from mapping.match import Reason
from mapping.record import record_from_json
from mapping.visit import Order, Visit
from tests.integration.broker_stage import NOW, Stage, open_stage

pytestmark = pytest.mark.usefixtures("both_stores")

TIMES = Times.before(NOW)
ONE, TWO = PEOPLE[0], PEOPLE[1]


def values_of(row: object) -> dict[str, str]:
    record = record_from_json(json.loads(row.body))  # type: ignore[attr-defined]
    return {item["r1"].value: item["r4"].value for item in record.rows}


def header(row: object, tag: str) -> str:
    return record_from_json(json.loads(row.body)).value(tag)  # type: ignore[attr-defined]


def ready(stage: Stage) -> list[dict[str, str]]:
    return [values_of(row) for row in stage.records() if row.state == "ready"]


def codes(stage: Stage, index: int) -> set[str]:
    return {item["code"] for item in json.loads(stage.records()[index].findings)}


async def accept(stage: Stage, record_id: int) -> None:
    await stage.pretend(record_id, "accepted", confirmed_at=stage.now, was_accepted=True)


def later(hours: float = 0, days: float = 0) -> Times:
    span = timedelta(days=days, hours=hours)
    return Times(TIMES.collected + span, TIMES.received + span, TIMES.reported + span)


def creatinine(
    control_id: str, value: str, *, number: str = "N100001", status: str = "F", times: Times = TIMES
) -> bytes:
    line = Line("CREA", "Creatinine", "NM", value, "mg/dL", "0.6-1.3")
    return oru(control_id, TWO, "CREA", number, (line,), times, status=status)


def visit_of(person_index: int, **change: object) -> Visit:
    return replace(visits(NOW)[person_index], **change)  # type: ignore[arg-type]


async def bring(stage: Stage, *cards: Visit) -> None:
    await stage.receive(write_ic_card(cards), Media.IC_CARD_XML, source="clinic")


# Lines that are taken back


def blood(control_id: str, *lines: Line, status: str = "F", obx: str = "F") -> bytes:
    raw = oru(control_id, ONE, "08011C^CBC^NHI", "N200001", lines, TIMES, status=status)
    return raw.replace(f"|||{status}|||".encode(), f"|||{obx}|||".encode())


PLATELETS = CBC[4]


@pytest.mark.parametrize(("status", "obx"), [("F", "X"), ("F", "N"), ("C", "W"), ("C", "D")])
async def test_a_line_that_is_withdrawn_costs_no_other_line_of_its_panel(
    tmp_path: Path, status: str, obx: str
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", *CBC))
        (before,) = ready(stage)
        await stage.receive(blood("2", PLATELETS, status=status, obx=obx))
        assert stage.states() == ["superseded", "ready"]
        (after,) = ready(stage)
        assert set(before.values()) - set(after.values()) == {"245"}
        assert len(after) == len(before) - 1


async def test_a_line_that_is_withdrawn_before_the_visit_comes_costs_no_other_line(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.receive(blood("1", *CBC))
        await stage.receive(blood("2", PLATELETS, obx="X"))
        assert stage.states() == ["held:unmatched", "held:unmatched"]
        await stage.load_visits()
        (after,) = ready(stage)
        assert "245" not in after.values()
        assert len(after) == len(CBC) - 1


async def test_a_line_that_is_withdrawn_after_acceptance_is_withdrawn_at_nhi(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", *CBC))
        await accept(stage, 1)
        await stage.receive(blood("2", PLATELETS, obx="X"))
        assert stage.states() == ["accepted", "ready"]
        assert len(ready(stage)[0]) == len(CBC) - 1
        assert header(stage.records()[1], "h7") == header(stage.records()[0], "h7")


async def test_a_line_that_is_withdrawn_while_the_order_is_on_its_way_waits_for_the_verdict(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", *CBC))
        await stage.pretend(1, "checking", confirmed_at=stage.now)
        told = await stage.receive(blood("2", PLATELETS, obx="X"))
        assert stage.states() == ["checking", "held:waiting_verdict"]
        await accept(stage, 1)
        await stage.writer.write(lambda c: replay_receipt(c, told.receipt_id))
        await stage.work()
        assert stage.states() == ["accepted", "ready"]


async def test_an_order_all_of_whose_lines_are_withdrawn_is_not_uploaded(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", *CBC[:2]))
        await stage.receive(blood("2", *CBC[:2], obx="X"))
        assert stage.states() == ["superseded", "superseded"]


async def test_lines_that_are_withdrawn_of_which_nothing_is_known_are_shown_to_a_person(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(blood("1", PLATELETS, obx="X"))
        assert stage.states() == ["held:invalid"]
        assert "report-cancelled" in codes(stage, 0)


# Another test under the order's item


def glucose(control_id: str, code: str, value: str, unit: str, status: str = "F") -> bytes:
    line = Line(code, code, "NM", value, unit, "70-99")
    return oru(control_id, ONE, "09005C^Glucose AC^NHI", "N300001", (line,), TIMES, status=status)


async def test_another_test_of_the_same_order_never_takes_its_results_place(
    tmp_path: Path,
) -> None:
    hba1c = Line("HBA1C", "HbA1c", "NM", "5.6", "%", "4.0-6.0")
    mean = Line("EAG", "Mean glucose", "NM", "114", "mg/dL", "70-126")
    three = PEOPLE[2]
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        for number, line in enumerate((hba1c, mean), start=1):
            await stage.receive(
                oru(str(number), three, "09006C^HbA1c^NHI", "N310001", (line,), TIMES)
            )
        assert ready(stage) == [{"1": "5.6"}]
        assert stage.states() == ["ready", "held:invalid"]
        assert codes(stage, 1) >= {"unit-not-listed", "another-test"}


async def test_a_foreign_line_alone_never_corrects_what_was_accepted(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(glucose("1", "GLUC", "92", "mg/dL"))
        await accept(stage, 1)
        await stage.receive(glucose("2", "XYZ", "3", "mg/dL", "C"))
        assert stage.states() == ["accepted", "held:invalid"]
        assert "another-test" in codes(stage, 1)


async def test_a_lab_that_always_uses_one_code_of_its_own_can_correct_it(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(glucose("1", "S-0042", "92", "mg/dL"))
        await accept(stage, 1)
        await stage.receive(glucose("2", "S-0042", "95", "mg/dL", "C"))
        assert ready(stage) == [{"1": "95"}]


async def test_a_line_known_by_its_service_alone_must_have_the_official_unit(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(glucose("1", "XYZ", "3", "U/L"))
        assert stage.states() == ["held:invalid"]


# Numbers that are used again


async def test_a_number_that_is_used_again_for_a_later_visit_starts_a_result_of_its_own(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await accept(stage, 1)
        stage.later(days=40)
        day = visit_of(1).visit_on + timedelta(days=40)
        card_at = visit_of(1).card_at + timedelta(days=40)
        await bring(stage, visit_of(1, visit_on=day, card_at=card_at, visit_serial="0099"))
        await stage.receive(creatinine("2", "2.2", times=later(days=40)))
        assert stage.states() == ["accepted", "ready"]
        first, second = stage.records()
        assert (header(first, "h7"), header(second, "h7")) == ("0021", "0099")
        assert first.order_identity != second.order_identity
        assert not second.was_accepted
        # And its own correction follows it, not the first.
        await stage.receive(creatinine("3", "2.4", status="C", times=later(days=40)))
        assert stage.states() == ["accepted", "superseded", "ready"]
        assert header(stage.records()[2], "h7") == "0099"


async def test_a_number_that_is_used_again_the_next_day_is_a_question_for_a_person(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await accept(stage, 1)
        await stage.receive(creatinine("2", "2.2", times=later(days=1)))
        assert stage.states() == ["accepted", "held:invalid"]
        assert "number-used-again" in codes(stage, 1)


async def test_a_correction_may_put_the_collection_day_right(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(creatinine("2", "0.9", status="C", times=later(days=1)))
        assert stage.states() == ["superseded", "ready"]


# An order of a visit is answered once


def csv_result(value: str, collected: str) -> bytes:
    fields = {
        "national_id": TWO.national_id,
        "birth_on": TWO.birth_on.isoformat(),
        "clinic_code": CLINIC,
        "accession_number": "K2001",
        "order_code": "09015C",
        "item_name": "Creatinine",
        "value": value,
        "unit": "mg/dL",
        "reference": "0.6-1.3",
        "collected_at": collected,
        "reported_at": TIMES.reported.strftime("%Y-%m-%d %H:%M"),
    }
    return f"{','.join(fields)}\n{','.join(fields.values())}\n".encode()


@pytest.mark.parametrize("pattern", ["%Y-%m-%d %H:%M", "%Y-%m-%d"])
async def test_a_result_that_comes_again_with_a_coarser_time_is_not_uploaded_again(
    tmp_path: Path, pattern: str
) -> None:
    exact = Times(TIMES.collected + timedelta(seconds=37), TIMES.received, TIMES.reported)
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9", times=exact))
        await stage.receive(csv_result("0.9", exact.collected.strftime(pattern)), Media.CSV)
        assert stage.states() == ["ready", "superseded"]
        assert codes(stage, 1) == {"same-result-again"}


async def test_a_different_result_of_the_same_specimen_by_another_door_is_held(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        day = TIMES.collected.strftime("%Y-%m-%d")
        await stage.receive(csv_result("2.2", day), Media.CSV)
        assert stage.states() == ["ready", "held:invalid"]
        assert "results-disagree" in codes(stage, 1)


async def test_a_second_result_waits_for_its_own_visit(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await accept(stage, 1)
        stage.later(days=10)
        second = creatinine("2", "2.2", number="N200002", times=later(days=10))
        await stage.receive(second)
        assert stage.states() == ["accepted", "held:unmatched"]
        assert "order-answered" in codes(stage, 1)
        day = visit_of(1).visit_on + timedelta(days=10)
        card_at = visit_of(1).card_at + timedelta(days=10)
        await bring(stage, visit_of(1, visit_on=day, card_at=card_at, visit_serial="0099"))
        # It is looked at again: of the two visits that are possible one has its result already.
        assert stage.states() == ["accepted", "ready"]
        assert header(stage.records()[1], "h7") == "0099"


async def test_a_quantity_of_two_leaves_room_for_two_results(tmp_path: Path) -> None:
    twice = Order("09015C", Decimal(2), card_mark="03")
    async with open_stage(tmp_path) as stage:
        await bring(stage, visit_of(1, orders=(twice,)))
        for number in range(3):
            await stage.receive(
                creatinine(
                    str(number), f"1.{number}", number=f"N20000{number}", times=later(hours=number)
                )
            )
        assert stage.states() == ["ready", "ready", "held:unmatched"]


async def test_the_room_that_a_corrected_card_leaves_frees_a_second_result(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(creatinine("2", "1.1", number="N200002", times=later(hours=2)))
        assert stage.states() == ["ready", "held:unmatched"]
        await bring(stage, visit_of(1, orders=(Order("09015C", Decimal(2), card_mark="03"),)))
        assert stage.states() == ["ready", "ready"]


@pytest.mark.parametrize("second_number", ["N200002", "N100001"])
async def test_two_results_of_one_code_in_one_message_are_both_held(
    tmp_path: Path, second_number: str
) -> None:
    one = creatinine("1", "0.9").decode().rstrip("\r").split("\r")
    other = creatinine("1", "2.2", number=second_number).decode().rstrip("\r").split("\r")
    raw = "\r".join([*one, *other[2:]]) + "\r"
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(raw.encode())
        assert stage.states() == ["held:invalid", "held:invalid"]
        assert all("results-disagree" in codes(stage, index) for index in (0, 1))
        # The laboratory's correction decides.
        await stage.receive(creatinine("2", "2.2", status="C", number=second_number))
        assert {"1": "2.2"} in ready(stage)
        assert len(ready(stage)) == 1


async def test_two_times_of_one_order_under_one_number_are_two_results_that_are_corrected_apart(
    tmp_path: Path,
) -> None:
    one = creatinine("1", "0.9").decode().rstrip("\r").split("\r")
    other = creatinine("1", "2.2", times=later(hours=2)).decode().rstrip("\r").split("\r")
    raw = "\r".join([*one, *other[2:]]) + "\r"
    async with open_stage(tmp_path) as stage:
        await bring(stage, visit_of(1, orders=(Order("09015C", Decimal(2), card_mark="03"),)))
        await stage.receive(raw.encode())
        assert ready(stage) == [{"1": "0.9"}, {"1": "2.2"}]
        await stage.receive(creatinine("2", "2.4", status="C", times=later(hours=2)))
        assert ready(stage) == [{"1": "0.9"}, {"1": "2.4"}]
        await stage.receive(creatinine("3", "1.1", status="C"))
        assert ready(stage) == [{"1": "2.4"}, {"1": "1.1"}]
        # A correction of neither time could be of either.
        await stage.receive(creatinine("4", "5.5", status="C", times=later(hours=1)))
        assert ready(stage) == [{"1": "2.4"}, {"1": "1.1"}]
        assert "number-used-again" in codes(stage, 4)


async def test_another_time_under_the_same_number_replaces_nothing_without_being_a_correction(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(creatinine("2", "2.2", times=later(hours=2)))
        assert stage.states() == ["ready", "held:invalid"]
        assert "number-used-again" in codes(stage, 1)


async def test_two_parts_of_a_panel_in_one_message_are_one_result(tmp_path: Path) -> None:
    one = blood("1", *CBC[:4]).decode().rstrip("\r").split("\r")
    other = blood("1", *CBC[4:]).decode().rstrip("\r").split("\r")
    raw = "\r".join([*one, *other[2:]]) + "\r"
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(raw.encode())
        assert [len(values) for values in ready(stage)] == [len(CBC)]


# Twins


def twin(mark: str) -> Visit:
    return visit_of(
        1, newborn_birth_on=date(2026, 11, 2), newborn_mark=mark, visit_serial=f"00{mark}1"
    )


async def test_twins_on_one_card_are_two_visits_and_no_result_is_guessed_to_be_of_one(
    tmp_path: Path,
) -> None:
    same_event = {"visit_serial": "0050"}
    one, other = (replace(twin(mark), **same_event) for mark in "12")  # type: ignore[arg-type]
    line = Line("CREA", "Creatinine", "NM", "0.4", "mg/dL", "0.2-0.6")
    child = replace(TWO, birth_on=date(2026, 11, 2))
    async with open_stage(tmp_path) as stage:
        await bring(stage, one)
        await stage.receive(oru("1", child, "CREA", "N100001", (line,), TIMES))
        assert stage.states() == ["held:unmatched"]
        assert codes(stage, 0) == {Reason.NEWBORN.value}
        await bring(stage, other)
        assert stage.states() == ["held:unmatched"]
        with stage.reader.connect() as connection:
            known = [each for _, each in find_visits(connection, CLINIC, TWO.national_id)]
        assert sorted(each.newborn_mark for each in known) == ["1", "2"]


# Later words that cannot be used


async def test_a_later_word_about_somebody_else_leaves_a_ready_result_alone(
    tmp_path: Path,
) -> None:
    line = Line("CREA", "Creatinine", "NM", "2.2", "mg/dL", "0.6-1.3")
    other = replace(TWO, birth_on=date(1980, 1, 1))
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(oru("2", other, "CREA", "N100001", (line,), TIMES))
        assert stage.states() == ["ready", "held:unmatched"]


async def test_a_result_that_waits_with_a_later_word_says_so(tmp_path: Path) -> None:
    long_after = later(days=60)
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9"))
        await stage.receive(creatinine("2", "2.2", times=long_after))
        assert stage.states() == ["held:unmatched", "held:unmatched"]
        assert "held-beside" in codes(stage, 0)


# Corrected and cancelled card data


async def test_a_serial_that_comes_later_completes_its_visit_and_frees_the_result(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await bring(stage, visit_of(1, visit_serial=""))
        await stage.receive(creatinine("1", "0.9"))
        assert stage.states() == ["held:invalid"]
        await bring(stage, visit_of(1, visit_serial="0033"))
        assert stage.states() == ["ready"]
        assert header(stage.records()[0], "h7") == "0033"
        # The first upload again takes nothing away.
        await bring(stage, visit_of(1, visit_serial=""))
        assert stage.states() == ["ready"]


async def test_a_collection_time_that_cannot_be_read_in_a_file_holds_its_result(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(csv_result("0.9", "11/19/2026 09:10"), Media.CSV)
        assert stage.states() == ["held:invalid"]
        assert "csv-bad-date" in codes(stage, 0)


async def test_a_collection_time_that_cannot_be_read_in_a_message_holds_its_result(
    tmp_path: Path,
) -> None:
    stamp = TIMES.collected.strftime("%Y%m%d%H%M%S").encode()
    raw = creatinine("1", "0.9").replace(stamp, b"19/11/2026 0910")
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(raw)
        assert stage.states() == ["held:invalid"]


async def test_a_birth_date_that_cannot_be_read_holds_its_result(tmp_path: Path) -> None:
    birth_on = TWO.birth_on.strftime("%Y%m%d").encode()
    async with open_stage(tmp_path) as stage:
        await stage.load_visits()
        await stage.receive(creatinine("1", "0.9").replace(birth_on, b"01-04-1975"))
        assert stage.states() == ["held:invalid"]
