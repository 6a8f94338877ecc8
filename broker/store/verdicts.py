"""What the gateway said of a package: when it took it, and what its check report says of each
record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from broker.finding_json import findings_from_json, findings_to_json
from broker.states import PackageState, RecordState
from broker.store.packages import active_records, get_package, look_again_at, move_package
from broker.store.record_moves import move_records, release_waiting
from broker.store.rows import AnyRow
from broker.store.schema import package_record, record
from mapping.convert import stamp_upload_time
from mapping.finding import Finding, Severity
from mapping.record import PlacedFields, UploadRecord, record_from_json
from mapping.rocdate import roc_datetime
from mapping.verdict import CheckedRecord, CheckReport
from mapping.verdict_findings import verdict_findings

# Printed values are cut, so a printed value matches when the record's begins with it.
_NAMING = ("h9", "h5", "h20")
"""A printed record that shows none of these could be anybody's."""
_IDENTIFYING = ("h15", "h9", "h10", "h5", "h7", "h20", "h16")


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    accepted: int = 0
    rejected: int = 0
    unread: int = 0
    """Records that the reports did not name: they stay *checking* and the verdict is asked for
    again."""
    released: int = 0
    unchanged: int = 0
    """Records of which the reports say what was known before."""
    amended: int = 0
    """Rejected records of which the reports name faults that were not known before."""
    findings: tuple[Finding, ...] = ()


def confirm_records(connection: Connection, package_id: int, confirmed_at: datetime) -> None:
    """The gateway took the package; the first time that it took an order is the one that counts."""
    ids = active_records(connection, package_id)
    move_records(connection, ids, RecordState.CHECKING)
    for start in range(0, len(ids), 500):
        connection.execute(
            update(record)
            .where(record.c.id.in_(ids[start : start + 500]), record.c.confirmed_at.is_(None))
            .values(confirmed_at=confirmed_at)
        )


def store_verdict(
    connection: Connection,
    package_id: int,
    raw: bytes,
    reports: Sequence[CheckReport],
    now: datetime,
    poll: timedelta,
) -> VerdictCounts:
    """Move each record that the reports name; keep the raw report.

    What an earlier report decided stands: the same word again changes nothing, further faults of
    a rejected record are added to those known, the opposite word becomes a finding. A package
    that is not with NHI as far as is known stays as it is.
    """
    sent = get_package(connection, package_id)
    if sent.state not in (PackageState.SUBMITTED.value, PackageState.CHECKED.value):
        parameters = (("stem", sent.stem), ("state", sent.state))
        return VerdictCounts(findings=(Finding("report-out-of-turn", parameters=parameters),))
    checked = CheckedIndex(report for report in reports if _is_of(report, sent))
    accepted: list[int] = []
    findings: list[Finding] = []
    refused: list[int] = []
    unread = unchanged = amended = 0
    uploaded = roc_datetime(sent.sealed_at)
    for row in _package_rows(connection, package_id):
        body = json.loads(row.body)
        named = checked.named(_header_of(body, uploaded))
        faults = checked.of_all or errors_among(named)
        said = "rejected" if faults else "accepted" if checked.has_correct(named) else ""
        if row.verdict or row.state != RecordState.CHECKING.value:
            before = row.verdict or row.state
            if said and said != before:
                findings.append(_contradiction(connection, row, sent.stem, said, before))
            elif faults and _names_more(row, faults):
                amended += 1
                item = stamp_upload_time(record_from_json(body), sent.sealed_at)
                findings += _amend(connection, row, item, faults, sent.stem)
            else:
                unchanged += said == before
        elif faults:
            item = stamp_upload_time(record_from_json(body), sent.sealed_at)
            _reject(connection, row, item, faults, now)
            refused.append(row.id)
        elif said:
            accepted.append(row.id)
        else:
            unread += 1
    _accept(connection, accepted, now)
    _note_verdict(connection, package_id, accepted, "accepted")
    _note_verdict(connection, package_id, refused, "rejected")
    if sent.state == PackageState.SUBMITTED.value:
        if unread:
            look_again_at(connection, package_id, now + poll, raw_verdict=raw, error_code="unread")
        else:
            move_package(
                connection,
                package_id,
                PackageState.CHECKED,
                raw_verdict=raw,
                checked_at=now,
                next_at=None,
                error_code="",
            )
    released = release_waiting(connection, [*accepted, *refused])
    return VerdictCounts(
        len(accepted), len(refused), unread, released, unchanged, amended, tuple(findings)
    )


