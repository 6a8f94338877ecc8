"""Which rows a person sees: every query behind a page or the API takes ``institutions``, and a row
of another one is not there at all. None means: all of them."""

from __future__ import annotations

import re

from sqlalchemy import Column, ColumnElement, exists, func, or_, true

from broker.store.report_tables import lab_report
from broker.store.schema import package, record

_CODE = re.compile("[0-9A-Z]{10}")


def record_in_reach(institutions: frozenset[str] | None) -> ColumnElement[bool]:
    """Records of the clinics, uploaders and laboratories of ``institutions``, and what came from
    the sources of these ids.

    It sorts out rows that something else has found: several indexes at once would find all that
    these institutions ever had.
    """
    if institutions is None:
        return true()
    codes = sorted(institutions)
    owned = [
        unindexed(column).in_(codes)
        for column in (record.c.clinic_code, record.c.lab_code, record.c.uploader_code)
    ]
    sources = source_ids(institutions)
    # Last: it looks elsewhere, and rows that belong to a code need no look.
    return or_(*owned, came_from(sources)) if sources else or_(*owned)


def unindexed(column: Column[str]) -> ColumnElement[str]:
    """The same value, for which no index is used."""
    return func.coalesce(column, "")


def source_ids(institutions: frozenset[str]) -> list[str]:
    """Those that can only be ids of sources: an institution's code is ten digits and capitals."""
    return sorted(each for each in institutions if each and not _CODE.fullmatch(each))


def came_from(sources: list[str]) -> ColumnElement[bool]:
    """Records whose report came from one of ``sources``."""
    return exists().where(
        lab_report.c.receipt_id == record.c.receipt_id,
        unindexed(lab_report.c.source_id).in_(sources),
    )


def package_in_reach(institutions: frozenset[str] | None) -> ColumnElement[bool]:
    """Packages that one of ``institutions`` uploads."""
    if institutions is None:
        return true()
    return package.c.institution_code.in_(sorted(institutions))
