"""Order and visit messages of a clinic."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from mapping.finding import Severity
from mapping.parsed import Content
from mapping.profile import CodeLink, Hl7Dialect, SourceProfile
from mapping.visit import Order, Visit
from tests.hl7_samples import CLINIC, LAB, MSH, NATIONAL_ID, PID, codes, message, read, with_fields

CLINIC_SYSTEM = SourceProfile("clinic-a", clinic_code=CLINIC)
HEAD = (
    r"MSH|^~\&|HIS|3501200000|BROKER|LAB|20260321100500||OML^O21^OML_O21|V-1|P|2.5.1"
    "||||||UNICODE UTF-8"
)
PV1 = with_fields("PV1|1|O|OPD^01", f7="B200000000^Wang", f44="202603210955")
ORC = "ORC|NW|P-1^HIS|||||1||202603211000|||C100000000^Lin"
OBR = "OBR|1|P-1^HIS||09005C^Glucose^NHI"
DIALECT = Hl7Dialect(
    card_at=("ZNH-1",),
    visit_type=("ZNH-2",),
    visit_serial=("ZNH-3",),
    makeup_code=("ZNH-4",),
    visit_identifier=("ZNH-5",),
    dispensing_code=("ZOR-1",),
)
WITH_CARD = SourceProfile("clinic-a", clinic_code=CLINIC, hl7=DIALECT)
CARD = "ZNH|1150321095530|01|0012|1|ABC123"


def visit(*segments: str, profile: SourceProfile = CLINIC_SYSTEM) -> Visit:
    (found,) = read(message(*segments), profile).visits
    return found


@pytest.mark.parametrize(
    "kind", ["OML^O21^OML_O21", "OML^O33^OML_O33", "OML^O35", "ORM^O01", "ORM", "OMG^O19"]
)
def test_an_order_message_is_a_visit_with_its_orders(kind: str) -> None:
    parsed = read(message(with_fields(HEAD, f9=kind), PID, PV1, ORC, OBR), CLINIC_SYSTEM)
    assert parsed.content is Content.VISITS
    assert parsed.reports == ()
    (found,) = parsed.visits
    assert found.institution_code == CLINIC
    assert (found.national_id, found.birth_on) == (NATIONAL_ID, date(1970, 1, 2))
    assert found.visit_on == date(2026, 3, 21)
    assert found.provider_id == "C100000000"
    ordered_at = datetime(2026, 3, 21, 2, 0, tzinfo=UTC)
    assert found.orders == (
        Order("09005C", Decimal(1), ordered_at=ordered_at, placer_order_number="P-1"),
    )


def test_without_card_data_a_visit_is_provisional_and_invents_none() -> None:
    parsed = read(message(HEAD, PID, PV1, ORC, OBR), CLINIC_SYSTEM)
    (found,) = parsed.visits
    assert found.provisional
    assert (found.visit_type, found.visit_serial) == ("", "")
    assert found.card_at == datetime(2026, 3, 20, 16, 0, tzinfo=UTC)
    (finding,) = parsed.findings
    assert (finding.code, finding.severity) == ("hl7-visit-without-card", Severity.INFORMATION)


@pytest.mark.parametrize("place", [(CARD,), ()])
@pytest.mark.parametrize("card_time", ["1150321095530", "20260321095530", "20260321095530+0800"])
def test_a_z_segment_may_carry_the_card_data(place: tuple[str, ...], card_time: str) -> None:
    card = with_fields(CARD, f1=card_time)
    head, tail = ((card,), ()) if place else ((), (card,))
    found = visit(HEAD, PID, PV1, *head, ORC, OBR, "ZOR|4", *tail, profile=WITH_CARD)
    assert not found.provisional
    assert found.card_at == datetime(2026, 3, 21, 1, 55, 30, tzinfo=UTC)
    assert (found.visit_type, found.visit_serial, found.makeup_code) == ("01", "0012", "1")
    assert found.visit_identifier == "ABC123"
    assert found.orders[0].dispensing_code == "4"


@pytest.mark.parametrize("card", ["ZNH|1150321095530|01|", "ZNH||01|0012", "ZNH|1150321095530||1"])
def test_card_data_with_a_gap_names_no_card_event(card: str) -> None:
    assert visit(HEAD, PID, PV1, card, ORC, OBR, profile=WITH_CARD).provisional


@pytest.mark.parametrize("card_time", ["202603210955", "20260321", "tomorrow", "11503210955"])
def test_a_card_time_without_its_seconds_is_not_used(card_time: str) -> None:
    card = with_fields(CARD, f1=card_time)
    parsed = read(message(HEAD, PID, PV1, card, ORC, OBR), WITH_CARD)
    assert parsed.visits[0].provisional
    assert parsed.visits[0].visit_on == date(2026, 3, 21)
    assert "hl7-card-time" in codes(parsed)


@pytest.mark.parametrize("control", ["CA", "OC", "CR", "DC", "OD", "DR", "RP", "RU"])
def test_a_cancelled_order_is_taken_back(control: str) -> None:
    (order,) = visit(HEAD, PID, PV1, with_fields(ORC, f1=control), OBR).orders
    assert order.cancelled
    assert order.placer_order_number == "P-1"


def test_an_order_may_be_taken_back_by_its_number_alone_or_by_its_status() -> None:
    (order,) = visit(HEAD, PID, PV1, with_fields(ORC, f1="CA")).orders
    assert (order.cancelled, order.order_code, order.placer_order_number) == (True, "", "P-1")
    (order,) = visit(HEAD, PID, PV1, with_fields(ORC, f1="SC", f5="CA"), OBR).orders
    assert order.cancelled


@pytest.mark.parametrize("control", ["HD", "UA", "UC", "??"])
def test_a_word_that_neither_places_nor_takes_back_changes_nothing(control: str) -> None:
    parsed = read(message(HEAD, PID, PV1, with_fields(ORC, f1=control), OBR), CLINIC_SYSTEM)
    assert parsed.visits[0].orders == ()
    assert codes(parsed)["hl7-order-control"] == "ORC[1]-1"


def test_several_orders_keep_their_own_numbers_and_quantities() -> None:
    orders = visit(
        *(HEAD, PID, PV1),
        *(ORC, "TQ1|1|2", OBR),
        *(with_fields(ORC, f2="P-2", f7="3"), with_fields(OBR, f2="P-2", f4="09001C")),
        with_fields(OBR, f2="P-3", f4="08011C", f27="0"),
    ).orders
    assert [each.order_code for each in orders] == ["09005C", "09001C", "08011C"]
    assert [each.placer_order_number for each in orders] == ["P-1", "P-2", "P-3"]
    assert [each.quantity for each in orders] == [2, 3, 1]


def test_the_clinics_own_codes_are_those_of_its_settings() -> None:
    mine = SourceProfile("clinic-a", clinic_code=CLINIC, codes={"GLU": CodeLink("09005C")})
    own = with_fields(OBR, f4="GLU^血糖^L")
    assert visit(HEAD, PID, PV1, ORC, own, profile=mine).orders[0].order_code == "09005C"
    parsed = read(message(HEAD, PID, PV1, ORC, own), CLINIC_SYSTEM)
    assert parsed.visits[0].orders == ()
    assert codes(parsed)["hl7-order-code"] == "OBR[1]-4"


@pytest.mark.parametrize("event", ["A04", "A08"])
def test_a_registration_is_a_visit_without_orders(event: str) -> None:
    head = with_fields(HEAD, f9=f"ADT^{event}^ADT_A01")
    found = visit(head, f"EVN|{event}|20260321", PID, PV1)
    assert found.orders == ()
    assert found.visit_on == date(2026, 3, 21)


@pytest.mark.parametrize("event", ["A01", "A03", "A11", "A28", "A40"])
def test_other_events_of_a_patient_carry_nothing_and_say_so(event: str) -> None:
    parsed = read(message(with_fields(HEAD, f9=f"ADT^{event}"), PID, PV1), CLINIC_SYSTEM)
    assert parsed.content is Content.NOTHING
    assert "hl7-not-a-result" in codes(parsed)


@pytest.mark.parametrize(
    ("segments", "place"),
    [
        ((HEAD, with_fields(PID, f3="77"), PV1), "PID[1]-3"),
        ((HEAD, with_fields(PID, f7="unknown"), PV1), "PID[1]-7"),
        ((with_fields(HEAD, f7=""), PID), "MSH[1]-7"),
    ],
)
def test_a_visit_that_cannot_be_kept_is_an_error(segments: tuple[str, ...], place: str) -> None:
    parsed = read(message(*segments, "OBR|1|P-1||09005C"), CLINIC_SYSTEM)
    assert parsed.visits == ()
    assert codes(parsed)["hl7-visit-incomplete"] == place


def test_a_visit_of_an_unknown_clinic_is_an_error() -> None:
    parsed = read(message(with_fields(HEAD, f4="HIS"), PID, PV1, ORC, OBR), SourceProfile("x"))
    assert codes(parsed)["hl7-visit-incomplete"] == "MSH[1]-4"


def test_a_code_of_the_sender_names_the_clinic_by_the_settings() -> None:
    mine = SourceProfile("his", clinics={"WANG": CLINIC}, clinic_code=LAB)
    head = with_fields(HEAD, f4="WANG")
    assert visit(head, PID, PV1, ORC, OBR, profile=mine).institution_code == CLINIC


def test_two_patients_of_one_message_are_two_visits() -> None:
    other = PID.replace(NATIONAL_ID, "B123456780")
    parsed = read(message(HEAD, PID, PV1, ORC, OBR, other, ORC, OBR), CLINIC_SYSTEM)
    assert [each.national_id for each in parsed.visits] == [NATIONAL_ID, "B123456780"]
    assert [len(each.orders) for each in parsed.visits] == [1, 1]


def test_a_training_message_tells_no_visit() -> None:
    parsed = read(message(with_fields(HEAD, f11="T"), PID, PV1, ORC, OBR), CLINIC_SYSTEM)
    assert parsed.visits == ()
    assert "hl7-not-production" in codes(parsed)


def test_results_in_an_order_message_are_no_results_and_that_is_told() -> None:
    parsed = read(message(HEAD, PID, PV1, ORC, OBR, "OBX|1|NM|A||5"), CLINIC_SYSTEM)
    assert parsed.reports == ()
    assert codes(parsed)["hl7-not-a-result"] == "MSH[1]-9"


def test_results_and_orders_may_come_in_one_file() -> None:
    ours = message(MSH, PID, "OBR|1|P-1||09005C", "OBX|1|NM|09005C||131|mg/dL|70-100|H|||F")
    parsed = read(message(HEAD, PID, PV1, ORC, OBR) + ours, CLINIC_SYSTEM)
    assert parsed.content is Content.REPORTS
    assert (len(parsed.reports), len(parsed.visits)) == (1, 1)
