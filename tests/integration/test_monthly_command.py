"""``labbroker monthly``: from the daily upload and the claim to the monthly file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import main
from broker.demo.people import CLINIC
from broker.finding_json import findings_to_json
from broker.states import RecordState
from mapping.editions.edition import Variant
from mapping.finding import Finding
from mapping.monthly import variant_of
from mapping.package_file import read_package, write_package
from mapping.package_name import package_stem
from mapping.record import Field, UploadRecord, record_from_json, record_to_json, replace_header
from mapping.rocdate import roc_date, roc_month
from tests.integration.broker_stage import Stage, open_stage
from tests.integration.verdict_stage import ORDERS, receive_orders
from tests.unit.upload_samples import valid_record

PERSON, BORN = "A123456789", "0760502"


def claims_xml(
    lines: Sequence[tuple[str, str, str, str]],
    month: str = "11402",
    institution: str = "3501234567",
) -> str:
    """A clinic's claim: one case for each ``(national id, day, serial, order code)``."""
    cases = "".join(
        f"<ddata><dhead><d1>01</d1><d2>{number}</d2></dhead><dbody><d3>{person}</d3>"
        f"<d9>{day}</d9><d29>{serial}</d29><pdata><p3>1</p3><p4>A0123451G0</p4><p13>1</p13>"
        f"</pdata><pdata><p3>2</p3><p4>{code}</p4><p10>1</p10><p13>2</p13><p14>{day}0900</p14>"
        "</pdata></dbody></ddata>"
        for number, (person, day, serial, code) in enumerate(lines, start=1)
    )
    return (
        '<?xml version="1.0" encoding="Big5"?>\r\n<outpatient><tdata><t1>10</t1>'
        f"<t2>{institution}</t2><t3>{month}</t3><t4>1</t4><t5>1</t5><t6>1140305</t6></tdata>"
        f"{cases}</outpatient>"
    )


def run(*arguments: str | Path, data_dir: Path | None = None) -> tuple[int, dict[str, Any], str]:
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        patch.setenv("LABBROKER_LANG", "en")
        if data_dir is not None:
            patch.setenv("LABBROKER_DATA_DIR", str(data_dir))
        code = main(["monthly", "--json", *map(str, arguments)])
    return code, json.loads(output.getvalue() or "{}"), errors.getvalue()


def upload(folder: Path, *records: UploadRecord) -> Path:
    path = folder / f"{package_stem('3501234567', date(2025, 2, 4), 1)}.zip"
    with path.open("wb") as file:
        write_package(records, path.stem, file)
    return path


def written(told: dict[str, Any]) -> list[UploadRecord]:
    found: list[UploadRecord] = []
    for each in told["files"]:
        with Path(each["file"]).open("rb") as file:
            stem, records = read_package(file)
            assert stem == Path(each["file"]).stem
            found += records
    return found


def asked(tmp_path: Path, claim: str, *files: Path) -> tuple[int, dict[str, Any], str]:
    claims = tmp_path / "claim.xml"
    claims.write_bytes(claim.encode("cp950"))
    return run(
        *files,
        *("--institution", "3501234567", "--month", "2025-02"),
        *("--out", tmp_path / "out", "--claims", claims),
    )


def test_a_daily_upload_becomes_the_monthly_file_of_its_claim(tmp_path: Path) -> None:
    daily = valid_record()
    code, told, _ = asked(
        tmp_path, claims_xml([(PERSON, "1140203", "0012", "08011C")]), upload(tmp_path, daily)
    )
    assert (code, told["left_out"], told["sent"]) == (0, [], False)
    assert [Path(each["file"]).name for each in told["files"]] == ["LABM350123456711402001.zip"]
    (record,) = written(told)
    assert variant_of(record) is Variant.MONTHLY
    keys = ("h4", "h5", "h6", "h7", "h8", "h17", "h18")
    assert [record.value(tag) for tag in keys] == [
        *("11402", "1", "1140305", "01", "1", "2", "08011C"),
    ]
    assert record.value("h26") == daily.value("h7")
    assert [dict(row) for row in record.rows] == [
        {tag: Field(field.value, record.rows[0][tag].origin) for tag, field in row.items()}
        for row in daily.rows
    ]


