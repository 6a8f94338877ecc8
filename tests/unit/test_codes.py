from __future__ import annotations

from dataclasses import replace

import pytest

from mapping.catalogue.tables import report_items
from mapping.codes import OrderResult, SplitReport, line_places, split_orders
from mapping.finding import Severity
from mapping.profile import CodeLink
from mapping.report import Coding, ObservationStatus, ReportStatus
from tests.unit.conversion_examples import CBC, PROFILE, at, line, report

NHI_SYSTEM = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw"


def the_order(split: SplitReport) -> OrderResult:
    assert len(split.orders) == 1
    return split.orders[0]


def rows(order: OrderResult) -> list[tuple[int, str]]:
    return [(resolved.item_number, resolved.item_name) for resolved in order.lines]


def codes(split: SplitReport) -> list[str]:
    return [finding.code for finding in split.findings]


def test_the_service_names_the_panel_and_the_names_its_rows() -> None:
    split = split_orders(report(*map(line, CBC), service="08011C"), PROFILE)
    order = the_order(split)
    assert order.order_code == "08011C"
    assert order.origin == "OBR[1]-4"
    assert [number for number, _ in rows(order)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [name for _, name in rows(order)] == [item.name for item in report_items("08011C")]
    assert {resolved.origin for resolved in order.lines} == {"report-items"}
    assert split.findings == ()


@pytest.mark.parametrize(
    ("service", "loinc", "number"),
    [
        ("08011C", "718-7", 2),
        ("08011C", "786-4", 8),
        ("09015C", "98979-8", 2),
        ("08026C", "6301-6", 2),
    ],
)
def test_loinc_codes_name_rows_of_a_known_panel(service: str, loinc: str, number: int) -> None:
    observed = line("x", codings=(Coding(loinc, "whatever", "LN"),))
    order = the_order(split_orders(report(observed, service=service), PROFILE))
    assert (order.order_code, rows(order)[0][0]) == (service, number)


@pytest.mark.parametrize("name", ["wbc", " W.B.C ", "WBC 白血球", "白血球", "White Blood Cells"])
def test_names_are_compared_without_case_blanks_and_punctuation(name: str) -> None:
    observed = line("77", codings=(Coding("77", name, "L"),))
    assert rows(the_order(split_orders(report(observed, service="08011C"), PROFILE)))[0][0] == 4


def test_names_that_differ_only_by_what_big5_lacks_are_equal() -> None:
    observed = line("9", codings=(Coding("9", "白血球酯脢", "L"),))
    order = the_order(split_orders(report(observed, service="06012C"), PROFILE))
    assert rows(order) == [(9, "白血球酯酶")]


def test_a_line_that_is_no_row_of_its_panel_is_reported_and_the_others_go_on() -> None:
    split = split_orders(report(line("WBC"), line("RDW-CV"), service="08011C"), PROFILE)
    assert rows(the_order(split))[0][0] == 4
    (finding,) = split.findings
    assert (finding.code, finding.severity) == ("unmapped-item", Severity.WARNING)
    assert "RDW-CV" in finding.message()
    assert "08011C" in finding.message("zh")


def test_an_absolute_count_is_never_taken_for_a_share() -> None:
    absolute, share = line("NEU", "3.1", "10^3/uL"), line("Lym", "30", "%")
    split = split_orders(report(absolute, share, service="08013C"), PROFILE)
    assert [number for number, _ in rows(the_order(split))] == [2]
    assert codes(split) == ["unmapped-item"]


@pytest.mark.parametrize("system", [NHI_SYSTEM, "NHI", "健保", "99NHI"])
def test_a_code_of_nhis_own_system_is_an_order_code_even_outside_the_list(system: str) -> None:
    observed = line("x", codings=(Coding("x", "", "L"), Coding("99999C", "New test", system)))
    order = the_order(split_orders(report(observed), PROFILE))
    assert (order.order_code, rows(order), order.origin) == (
        "99999C",
        [(1, "New test")],
        "OBX[1]-3",
    )


def test_a_code_of_the_catalogue_is_an_order_code_under_any_system() -> None:
    observed = line("x", codings=(Coding("09005C", "Sugar", "LOCAL"),))
    order = the_order(split_orders(report(observed, service="GLUCOSE"), PROFILE))
    assert (order.order_code, rows(order)) == ("09005C", [(1, "飯前血糖 Glucose AC")])


def test_the_lines_own_order_code_goes_before_the_services() -> None:
    own = line("x", codings=(Coding("09001C", "CHOL", "NHI"),))
    assert the_order(split_orders(report(own, service="08011C"), PROFILE)).order_code == "09001C"


def test_two_different_order_codes_on_one_line_are_no_evidence() -> None:
    torn = line("x", codings=(Coding("09001C", "", "NHI"), Coding("09002C", "", "NHI")))
    split = split_orders(report(torn), PROFILE)
    assert split.orders == ()
    assert codes(split) == ["unmapped-code"]


def test_the_only_line_of_a_single_row_order_is_that_row_whatever_its_name() -> None:
    order = the_order(split_orders(report(line("XYZ"), service="09005C"), PROFILE))
    assert rows(order) == [(1, "飯前血糖 Glucose AC")]


def test_one_of_several_lines_must_name_itself_to_be_the_single_row() -> None:
    split = split_orders(report(line("GLU"), line("Hemolysis"), service="09005C"), PROFILE)
    (resolved,) = the_order(split).lines
    assert resolved.observation.codings[0].code == "GLU"
    assert codes(split) == ["unmapped-code"]


def test_official_loinc_links_decide_where_one_order_code_remains() -> None:
    creatinine = line("x", codings=(Coding("2160-0", "Creatinine", "LN"),))
    order = the_order(split_orders(report(creatinine), PROFILE))
    assert (order.order_code, order.origin) == ("09015C", "nhi-loinc")
    assert rows(order)[0][0] == 1


def test_a_loinc_code_without_a_single_link_is_unmapped() -> None:
    split = split_orders(report(line("x", codings=(Coding("4544-3", "Hct", "LN"),))), PROFILE)
    assert split.orders == ()
    (finding,) = split.findings
    assert (finding.code, finding.value, finding.place) == ("unmapped-code", "4544-3", "OBX[1]")
    assert finding.severity is Severity.ERROR


def test_a_local_code_of_the_shape_of_loinc_is_not_loinc() -> None:
    split = split_orders(report(line("x", codings=(Coding("2160-0", "?", "L"),))), PROFILE)
    assert codes(split) == ["unmapped-code"]


def test_the_profile_goes_before_everything_and_may_name_the_row() -> None:
    profile = replace(PROFILE, codes={"WBC": CodeLink("08002C"), "A1C": CodeLink("09006C", 101)})
    split = split_orders(report(line("WBC"), line("A1C"), service="08011C"), profile)
    assert [(order.order_code, rows(order)) for order in split.orders] == [
        ("08002C", [(1, "白血球計數")]),
        ("09006C", [(101, "醣化血色素")]),
    ]
    assert split.orders[0].origin == "profile.codes"


def test_the_profile_may_speak_of_a_code_within_a_service_or_a_system() -> None:
    profile = replace(
        PROFILE,
        codes={
            "GLU": CodeLink("09005C"),
            "PC/GLU": CodeLink("09140C"),
            "GLU|99U": CodeLink("06012C", 2),
        },
    )
    plain, urine = line("GLU"), line("GLU", codings=(Coding("GLU", "GLU", "99U"),))
    for observed, service, expected in (
        (plain, "", "09005C"),
        (plain, "PC", "09140C"),
        (urine, "", "06012C"),
    ):
        split = split_orders(report(observed, service=service), profile)
        assert the_order(split).order_code == expected


def test_the_profile_may_name_the_service() -> None:
    profile = replace(PROFILE, codes={"CBC": CodeLink("08011C")})
    order = the_order(split_orders(report(line("Hb"), service="CBC"), profile))
    assert (order.order_code, rows(order)[0][0]) == ("08011C", 2)


def test_an_empty_order_code_in_the_profile_means_never_uploaded() -> None:
    profile = replace(PROFILE, codes={"RDW": CodeLink("")})
    split = split_orders(report(line("RDW"), line("WBC"), service="08011C"), profile)
    assert len(the_order(split).lines) == 1
    assert [(f.code, f.severity) for f in split.findings] == [
        ("not-uploaded", Severity.INFORMATION)
    ]


def test_codes_without_an_official_table_count_in_the_labs_order_under_its_names() -> None:
    split = split_orders(report(line("p-ANCA"), line("c-ANCA"), service="12171B"), PROFILE)
    order = the_order(split)
    assert rows(order) == [(1, "p-ANCA"), (2, "c-ANCA")]
    assert [(r.number_origin, r.origin) for r in order.lines] == [("sequence", "OBX[1]-3")] * 2


def test_a_single_line_without_a_name_takes_the_official_name() -> None:
    observed = line("x", codings=(Coding("12171B"),))
    (resolved,) = the_order(split_orders(report(observed), PROFILE)).lines
    assert resolved.origin == "order-codes"
    assert resolved.item_name == "抗嗜中性球細胞質抗體"


def test_several_lines_without_names_stay_without() -> None:
    observed = line("x", codings=(Coding("12171B"),))
    order = the_order(split_orders(report(observed, observed), PROFILE))
    assert rows(order) == [(1, ""), (2, "")]


def test_unfinished_and_withdrawn_lines_are_left_out_and_told() -> None:
    split = split_orders(
        report(
            line("RBC", status=ObservationStatus.PRELIMINARY),
            line("Hb", status=ObservationStatus.WITHDRAWN),
            line("PLT", status=ObservationStatus.NOT_DONE),
            line("WBC", status=ObservationStatus.CORRECTED),
            service="08011C",
        ),
        PROFILE,
    )
    order = the_order(split)
    assert [number for number, _ in rows(order)] == [4]
    assert [resolved.item_number for resolved in order.awaited] == [1]
    assert [resolved.item_number for resolved in order.withdrawn] == [2, 3]
    assert codes(split) == ["not-final", "withdrawn", "not-done"]
    assert {finding.severity for finding in split.findings} == {Severity.INFORMATION}


def test_numbers_do_not_move_when_an_awaited_line_turns_final() -> None:
    first = line("p-ANCA", status=ObservationStatus.PRELIMINARY)
    early = the_order(split_orders(report(first, line("c-ANCA"), service="12171B"), PROFILE))
    assert rows(early) == [(2, "c-ANCA")]


def test_a_cancelled_report_has_no_lines() -> None:
    cancelled = report(line("WBC"), service="08011C", status=ReportStatus.CANCELLED)
    order = the_order(split_orders(cancelled, PROFILE))
    assert order.lines == ()
    assert len(order.withdrawn) == 1


def test_a_cancelled_report_without_lines_still_names_its_order() -> None:
    cancelled = report(service="08011C", status=ReportStatus.CANCELLED)
    assert the_order(split_orders(cancelled, PROFILE)) == OrderResult(
        "08011C", (), origin="OBR[1]-4"
    )


def test_rivals_for_one_row_are_all_left_out() -> None:
    split = split_orders(
        report(line("WBC", "5.0"), line("WBC", "9.0"), line("Hb"), service="08011C"), PROFILE
    )
    assert [number for number, _ in rows(the_order(split))] == [2]
    assert codes(split) == ["duplicate-item", "duplicate-item"]
    assert {finding.severity for finding in split.findings} == {Severity.ERROR}


def test_a_repetition_word_for_word_is_taken_once() -> None:
    split = split_orders(report(line("WBC"), line("WBC"), service="08011C"), PROFILE)
    assert len(the_order(split).lines) == 1
    assert codes(split) == ["line-superseded"]


def test_the_same_value_of_another_time_is_a_rival() -> None:
    one, two = line("GLU", observed_at=at(2, 8)), line("GLU", observed_at=at(2, 10))
    assert codes(split_orders(report(one, two, service="09005C"), PROFILE)) == [
        "duplicate-item",
        "duplicate-item",
    ]


def test_a_corrected_line_stands_for_the_final_one_beside_it() -> None:
    old, new = line("WBC", "5.0"), line("WBC", "6.0", status=ObservationStatus.CORRECTED)
    split = split_orders(report(old, new, service="08011C"), PROFILE)
    (resolved,) = the_order(split).lines
    assert resolved.observation.value == "6.0"


def test_of_two_units_the_official_one_is_taken() -> None:
    si, usual = line("CRE", "88", "umol/L"), line("CRE", "1.0", "MG/DL")
    split = split_orders(report(si, usual, service="09015C"), PROFILE)
    (resolved,) = the_order(split).lines
    assert resolved.observation.value == "1.0"


def test_a_report_may_hold_several_orders() -> None:
    both = report(
        line("x", codings=(Coding("09001C", "CHOL", "NHI"),)),
        line("y", codings=(Coding("09002C", "BUN", "NHI"),)),
        line("z"),
    )
    split = split_orders(both, PROFILE)
    assert [order.order_code for order in split.orders] == ["09001C", "09002C"]
    assert codes(split) == ["unmapped-code"]


def test_a_line_without_any_code_is_unmapped() -> None:
    split = split_orders(report(line("x", codings=())), PROFILE)
    assert codes(split) == ["unmapped-code"]


def test_places_are_named_in_the_terms_of_the_payload() -> None:
    assert line_places("OBR[2]/OBX[3]").value == "OBR[2]/OBX[3]-5"
    assert line_places("row 7").unit == "row 7.unit"
