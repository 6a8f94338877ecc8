"""The roles and what each may do; ``docs/reference/roles.md`` shows the same table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    LAB = "lab"
    CLINIC = "clinic"
    COACH = "coach"
    """Looks after the rates of a group of clinics, and sees no patient."""
    OPERATOR = "operator"
    """Runs this broker; sees every institution."""
    AUDITOR = "auditor"
    """Reads the audit trail of every institution, changes nothing, sees no patient."""


class Permission(StrEnum):
    SEE_WORK = "see-work"
    SEE_PATIENT = "see-patient"
    FIX_RECORD = "fix-record"
    DECIDE_CODE = "decide-code"
    SETTLE = "settle"
    CONFIRM_CRITICAL = "confirm-critical"
    """Not the laboratory's: that it has told is no proof that the clinic has heard."""
    ENTER_RESULT = "enter-result"
    SEE_UPLOADS = "see-uploads"
    SEE_RATES = "see-rates"
    SEE_SOURCES = "see-sources"
    SEE_CARDS = "see-cards"
    RECEIVE_RESULTS = "receive-results"
    MANAGE_PEOPLE = "manage-people"
    SEE_AUDIT = "see-audit"
    SEE_SETTINGS = "see-settings"
    OPERATE = "operate"


_P = Permission

_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.LAB: frozenset(
            {
                _P.SEE_WORK,
                _P.SEE_PATIENT,
                _P.FIX_RECORD,
                _P.DECIDE_CODE,
                _P.SETTLE,
                _P.ENTER_RESULT,
                _P.SEE_UPLOADS,
                _P.SEE_RATES,
                _P.SEE_SOURCES,
                _P.SEE_CARDS,
            }
        ),
        Role.CLINIC: frozenset(
            {
                _P.SEE_WORK,
                _P.SEE_PATIENT,
                _P.FIX_RECORD,
                _P.SETTLE,
                _P.ENTER_RESULT,
                _P.SEE_UPLOADS,
                _P.SEE_RATES,
                _P.SEE_CARDS,
                _P.RECEIVE_RESULTS,
                _P.CONFIRM_CRITICAL,
            }
        ),
        Role.COACH: frozenset({_P.SEE_WORK, _P.SEE_UPLOADS, _P.SEE_RATES}),
        Role.OPERATOR: frozenset(_P) - {_P.RECEIVE_RESULTS},
        Role.AUDITOR: frozenset(
            {_P.SEE_WORK, _P.SEE_UPLOADS, _P.SEE_RATES, _P.SEE_AUDIT, _P.SEE_SETTINGS}
        ),
    }
)

EVERYWHERE = frozenset({Role.OPERATOR, Role.AUDITOR})
"""The roles that are bound to no institution."""


def permissions_of(role: Role) -> frozenset[Permission]:
    """What a person of ``role`` may do, inside the institutions that the person sees."""
    return _PERMISSIONS[role]