def test_what_check_says_of_the_monthly_file_is_nothing(tmp_path: Path) -> None:
    _, told, _ = asked(
        tmp_path,
        claims_xml([(PERSON, "1140203", "0012", "08011C")]),
        upload(tmp_path, valid_record()),
    )
    output = io.StringIO()
    with redirect_stdout(output):
        main(["check", "--json", told["files"][0]["file"]])
    checked = json.loads(output.getvalue())
    assert checked["message"] == "monthly"
    assert not [each for each in checked["findings"] if each["severity"] == "error"]


def test_the_claim_brings_the_serial_that_was_unknown(tmp_path: Path) -> None:
    unknown = valid_record({"h7": "Z000", "h6": "AG"})
    claim = claims_xml([(PERSON, "1140203", "0042", "08011C")])
    code, told, _ = asked(tmp_path, claim, upload(tmp_path, unknown))
    assert code == 0
    assert [record.value("h26") for record in written(told)] == ["0042"]
    without = claims_xml([(PERSON, "1140203", "", "08011C")])
    code, told, _ = asked(tmp_path, without, upload(tmp_path, unknown))
    assert (code, told["files"]) == (1, [])
    assert [each["code"] for each in told["left_out"][0]["findings"]] == ["23"]


@pytest.mark.parametrize(
    ("lines", "doubt"),
    [
        ([(PERSON, "1140203", "0012", "09005C")], "order-not-claimed"),
        ([(PERSON, "1140202", "0012", "08011C")], "order-not-claimed"),
        ([(PERSON, "1140203", "0012", "08011C")] * 2, "several-claim-lines"),
    ],
)
def test_a_record_without_a_sure_line_in_the_claim_is_left_out(
    lines: list[tuple[str, str, str, str]], doubt: str, tmp_path: Path
) -> None:
    code, told, _ = asked(tmp_path, claims_xml(lines), upload(tmp_path, valid_record()))
    assert (code, told["files"]) == (1, [])
    (left,) = told["left_out"]
    assert [each["code"] for each in left["findings"]] == [doubt]
    assert left["findings"][0]["message"]
    assert left["findings"][0]["remedy"]


def test_without_the_months_claim_nothing_is_written_and_the_next_step_is_told(
    tmp_path: Path,
) -> None:
    claim = claims_xml([(PERSON, "1140203", "0012", "08011C")], month="11401")
    code, told, errors = asked(tmp_path, claim, upload(tmp_path, valid_record()))
    assert (code, told) == (2, {})
    assert "11402" in errors
    assert "--claims" in errors
    assert not (tmp_path / "out").exists()


def test_a_claim_with_a_hole_is_refused_with_its_place_and_no_value(tmp_path: Path) -> None:
    claim = claims_xml([(PERSON, "1149903", "0012", "08011C")])
    code, _, errors = asked(tmp_path, claim, upload(tmp_path, valid_record()))
    assert code == 2
    assert "ddata[1]/pdata[1]" in errors
    assert "1149903" not in errors
    assert PERSON not in errors


def test_a_file_that_is_no_daily_upload_is_refused(tmp_path: Path) -> None:
    claim = claims_xml([(PERSON, "1140203", "0012", "08011C")])
    _, told, _ = asked(tmp_path, claim, upload(tmp_path, valid_record()))
    code, _, errors = asked(tmp_path, claim, Path(told["files"][0]["file"]))
    assert code == 2
    assert "daily" in errors


