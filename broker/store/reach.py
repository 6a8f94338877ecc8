"""Which rows a person sees: every query behind a page or the API takes ``institutions``, and a row
of another one is not there at all. None means: all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, or_, select, true

from broker.store.schema import lab_report, package, record

_CODE = re.compile("[0-9A-Z]{10}")


def record_in_reach(institutions: frozenset[str] | None) -> ColumnElement[bool]:
    """Records of the clinics, uploaders and laboratories of ``institutions``, and what came from
    the sources of these ids."""
    if institutions is None:
        return true()
    codes = sorted(institutions)
    owned = or_(
        record.c.clinic_code.in_(codes),
        record.c.uploader_code.in_(codes),
        record.c.lab_code.in_(codes),
    )
    sources = source_ids(institutions)
    return or_(owned, record.c.receipt_id.in_(receipts_of(sources))) if sources else owned


def source_ids(institutions: frozenset[str]) -> list[str]:
    """Those that can only be ids of sources: an institution's code is ten digits and capitals."""
    return sorted(each for each in institutions if each and not _CODE.fullmatch(each))


def receipts_of(sources: Sequence[str]) -> Select[tuple[int]]:
    """The ids of receipts whose reports came from ``sources``."""
    return select(lab_report.c.receipt_id).where(lab_report.c.source_id.in_(sources))


def package_in_reach(institutions: frozenset[str] | None) -> ColumnElement[bool]:
    """Packages that one of ``institutions`` uploads."""
    if institutions is None:
        return true()
    return and_(package.c.institution_code.in_(sorted(institutions)))
