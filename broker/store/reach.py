"""Which rows a person sees: every query behind a page or the API takes ``institutions``, and a row
of another one is not there at all. None means: all of them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, true

from broker.store.schema import package, record


def record_in_reach(institutions: frozenset[str] | None) -> ColumnElement[bool]:
    """Records of the clinics, uploaders and laboratories of ``institutions``."""
    if institutions is None:
        return true()
    codes = sorted(institutions)
    return or_(
        record.c.clinic_code.in_(codes),
        record.c.uploader_code.in_(codes),
        record.c.lab_code.in_(codes),
    )


def package_in_reach(institutions: frozenset[str] | None) -> ColumnElement[bool]:
    """Packages that one of ``institutions`` uploads."""
    if institutions is None:
        return true()
    return and_(package.c.institution_code.in_(sorted(institutions)))
