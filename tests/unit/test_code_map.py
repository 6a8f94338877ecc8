"""Local codes that a person linked, with specimen, unit and method."""

from dataclasses import replace

from mapping.code_map import LocalCode, build_code_map
from mapping.codes import split_orders
from mapping.profile import CodeLink, SourceProfile
from mapping.report import Coding, LabReport, Observation, Patient, Specimen

SETTINGS = SourceProfile("lab", codes={"GLU": CodeLink("09005C")})


def line(code: str, unit: str = "", method: str = "", name: str = "") -> Observation:
    return Observation((Coding(code, name, "L"),), "5.1", "NM", unit, method=method, place="OBX[1]")


def report(*lines: Observation, specimen: str = "", service: str = "") -> LabReport:
    ordered = (Coding(service, "", "L"),) if service else ()
    return LabReport(Patient(), ordered, lines, specimen=Specimen(kind=specimen), place="OBR[1]")


def profile(*entries: tuple[LocalCode, str]) -> SourceProfile:
    links = [(local, CodeLink(code)) for local, code in entries]
    return replace(SETTINGS, code_map=build_code_map(links))


def order_codes(told: LabReport, known: SourceProfile) -> list[str]:
    return [order.order_code for order in split_orders(told, known).orders]


def test_a_decision_of_a_person_stands_before_the_settings() -> None:
    known = profile((LocalCode("GLU"), "09140C"))
    assert order_codes(report(line("GLU")), SETTINGS) == ["09005C"]
    assert order_codes(report(line("GLU")), known) == ["09140C"]


def test_the_settings_hold_where_no_entry_fits_the_line() -> None:
    known = profile((LocalCode("GLU", specimen="Urine"), "09140C"))
    assert order_codes(report(line("GLU"), specimen="Serum"), known) == ["09005C"]
    assert order_codes(report(line("GLU"), specimen="urine "), known) == ["09140C"]


def test_unit_and_method_tell_two_tests_of_one_code_apart() -> None:
    known = profile(
        (LocalCode("ALB", unit="g/dL"), "09038C"),
        (LocalCode("ALB", unit="mg/L", method="Immuno-turbidimetry"), "12111C"),
    )
    assert order_codes(report(line("ALB", "G/DL")), known) == ["09038C"]
    assert order_codes(report(line("ALB", "mg/L", "immunoturbidimetry")), known) == ["12111C"]
    assert order_codes(report(line("ALB", "mg/L", "dipstick")), known) == []


def test_the_entry_that_says_more_of_the_line_wins() -> None:
    known = profile((LocalCode("ALB"), "09038C"), (LocalCode("ALB", unit="mg/L"), "12111C"))
    assert order_codes(report(line("ALB", "mg/L")), known) == ["12111C"]
    assert order_codes(report(line("ALB", "g/dL")), known) == ["09038C"]


def test_two_entries_that_fit_equally_well_decide_nothing() -> None:
    known = profile(
        (LocalCode("ALB", unit="mg/L"), "12111C"), (LocalCode("ALB", specimen="Serum"), "09038C")
    )
    told = report(line("ALB", "mg/L"), specimen="Serum")
    assert [finding.code for finding in split_orders(told, known).findings] == ["unmapped-code"]


def test_a_line_without_a_code_is_linked_by_its_name() -> None:
    known = profile((LocalCode("飯前血糖"), "09005C"))
    assert order_codes(report(line("", name="飯前血糖")), known) == ["09005C"]


def test_an_ordered_service_is_linked_and_each_service_may_say_its_own() -> None:
    known = profile((LocalCode("CBC"), "08011C"), (LocalCode("URINE/WBC"), "06012C"))
    told = report(line("WBC", name="WBC"), service="CBC")
    assert order_codes(told, known) == ["08011C"]
    assert split_orders(report(line("WBC"), service="URINE"), known).findings[0].code == (
        "unmapped-item"
    )


def test_a_line_remembers_that_a_person_linked_it() -> None:
    map_of_one = build_code_map([(LocalCode("HBA"), CodeLink("09006C", 1))])
    (order,) = split_orders(report(line("HBA")), replace(SETTINGS, code_map=map_of_one)).orders
    assert (order.origin, order.lines[0].number_origin) == ("code-map", "code-map")


def test_a_changed_profile_is_asked_anew() -> None:
    told = report(line("GLU"))
    for code in ("09005C", "09140C", "09005C"):
        assert order_codes(told, profile((LocalCode("GLU"), code))) == [code]


def test_an_entry_without_order_code_says_that_the_line_is_never_uploaded() -> None:
    known = profile((LocalCode("GLU"), ""))
    split = split_orders(report(line("GLU")), known)
    assert [finding.code for finding in split.findings] == ["not-uploaded"]
    assert split.orders == ()