def test_files_are_never_written_over_and_a_limit_splits_them(tmp_path: Path) -> None:
    claim = claims_xml([(PERSON, "1140203", "0012", "08011C")])
    again = [asked(tmp_path, claim, upload(tmp_path, valid_record()))[1] for _ in range(2)]
    names = [Path(told["files"][0]["file"]).name for told in again]
    assert names == ["LABM350123456711402001.zip", "LABM350123456711402002.zip"]
    assert {each.name for each in (tmp_path / "out").iterdir()} == set(names)


async def month_of(stage: Stage, tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The command on the stage's store, with a claim of all that it holds."""
    bodies = [record_from_json(json.loads(row.body)) for row in stage.records() if row.body]
    visited = bodies[0].value("h11")
    lines = dict.fromkeys(
        (each.value("h9"), each.value("h11"), "0042", each.value("h15")) for each in bodies
    )
    claims = tmp_path / "claim.xml"
    text = claims_xml(list(lines), visited[:5], CLINIC)
    claims.write_bytes(text.encode("cp950"))
    month = f"{int(visited[:3]) + 1911}-{visited[3:5]}"
    code, told, errors = run(
        *("--institution", CLINIC, "--month", month, *options),
        *("--out", tmp_path / "out", "--claims", claims),
        data_dir=stage.folder,
    )
    assert errors == ""
    return code, told


async def test_the_store_gives_what_the_daily_upload_left_open(tmp_path: Path) -> None:
    async with open_stage(tmp_path / "store") as stage:
        await receive_orders(stage)
        _, accepted, unknown, sent = stage.records()
        await stage.pretend(accepted.id, RecordState.ACCEPTED.value)
        body = record_from_json(json.loads(unknown.body))
        body = replace_header(body, {"h7": Field("Z000", "test"), "h6": Field("AG", "test")})
        await stage.pretend(
            unknown.id, RecordState.ACCEPTED.value, body=json.dumps(record_to_json(body))
        )
        await stage.pretend(sent.id, RecordState.INFLIGHT.value)

        code, told = await month_of(stage, tmp_path)
        assert code == 0
        assert told["passed_over"]["accepted"] == 1
        assert told["passed_over"]["on_its_way"] == 1
        assert sorted(each.value("h18") for each in written(told)) == sorted(
            (ORDERS[0][1], ORDERS[2][1])
        )
        serials = {each.value("h18"): each.value("h26") for each in written(told)}
        assert serials[ORDERS[2][1]] == "0042"
        assert stage.states() == ["ready", "accepted", "accepted", "inflight"]

        _, everything = await month_of(stage, tmp_path, "--all")
        assert len(written(everything)) == len(ORDERS)


async def test_what_could_not_be_read_or_was_opted_out_never_goes_out(tmp_path: Path) -> None:
    async with open_stage(tmp_path / "store") as stage:
        await receive_orders(stage)
        first, second, third, fourth = stage.records()
        await stage.pretend(
            first.id,
            RecordState.HELD.value,
            held_reason="invalid",
            findings=findings_to_json((Finding("22", "h16"),)),
        )
        await stage.pretend(
            second.id,
            RecordState.HELD.value,
            held_reason="invalid",
            findings=findings_to_json((Finding("not-writable"),)),
        )
        await stage.pretend(third.id, RecordState.HELD.value, held_reason="opted_out")
        await stage.pretend(fourth.id, RecordState.SUPERSEDED.value)
        code, told = await month_of(stage, tmp_path, "--all")
        assert code == 1
        assert [each.value("h18") for each in written(told)] == [ORDERS[0][1]]
        assert [each["findings"][0]["code"] for each in told["left_out"]] == ["not-writable"]


def test_the_month_before_is_another_claim(tmp_path: Path) -> None:
    day = date(2025, 2, 3) - timedelta(days=7)
    older = valid_record({"h11": roc_date(day)})
    claim = claims_xml([(PERSON, "1140203", "0012", "08011C")])
    code, told, _ = asked(tmp_path, claim, upload(tmp_path, older))
    assert (code, told["files"], told["passed_over"]["other_months"]) == (0, [], 1)
    assert roc_month(day) == "11401"
