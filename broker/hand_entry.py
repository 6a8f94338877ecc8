"""A result that came on paper, written as a file of the laboratory's source, with our own column
names: it then goes the same way as any other."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from broker.access.person import Person
from broker.access.roles import Role
from broker.store.open_orders import Remembered
from mapping.catalogue.tables import report_items
from mapping.moment import TAIPEI
from mapping.profile import SourceProfile

MOST_ROWS = 40
_ORDER_CODE = re.compile("[0-9A-Za-z]{1,12}")
_CLINIC_CODE = re.compile("[0-9A-Z]{10}")
_NATIONAL_ID = re.compile("[0-9A-Z]{10}")
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COLUMNS = (
    "national_id",
    "birth_on",
    "clinic_code",
    "accession_number",
    "order_code",
    "item_name",
    "value",
    "unit",
    "method",
    "reference",
    "flag",
    "specimen",
    "collected_at",
    "received_at",
    "reported_at",
)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One line of the form; ``remembered`` says that unit, method and range are of the last one."""

    item: str
    unit: str = ""
    method: str = ""
    reference: str = ""
    value: str = ""
    flag: str = ""
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class EntrySubject:
    """Whose result it is, and who ordered it: of a visit, or as a person says where there is none
    yet."""

    national_id: str
    birth_on: date
    institution_code: str


class EntryWrong(Exception):
    """``name`` is the text that says what is missing: ``value_needed``, ``item_needed``,
    ``time_needed``, ``source_needed``, ``order_needed``, ``clinic_needed``, ``patient_needed``,
    ``birth_needed``."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def entry_csv(
    subject: EntrySubject,
    code: str,
    form: Mapping[str, str],
    rows: Sequence[EntryRow],
    now: datetime,
) -> bytes:
    """The result as a file. ``form`` has ``specimen``, ``collected_at``, ``reported_at`` and
    ``received_at`` (now where it is empty): ISO 8601, of Taipei where no offset is said.

    Raises :class:`EntryWrong`.
    """
    given = [row for row in rows if row.value]
    if not given:
        raise EntryWrong("value_needed")
    if any(not row.item for row in given):
        raise EntryWrong("item_needed")
    times = {name: _time(form.get(name, "")) for name in ("collected_at", "reported_at")}
    given_at = form.get("received_at", "")
    received = _time(given_at) if given_at else now.astimezone(TAIPEI)
    if None in (*times.values(), received):
        raise EntryWrong("time_needed")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    number = f"P{now.astimezone(TAIPEI):%y%m%d%H%M%S%f}"
    for row in given:
        writer.writerow(
            (
                subject.national_id,
                subject.birth_on.isoformat(),
                subject.institution_code,
                number,
                code,
                row.item,
                row.value,
                row.unit,
                row.method,
                row.reference,
                row.flag,
                form.get("specimen", ""),
                *(
                    at.strftime("%Y-%m-%d %H:%M") if at else ""
                    for at in (times["collected_at"], received, times["reported_at"])
                ),
            )
        )
    return out.getvalue().encode()


def entry_sources(profiles: Mapping[str, SourceProfile], person: Person) -> list[str]:
    """Sources in whose name the person may enter a result: those whose files have our own
    columns, since others could not be read; of a laboratory's people their own."""
    return [
        name
        for name, profile in sorted(profiles.items())
        if profile.lab_code
        and profile.file is None
        and not profile.csv.columns
        and (person.role is not Role.LAB or person.sees(name) or person.sees(profile.lab_code))
    ]


def may_enter_for(person: Person, institution_code: str) -> bool:
    """Whether the person may enter a result that this clinic ordered where no visit of it says so:
    its own people, or a laboratory's in the name of its own source, whose files may say it too."""
    return person.role is Role.LAB or person.sees(institution_code)


def order_said(code: str) -> str:
    """``code``. Raises :class:`EntryWrong` where it cannot be an order code."""
    if not _ORDER_CODE.fullmatch(code):
        raise EntryWrong("order_needed")
    return code


def subject_said(form: Mapping[str, str], person: Person) -> EntrySubject:
    """Whose result it is, in the words of ``form``: ``clinic_code``, ``national_id``,
    ``birth_on`` (ISO 8601). A clinic that is not the person's is told as one that is none.

    Raises :class:`EntryWrong`.
    """
    clinic = form.get("clinic_code", "")
    if not _CLINIC_CODE.fullmatch(clinic) or not may_enter_for(person, clinic):
        raise EntryWrong("clinic_needed")
    national_id = form.get("national_id", "").upper()
    if not _NATIONAL_ID.fullmatch(national_id):
        raise EntryWrong("patient_needed")
    born = form.get("birth_on", "")
    if not _DAY.fullmatch(born):
        raise EntryWrong("birth_needed")
    try:
        return EntrySubject(national_id, date.fromisoformat(born), clinic)
    except ValueError:
        raise EntryWrong("birth_needed") from None


def require_source(name: str, profiles: Mapping[str, SourceProfile], person: Person) -> str:
    """``name``. Raises :class:`EntryWrong` where it is none of :func:`entry_sources`."""
    if name not in entry_sources(profiles, person):
        raise EntryWrong("source_needed")
    return name


def entry_rows(code: str, known: Remembered | None) -> list[EntryRow]:
    """The official rows of the order, else those of the last record, else an empty one; each with
    what was said last."""
    rows = known.record.rows if known else ()
    by_name = {row["r2"].value: row for row in rows if "r2" in row}
    by_number = {row["r1"].value: row for row in rows if "r1" in row}
    official = {item.name: item for item in report_items(code)}
    names = list(official) or list(by_name) or [""]
    found = []
    for name in names[:MOST_ROWS]:
        item = official.get(name)
        row = by_name.get(name) or (by_number.get(str(item.number)) if item else None)
        unit = item.units[0] if item and len(item.units) == 1 else ""

        def said(tag: str, row: Any = row) -> str:
            return row[tag].value if row is not None and tag in row else ""

        low, high = said("r6-1"), said("r6-2")
        reference = f"{low}-{high}" if low and high else low
        found.append(
            EntryRow(
                item=name,
                unit=said("r5") or unit,
                method=said("r3"),
                reference=reference,
                remembered=row is not None,
            )
        )
    return found


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=TAIPEI) if at.tzinfo is None else at.astimezone(TAIPEI)
    except (ValueError, OverflowError):
        return None