def _header_of(body: Mapping[str, Any], uploaded: str) -> UploadRecord:
    """What a report may print of the stored record's header, and of nothing else."""
    values = {tag: value for tag, (value, _) in body["h"].items()}
    values["h16"] = uploaded
    return UploadRecord(PlacedFields(tuple(values), tuple(values.values()), "record"), ())


def _is_of(report: CheckReport, sent: AnyRow) -> bool:
    """Whether what the report prints of its package is this one's."""
    if report.institution_code and report.institution_code != sent.institution_code:
        return False
    printed, known = report.receipt_number, sent.receipt_number
    # The native library knows a package by ids of another kind than the web's 13 digits.
    alike = len(printed) == len(known) and known.isdigit()
    return not alike or printed == known


def _package_rows(connection: Connection, package_id: int) -> Sequence[AnyRow]:
    """Every record that the package was sealed with, in its order."""
    return connection.execute(
        select(
            record.c.id,
            record.c.body,
            record.c.state,
            record.c.was_accepted,
            record.c.findings,
            record.c.order_code,
            record.c.verdict_code,
            record.c.verdict_fields,
            package_record.c.verdict,
        )
        .join(package_record, package_record.c.record_id == record.c.id)
        .where(package_record.c.package_id == package_id)
        .order_by(package_record.c.position)
    ).all()


def _reject(
    connection: Connection,
    row: AnyRow,
    item: UploadRecord,
    faults: Sequence[CheckedRecord],
    now: datetime,
) -> None:
    kept = [f for f in findings_from_json(row.findings) if f.severity is not Severity.ERROR]
    codes, tags = _named_by(faults)
    move_records(
        connection,
        [row.id],
        RecordState.REJECTED,
        checked_at=now,
        verdict_code=",".join(codes),
        verdict_fields=",".join(tags),
        findings=findings_to_json((*verdict_findings(item, faults), *kept)),
        **({} if row.was_accepted else {"confirmed_at": None}),
    )


def _named_by(faults: Sequence[CheckedRecord]) -> tuple[dict[str, None], dict[str, None]]:
    """The codes and the marked fields, each once, in their order."""
    codes = dict.fromkeys(fault.error_code for fault in faults)
    return codes, dict.fromkeys(tag for fault in faults for tag in fault.flagged)


def _known_faults(row: AnyRow) -> tuple[dict[str, None], dict[str, None]]:
    codes, tags = row.verdict_code.split(","), row.verdict_fields.split(",")
    return dict.fromkeys(filter(None, codes)), dict.fromkeys(filter(None, tags))


def _names_more(row: AnyRow, faults: Sequence[CheckedRecord]) -> bool:
    pairs = zip(_named_by(faults), _known_faults(row), strict=True)
    return any(said.keys() - known.keys() for said, known in pairs)


def _amend(
    connection: Connection,
    row: AnyRow,
    item: UploadRecord,
    faults: Sequence[CheckedRecord],
    stem: str,
) -> tuple[Finding, ...]:
    """Add what a further report names beside the known faults of a rejected record; of one that
    moved on meanwhile a finding tells it."""
    known = findings_from_json(row.findings)
    codes, tags = _named_by(faults)
    known_codes, known_tags = _known_faults(row)
    values = {
        "verdict_code": ",".join(known_codes | codes),
        "verdict_fields": ",".join(known_tags | tags),
    }
    told: tuple[Finding, ...] = ()
    if row.state == RecordState.REJECTED.value:
        added = [each for each in verdict_findings(item, faults) if each not in known]
        errors = [each for each in known if each.severity is Severity.ERROR]
        rest = [each for each in known if each.severity is not Severity.ERROR]
        values["findings"] = findings_to_json((*errors, *added, *rest))
    else:
        parameters = (("stem", stem), ("codes", ", ".join(codes)))
        told = (
            Finding(
                "verdict-adds-faults",
                value=row.order_code,
                severity=Severity.WARNING,
                parameters=parameters,
            ),
        )
        values["findings"] = findings_to_json((*known, *told))
    connection.execute(update(record).where(record.c.id == row.id).values(values))
    return told


