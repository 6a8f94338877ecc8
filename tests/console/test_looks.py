"""How values look, and what is masked of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from broker.demo.messages import Times, fhir_bundles, hl7_messages
from broker.demo.people import PEOPLE
from broker.store.due_work import Hour
from broker.store.source_scores import usual_gap
from broker.web.console.flow_chart import flow_chart
from broker.web.console.looks import (
    duration,
    masked_date,
    masked_id,
    masked_name,
    masked_value,
    moment,
    remaining,
    urgency,
    without_ids,
)
from broker.web.console.masking import lines, masked_raw
from broker.web.console.routes import local_path

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def test_times_are_of_taipei_and_name_another_year() -> None:
    assert moment(NOW, NOW) == "03-02 09:00"
    assert moment(NOW - timedelta(days=90), NOW) == "2025-12-02 09:00"
    assert moment(None, NOW) == ""


@pytest.mark.parametrize(
    ("span", "zh", "en"),
    [
        (timedelta(minutes=5), "5 分", "5 min"),
        (timedelta(hours=5, minutes=2), "5 小時 02 分", "5 h 02 min"),
        (timedelta(days=2, hours=3), "2 天 3 小時", "2 d 3 h"),
    ],
    ids=["minutes", "hours", "days"],
)
def test_durations_name_the_two_largest_parts(span: timedelta, zh: str, en: str) -> None:
    assert (duration(span, "zh"), duration(span, "en")) == (zh, en)


def test_what_is_late_says_so() -> None:
    assert remaining(NOW + timedelta(hours=1), NOW, "zh") == "剩 1 小時 00 分"
    assert remaining(NOW - timedelta(minutes=3), NOW, "en") == "3 min late"


def test_urgency_follows_the_warning() -> None:
    warn = timedelta(hours=6)
    assert urgency(None, NOW, warn) == "none"
    assert urgency(NOW - timedelta(seconds=1), NOW, warn) == "missed"
    assert urgency(NOW + timedelta(hours=5), NOW, warn) == "risk"
    assert urgency(NOW + timedelta(hours=7), NOW, warn) == "calm"


def test_patients_are_masked_but_can_be_told_apart() -> None:
    assert masked_id("A123456789") == "A1••••••89"
    assert masked_id("X1") == "••"
    assert masked_name("王小明") == "王○明"
    assert masked_name("王明") == "王○"
    assert masked_name("測試^一郎") == "測○○郎"
    assert masked_date(date(1958, 3, 14)) == "1958-••-••"
    assert masked_value("h9", "A123456789") == "A1••••••89"
    assert masked_value("h10", "0470314") == "047••••"
    assert masked_value("h15", "09005C") == "09005C"
    assert without_ids("查無 A123456789，B212345678") == "查無 A1••••••89，B2••••••78"


def test_raw_hl7_keeps_the_results_and_nothing_of_the_patient() -> None:
    raw = hl7_messages(Times.before(NOW))[0][1]
    person = PEOPLE[0]
    assert person.national_id.encode() in raw
    shown = masked_raw(raw, "hl7v2")
    assert shown is not None
    assert "MSH|^~\\&|" in shown
    assert "OBX|1|NM|" in shown
    for secret in (person.national_id, *person.name.split("^"), f"{person.birth_on:%Y%m%d}"):
        assert secret not in shown


@pytest.mark.parametrize("kind", ["TX", "FT", "ST"])
def test_running_text_may_name_the_patient_and_is_masked(kind: str) -> None:
    text = "王小明 電話0912345678，請回診追蹤肝功能指數"
    raw = f"MSH|^~\\&|L\rOBX|1|{kind}|X^Text||{text}||||||F\rOBX|2|ST|Y||Negative||||||F\r"
    shown = masked_raw(raw.encode(), "hl7v2")
    assert shown is not None
    assert "王小明" not in shown
    assert "0912345678" not in shown
    assert "Negative" in shown
    fhir = json.dumps({"resourceType": "Observation", "valueString": text}).encode()
    assert "0912345678" not in (masked_raw(fhir, "fhir+json") or "")


def test_a_text_of_the_record_is_masked_until_the_patient_is_shown() -> None:
    assert masked_value("r7", "王小明 腹部超音波 未見異常，建議六個月後追蹤") == "••••••••"
    assert masked_value("r4", "1:320") == "1:320"


def test_raw_fhir_keeps_the_results_and_nothing_of_the_patient() -> None:
    raw = fhir_bundles(Times.before(NOW))[0][1]
    person = PEOPLE[1]
    assert person.national_id.encode() in raw
    shown = masked_raw(raw, "fhir+json")
    assert shown is not None
    assert json.loads(shown)["resourceType"] == "Bundle"
    assert "06505C" in shown
    for secret in (person.national_id, person.name, person.birth_on.isoformat()):
        assert secret not in shown


@pytest.mark.parametrize(
    ("raw", "media"),
    [(b"a,b\r\n1,2\r\n", "csv"), (b"\xff\xfe\x00", "hl7v2"), (b"{", "fhir+json")],
    ids=["csv", "no-text", "broken-json"],
)
def test_what_cannot_be_masked_is_not_shown(raw: bytes, media: str) -> None:
    assert masked_raw(raw, media) is None


def test_segments_stand_one_a_line_and_control_characters_are_dots() -> None:
    assert lines("MSH|1\rPID\x00|2\r\n") == "MSH|1\nPID·|2\n"


def test_the_chart_fits_its_largest_hour() -> None:
    hours = [Hour(NOW + timedelta(hours=n), arrived=n * 7, confirmed=n) for n in range(24)]
    chart = flow_chart(hours)
    assert len(chart.bars) == 24
    assert min(bar.y for bar in chart.bars) >= 10
    assert [value for _, value in chart.steps] == [0, 100, 200]
    assert chart.arrived == sum(n * 7 for n in range(24))
    assert all(bar.y + bar.height == pytest.approx(146) for bar in chart.bars)


def test_a_gap_is_usual_only_after_some_days() -> None:
    quick = [NOW + timedelta(seconds=n) for n in range(50)]
    assert usual_gap(quick) is None
    steady = [NOW + timedelta(hours=n) for n in range(100)]
    assert usual_gap(steady) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/records/3", "/records/3"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nb", "/"),
    ],
    ids=["own", "two-slashes", "backslash", "absolute", "line-break"],
)
def test_a_way_back_leads_to_no_other_site(path: str, expected: str) -> None:
    assert local_path(path) == expected
