"""The visit desk of the store: what is known that decides to which visit a result belongs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from broker.store.choices import chosen_among, find_choice
from broker.store.visit_orders import collection_times, near_visits, window_of
from broker.store.visits import find_visits
from broker.visit_desk import KnownVisits, VisitDesk
from mapping.match import day_of
from mapping.match_score import DEFAULT_WINDOW
from mapping.report import LabReport
from mapping.visit import Visit


def stored_visits(
    connection: Connection, receipt_id: int
) -> tuple[Callable[[str, str], KnownVisits], VisitDesk]:
    """How the visits of a person are looked up, once for all results of one receipt, and the desk
    for what is asked less often."""
    seen: dict[tuple[str, str], KnownVisits] = {}

    def visits_of(clinic_code: str, national_id: str) -> KnownVisits:
        person = (clinic_code, national_id)
        if person not in seen:
            seen[person] = find_visits(connection, clinic_code, national_id)
        return seen[person]

    def near(report: LabReport, clinic_code: str) -> KnownVisits:
        number = report.placer_order_number.strip()
        days = window_of(day_of(report), DEFAULT_WINDOW)
        return near_visits(connection, clinic_code, report.patient.birth_on, (number,), *days)

    expected: set[tuple[str, str, str]] = set()
    chosen: set[tuple[str, str, str]] = set()

    def expect(results: Sequence[tuple[str, str, str]]) -> None:
        chosen.update(chosen_among(connection, receipt_id, results))
        expected.update(results)

    def choice(slot: str, identity: str, day: str) -> tuple[int, Visit] | None:
        asked = (slot, identity, day)
        if asked in expected and asked not in chosen:
            return None
        return find_choice(connection, receipt_id, slot, identity, day)

    desk = VisitDesk(
        answers=lambda visit_id, code: collection_times(connection, visit_id, code),
        near=near,
        choice=choice,
        expect=expect,
    )
    return visits_of, desk