def _contradiction(
    connection: Connection, row: AnyRow, stem: str, said: str, before: str
) -> Finding:
    """Noted at the record too, once."""
    finding = Finding(
        "verdict-contradicts",
        value=row.order_code,
        severity=Severity.WARNING,
        parameters=(("stem", stem), ("said", said), ("before", before)),
    )
    known = findings_from_json(row.findings)
    if finding not in known:
        connection.execute(
            update(record)
            .where(record.c.id == row.id)
            .values(findings=findings_to_json((*known, finding)))
        )
    return finding


def _note_verdict(
    connection: Connection, package_id: int, ids: Sequence[int], verdict: str
) -> None:
    for start in range(0, len(ids), 500):
        connection.execute(
            update(package_record)
            .where(
                package_record.c.package_id == package_id,
                package_record.c.record_id.in_(ids[start : start + 500]),
            )
            .values(verdict=verdict)
        )


def _accept(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    move_records(connection, ids, RecordState.ACCEPTED, checked_at=now, was_accepted=True)
    older: set[int] = set()
    for start in range(0, len(ids), 500):
        rows = connection.execute(_OLDER_VERSIONS, {"ids": ids[start : start + 500]})
        older.update(row.id for row in rows if row.state == RecordState.ACCEPTED.value)
    move_records(connection, sorted(older), RecordState.SUPERSEDED)


_newer = record.alias()
# The state is looked at in the rows: asked for here, SQLite would go through all that is accepted.
_OLDER_VERSIONS = (
    select(record.c.id, record.c.state)
    .join(
        _newer,
        (record.c.order_identity == _newer.c.order_identity)
        & (record.c.version < _newer.c.version),
    )
    .where(_newer.c.id.in_(bindparam("ids", expanding=True)), _newer.c.order_identity != "")
)


class CheckedIndex:
    """The reports' records by order code and person, compared by their printed values."""

    def __init__(self, reports: Iterable[CheckReport]) -> None:
        self._by_person: dict[tuple[str, str], list[tuple[int, CheckedRecord]]] = {}
        self._correct: set[int] = set()
        """Those that a report of correct records prints, by identity."""
        self.of_all: list[CheckedRecord] = []
        """Faults of the file as a whole: the reports name no record at all."""
        nameless = []
        place = 0
        # Kept, so that an identity is nobody else's.
        self._reports = tuple(reports)
        for report in self._reports:
            for item in report.records:
                if report.accepted:
                    self._correct.add(id(item))
                if any(item.values.get(tag) for tag in _NAMING):
                    person = (item.values.get("h15", ""), item.values.get("h9", ""))
                    place += 1
                    self._by_person.setdefault(person, []).append((place, item))
                elif item.error_code:
                    nameless.append(item)
        if not self._by_person:
            self.of_all = nameless

    def has_correct(self, named: Iterable[CheckedRecord]) -> bool:
        """Whether a report of correct records is where one of ``named`` stands."""
        return any(not checked.error_code and id(checked) in self._correct for checked in named)

    def named(self, item: UploadRecord) -> list[CheckedRecord]:
        """What the reports print of ``item``, in their order."""
        # A bad order code is printed as it was sent, so it is found under its own text too. What
        # is printed of the person may be cut or left out.
        code, person = item.value("h15"), item.value("h9")
        found = [
            each
            for length in range(len(person) + 1)
            for each in self._by_person.get((code, person[:length]), ())
            if is_about(each[1], item)
        ]
        if len(found) > 1:
            found.sort(key=itemgetter(0))
        return [checked for _, checked in found]


def errors_among(named: Iterable[CheckedRecord]) -> list[CheckedRecord]:
    """Those that name a fault."""
    return [checked for checked in named if checked.error_code]


def is_about(checked: CheckedRecord, item: UploadRecord) -> bool:
    """Whether all that the report prints of the record's key is the record's."""
    return all(
        item.value(tag).startswith(checked.values[tag])
        for tag in _IDENTIFYING
        if checked.values.get(tag)
    )
