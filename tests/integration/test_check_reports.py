"""Check reports that come as files: found by what they print, applied once, never flipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.demo.messages import Line, oru
from broker.demo.people import CLINIC, PEOPLE
from broker.sandbox.printing import PrintedLayout, PrintedRecord, print_report
from broker.store.receipts import replay_receipt
from mapping.finding import finding_texts
from tests.integration.broker_stage import NOW, open_stage
from tests.integration.verdict_stage import (
    DAY,
    NUMBER,
    PASSWORD,
    TIMES,
    Report,
    bring,
    desk,
    finding_codes,
    package_state,
    receipt_row,
    receive_orders,
    sent_records,
    submit,
)

BAD_SERIAL = {"09015C": ("23", ("h7",))}


async def test_a_correct_report_accepts_every_record_of_its_package(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        taken = await bring(stage, Report(sent_records(stage, package_id)).correct())
        assert stage.states() == ["accepted"] * 4
        assert package_state(stage, package_id) == "checked"
        assert receipt_row(stage, taken.receipt_id).state == "parsed"
        assert finding_codes(stage, taken.receipt_id) == ["report-applied"]


async def test_an_error_report_and_the_correct_report_come_one_after_the_other(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        report = Report(sent_records(stage, package_id), BAD_SERIAL)
        await bring(stage, report.errors())
        assert stage.states() == ["checking", "rejected", "checking", "checking"]
        assert package_state(stage, package_id) == "submitted"
        await bring(stage, report.correct())
        assert stage.states() == ["accepted", "rejected", "accepted", "accepted"]
        assert package_state(stage, package_id) == "checked"
        row = stage.records()[1]
        assert (row.verdict_code, row.verdict_fields) == ("23", "h7")
        (fault, *_) = json.loads(row.findings)
        assert (fault["code"], fault["field"], fault["place"]) == ("23", "h7", "hdata")
        assert fault["value"] == sent_records(stage, package_id)[1].value("h7")


@pytest.mark.parametrize("password", [PASSWORD, ""])
async def test_a_zip_with_both_reports_is_opened_with_the_password_of_the_settings(
    tmp_path: Path, password: str
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        report = Report(sent_records(stage, package_id), BAD_SERIAL)
        await bring(stage, report.zipped(password), "downloaded.zip")
        assert stage.states() == ["accepted", "rejected", "accepted", "accepted"]


async def test_a_wrong_password_keeps_the_report_and_a_replay_opens_it_later(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk(passwords=("B223456789",))) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        report = Report(sent_records(stage, package_id))
        taken = await bring(stage, report.zipped(PASSWORD), "downloaded.zip")
        row = receipt_row(stage, taken.receipt_id)
        assert (row.state, row.error_code) == ("quarantined", "verdict-password-wrong")
        assert stage.states() == ["checking"] * 4
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await stage.writer.write(lambda c: replay_receipt(c, taken.receipt_id))
        await stage.work()
        assert stage.states() == ["accepted"] * 4


async def test_the_same_report_twice_changes_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        report = Report(sent_records(stage, package_id), BAD_SERIAL)
        await bring(stage, report.zipped(""), "one.zip")
        before = stage.records()
        again = await bring(stage, report.zipped(PASSWORD), "two.zip")
        assert stage.records() == before
        assert finding_codes(stage, again.receipt_id) == ["report-applied"]
        (told,) = json.loads(receipt_row(stage, again.receipt_id).findings)
        assert dict(told["parameters"]) | {"stem": ""} == {
            "stem": "", "accepted": "0", "rejected": "0", "unchanged": "4", "unread": "0",
            "amended": "0",
        }  # fmt: skip


@pytest.mark.parametrize(("first", "later"), [("errors", "correct"), ("correct", "errors")])
async def test_a_report_that_contradicts_an_earlier_one_flips_nothing(
    tmp_path: Path, first: str, later: str
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        records = sent_records(stage, package_id)
        everything = {each.value("h15"): ("25", ("h15",)) for each in records}
        said = {
            "errors": Report(records, everything).errors(),
            "correct": Report(records).correct(),
        }
        await bring(stage, said[first])
        states = stage.states()
        taken = await bring(stage, said[later])
        assert stage.states() == states
        assert finding_codes(stage, taken.receipt_id).count("verdict-contradicts") == 4
        assert "verdict-contradicts" in stage.records()[0].findings


async def test_a_package_that_is_known_by_another_kind_of_number_is_found_by_its_records(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage, number="A1B2C3D4E5F6")
        await bring(stage, Report(sent_records(stage, package_id)).correct())
        assert stage.states() == ["accepted"] * 4


async def test_without_a_number_in_the_header_the_records_keys_decide(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        raw = Report(sent_records(stage, package_id)).correct()
        text = raw.decode("cp950").replace(NUMBER, " " * len(NUMBER))
        await bring(stage, text.encode("cp950"))
        assert stage.states() == ["accepted"] * 4


async def test_a_report_of_the_same_records_under_another_number_is_not_ours(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        other = Report(sent_records(stage, package_id), number="1151120999999")
        taken = await bring(stage, other.correct())
        assert stage.states() == ["checking"] * 4
        assert receipt_row(stage, taken.receipt_id).error_code == "report-fits-no-package"


async def test_a_report_of_somebody_elses_package_is_kept_and_says_so(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)

        def somebody_else(values: dict[str, str]) -> None:
            values["h2"], values["h9"] = "3511111111", "Z299999499"

        foreign = Report(
            sent_records(stage, package_id), number="1151120000999", institution="3511111111",
            change=somebody_else,
        )  # fmt: skip
        raw = foreign.correct()
        taken = await bring(stage, raw)
        row = receipt_row(stage, taken.receipt_id)
        assert (row.state, row.error_code) == ("quarantined", "report-fits-no-package")
        assert row.raw == raw
        assert finding_codes(stage, taken.receipt_id) == ["report-record-unknown"] * 4
        assert stage.states() == ["checking"] * 4


async def test_records_of_another_person_in_our_package_are_told_apart(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)

        def other_person(values: dict[str, str]) -> None:
            if values["h15"] == "09005C":
                values["h9"] = "Z299999499"

        mixed = Report(sent_records(stage, package_id), change=other_person)
        taken = await bring(stage, mixed.correct())
        assert stage.states() == ["checking", "accepted", "accepted", "accepted"]
        assert finding_codes(stage, taken.receipt_id) == ["report-record-unknown", "report-applied"]


async def test_a_record_whose_key_is_not_printed_decides_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)

        def bare(values: dict[str, str]) -> None:
            for tag in ("h9", "h5", "h16", "h20"):
                values[tag] = ""

        taken = await bring(stage, Report(sent_records(stage, package_id), change=bare).correct())
        assert stage.states() == ["checking"] * 4
        assert set(finding_codes(stage, taken.receipt_id)) == {"report-record-unknown"}


async def test_many_pages_wrapped_text_and_unknown_lines_are_read(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)

        def long_names(values: dict[str, str]) -> None:
            values["r2"] = "肌酸酐、血（洗腎專用）" * 8

        layout = PrintedLayout(page_length=17, split_records=True)
        report = Report(
            sent_records(stage, package_id), BAD_SERIAL, layout=layout, change=long_names
        )
        raw = report.correct() + "以上資料請核對\r\n".encode("cp950")
        await bring(stage, report.errors("錯誤註記說明：23- 就醫序號錯誤"))
        taken = await bring(stage, raw)
        assert stage.states() == ["accepted", "rejected", "accepted", "accepted"]
        assert finding_codes(stage, taken.receipt_id) == ["report-lines-unknown", "report-applied"]


async def test_a_report_proves_that_a_package_without_an_answer_arrived(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage, known=False)
        assert stage.states() == ["unknown"] * 4
        stage.later(hours=1)
        await bring(stage, Report(sent_records(stage, package_id)).correct())
        assert stage.states() == ["accepted"] * 4
        assert package_state(stage, package_id) == "checked"
        assert {row.confirmed_at for row in stage.records()} == {stage.now}
        assert stage.now > NOW


async def test_a_fault_of_the_file_as_a_whole_rejects_every_record(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        await submit(stage)
        whole = PrintedRecord({"h2": CLINIC}, frozenset(("h1",)), "02")
        text = print_report(CLINIC, DAY, NUMBER, [whole], False)
        await bring(stage, text.encode("cp950"))
        assert stage.states() == ["rejected"] * 4


async def test_only_a_source_that_is_marked_may_bring_reports(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk(sources=())) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        taken = await bring(stage, Report(sent_records(stage, package_id)).correct(), source="lab")
        row = receipt_row(stage, taken.receipt_id)
        assert (row.state, row.error_code) == ("quarantined", "check-report-not-expected")
        assert stage.states() == ["checking"] * 4


async def test_a_correction_that_waited_goes_on_when_the_report_comes_as_a_file(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        line = Line("CREA", "Creatinine", "NM", "1.9", "mg/dL", "0.6-1.3")
        later = oru("9", PEOPLE[1], "09015C^x^NHI", "N900002", (line,), TIMES, status="C")
        await stage.receive(later, control_id="9")
        assert stage.states()[-1] == "held:waiting_verdict"
        await bring(stage, Report(sent_records(stage, package_id)).correct())
        await stage.work()
        assert stage.states()[-1] == "ready"


async def test_an_aes_zip_is_opened_too(tmp_path: Path) -> None:
    async with open_stage(tmp_path, check_reports=desk()) as stage:
        await receive_orders(stage)
        package_id = await submit(stage)
        report = Report(sent_records(stage, package_id))
        await bring(stage, report.zipped(PASSWORD, aes=True), "aes.zip")
        assert stage.states() == ["accepted"] * 4


async def test_every_finding_about_a_report_can_be_read_in_both_languages(tmp_path: Path) -> None:
    for code in ("report-applied", "report-record-unknown", "verdict-contradicts"):
        assert set(finding_texts()[code]) == {"en", "zh"}
