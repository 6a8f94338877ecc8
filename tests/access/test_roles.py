"""Who may do what, as the reference page says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.access.person import Person
from broker.access.roles import Permission, Role, permissions_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roles.md"


def test_the_reference_page_shows_the_table_of_the_code() -> None:
    rows = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("`"):
            rows[cells[0].strip("`")] = [cell == "●" for cell in cells[1 : 1 + len(Role)]]
    assert rows == {
        permission.value: [permission in permissions_of(role) for role in Role]
        for permission in Permission
    }


def test_every_permission_is_somebodys_and_no_role_has_all() -> None:
    for permission in Permission:
        assert [role for role in Role if permission in permissions_of(role)]
    for role in Role:
        assert permissions_of(role) < set(Permission)


@pytest.mark.parametrize("role", [Role.COACH, Role.AUDITOR], ids=lambda role: role.value)
def test_who_needs_no_patient_sees_none_and_changes_nothing(role: Role) -> None:
    changing = {
        Permission.SEE_PATIENT,
        Permission.FIX_RECORD,
        Permission.DECIDE_CODE,
        Permission.SETTLE,
        Permission.CONFIRM_CRITICAL,
        Permission.ENTER_RESULT,
        Permission.MANAGE_PEOPLE,
        Permission.OPERATE,
    }
    assert not permissions_of(role) & changing


def test_institutions_bind_whom_they_should() -> None:
    clinic = Person(1, "c", "c", Role.CLINIC, frozenset({"3501200000"}))
    assert clinic.sees("3501200000")
    assert not clinic.sees("3501200001")
    assert not clinic.sees("")
    assert clinic.reach == frozenset({"3501200000"})
    nobody = Person(2, "n", "n", Role.CLINIC, frozenset())
    assert nobody.reach == frozenset(), "no institution is not every institution"
    for role in (Role.OPERATOR, Role.AUDITOR):
        assert Person(3, "o", "o", role, frozenset()).reach is None


def test_a_scope_narrows_and_never_widens() -> None:
    scopes = frozenset({Permission.SEE_WORK, Permission.OPERATE})
    token = Person(1, "c", "c", Role.CLINIC, frozenset({"x"}), scopes=scopes)
    assert token.may(Permission.SEE_WORK)
    assert not token.may(Permission.SEE_RATES)
    assert not token.may(Permission.OPERATE)


def test_only_who_must_hear_of_a_critical_result_says_that_they_have() -> None:
    may = {role for role in Role if Permission.CONFIRM_CRITICAL in permissions_of(role)}
    assert may == {Role.CLINIC, Role.OPERATOR}
