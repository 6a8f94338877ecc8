"""What a person says of a package: it was uploaded by hand, or it was not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from broker.states import PACKAGE_TRANSITIONS, PackageState, RecordState
from broker.store.packages import (
    close_attempt,
    move_package,
    move_package_records,
    open_attempt,
    retire_package,
)
from broker.store.rows import AnyRow
from broker.store.schema import package
from broker.store.verdicts import confirm_records


def find_package(connection: Connection, name: str) -> AnyRow | None:
    """The package of this stem, file name or number of ours."""
    stem = name.strip().removesuffix(".zip").removesuffix(".ZIP").upper()
    wanted = [package.c.stem == stem]
    if stem.isascii() and stem.isdigit() and len(stem) < 10:
        wanted.append(package.c.id == int(stem))
    return connection.execute(select(package).where(or_(*wanted))).one_or_none()


def may_be_told(state: str) -> bool:
    """Whether a person's word can still move a package in this state."""
    return PackageState.SUBMITTED in PACKAGE_TRANSITIONS.get(PackageState(state), ()) and (
        state != PackageState.INFLIGHT.value
    )


def record_upload(
    connection: Connection,
    package_id: int,
    evidence: Mapping[str, Any],
    receipt_number: str,
    confirmed_at: datetime,
    now: datetime,
) -> None:
    """The package is with NHI, as ``evidence`` says; its check report is waited for."""
    attempt_id = open_attempt(connection, package_id, "hand", now)
    raw = json.dumps(evidence, ensure_ascii=False).encode()
    close_attempt(connection, attempt_id, now, "confirmed", raw_answer=raw)
    move_package(
        connection,
        package_id,
        PackageState.SUBMITTED,
        receipt_number=receipt_number,
        confirmed_at=confirmed_at,
        error_code="",
        next_at=now,
    )
    confirm_records(connection, package_id, confirmed_at)


def record_absence(
    connection: Connection,
    package_id: int,
    evidence: Mapping[str, Any],
    now: datetime,
    *,
    in_date: bool,
) -> None:
    """The package is not with NHI, as ``evidence`` says: it may be sent, or where its date has
    passed its records are sealed anew."""
    attempt_id = open_attempt(connection, package_id, "hand", now)
    raw = json.dumps(evidence, ensure_ascii=False).encode()
    close_attempt(connection, attempt_id, now, "absent", raw_answer=raw)
    if in_date:
        move_package(connection, package_id, PackageState.SEALED, next_at=now, absences=0)
        move_package_records(connection, package_id, RecordState.SEALED)
    else:
        retire_package(connection, package_id)
