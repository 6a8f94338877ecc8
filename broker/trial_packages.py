"""Packages from drafts alone, into a folder: for trying a laboratory's files out, never for NHI.

The same drafting, last gate, writer and reading back as the service, without its store: nothing is
remembered, nothing is sent, and no file that is there is written over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

from broker.drafting import Draft
from broker.packages import last_gate, write_writable
from broker.states import HeldReason
from mapping.body_parts import with_known_body_parts
from mapping.convert import stamp_upload_time
from mapping.errors import LabbrokerError
from mapping.finding import Finding
from mapping.merge import merge_order, withdrawn_numbers
from mapping.moment import TAIPEI
from mapping.package_name import LAST_SERIAL, PackageName, package_stem, parse_stem
from mapping.record import UploadRecord, correction_key
from mapping.rules import NO_LISTS, ImportedLists
from mapping.visit import Visit


class FolderFull(LabbrokerError):
    code = "folder-full"
    en = (
        "{folder} holds all {last} file serials of institution {institution} for this day.",
        "Name another folder with --out, or move its packages away.",
    )
    zh = (
        "{folder} 內機構 {institution} 當日的 {last} 個流水號皆已使用。",
        "請以 --out 指定其他資料夾，或移走其中的上傳檔。",
    )


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A drafted result and the file that it came from."""

    file: str
    draft: Draft

    @property
    def record(self) -> UploadRecord:
        """The record of a draft that is ready."""
        if self.draft.record is None:
            raise ValueError("a draft that is held has no record to send")
        return self.draft.record


@dataclass(frozen=True, slots=True)
class HeldResult:
    """A result that no package holds, and why."""

    result: TrialResult
    reason: HeldReason
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class TrialPackage:
    """A package that was written, read back and found to be what was meant."""

    path: Path
    name: PackageName
    sha256: str
    results: tuple[TrialResult, ...]


class VisitIndex:
    """Visits by clinic and person; one card event told twice is one visit."""

    def __init__(self) -> None:
        self._visits: dict[tuple[str, str], list[Visit]] = {}

    def add(self, visits: Iterable[Visit]) -> None:
        """Take visits; for the orders that it names, the later telling goes before the earlier."""
        for visit in visits:
            known = self._visits.setdefault((visit.institution_code, visit.national_id), [])
            for index, earlier in enumerate(known):
                if _event(earlier) == _event(visit):
                    known[index] = _completed(earlier, visit)
                    break
            else:
                known.append(visit)

    def __len__(self) -> int:
        return sum(map(len, self._visits.values()))

    def visits_of(self, clinic_code: str, national_id: str) -> Sequence[tuple[int, Visit]]:
        """A person's visits at a clinic, numbered, oldest first."""
        visits = self._visits.get((clinic_code, national_id), [])
        return list(enumerate(sorted(visits, key=lambda visit: visit.card_at)))


def seal_into(
    folder: Path,
    results: Iterable[TrialResult],
    now: datetime,
    max_records: int,
    max_bytes: int,
    lists: ImportedLists = NO_LISTS,
) -> tuple[list[TrialPackage], list[HeldResult]]:
    """Seal what is ready into ``folder``, by uploader, earliest due first.

    ``now`` is aware; its Taipei day is the upload date. Serials go on from the highest that
    ``folder`` has for the institution and day. Raises :class:`FolderFull` and ``OSError``.
    """
    packages: list[TrialPackage] = []
    held: list[HeldResult] = []
    ready: dict[str, list[TrialResult]] = {}
    for result in _merged(results):
        if result.draft.held_reason is None:
            ready.setdefault(result.draft.uploader_code, []).append(result)
        else:
            held.append(HeldResult(result, result.draft.held_reason, result.draft.findings))
    for institution_code, waiting in sorted(ready.items()):
        waiting.sort(key=lambda result: result.draft.due_at or now)
        while waiting:
            part = waiting[:max_records]
            package, refused, taken = _seal(folder, institution_code, part, now, max_bytes, lists)
            packages += [package] if package else []
            held += refused
            del waiting[:taken]
    return packages, held


def _seal(
    folder: Path,
    institution_code: str,
    part: list[TrialResult],
    now: datetime,
    max_bytes: int,
    lists: ImportedLists,
) -> tuple[TrialPackage | None, list[HeldResult], int]:
    upload_on = now.astimezone(TAIPEI).date()
    path = _reserved(folder, institution_code, upload_on)
    stem = path.stem
    try:
        refused, taken = last_gate(_stamped(part, now=now), stem, upload_on, max_bytes, lists)
        left_out = [(part[index - 1], tuple(found)) for index, found in refused.items()]
        sealed = [each for index, each in enumerate(part[:taken], 1) if index not in refused]
        digest, unwritable = write_writable(path, stem, sealed, partial(_stamped, now=now))
    except BaseException:
        path.unlink(missing_ok=True)
        path.with_suffix(".part").unlink(missing_ok=True)
        raise
    held = [
        HeldResult(result, HeldReason.INVALID, found) for result, found in left_out + unwritable
    ]
    if not digest:
        path.unlink()
        path.with_suffix(".part").unlink(missing_ok=True)
        return None, held, taken
    return TrialPackage(path, parse_stem(stem), digest, tuple(sealed)), held, taken


def _stamped(part: Sequence[TrialResult], now: datetime) -> Iterator[UploadRecord]:
    for result in part:
        yield stamp_upload_time(result.record, now)


def _reserved(folder: Path, institution_code: str, upload_on: date) -> Path:
    """The next free name in ``folder``, taken by an empty file so that nobody else takes it."""
    serials = [
        name.serial
        for entry in folder.iterdir()
        if (name := _name_of(entry)) is not None
        and (name.institution_code, name.upload_on) == (institution_code, upload_on)
    ]
    for serial in range(max(serials, default=0) + 1, LAST_SERIAL + 1):
        path = folder / f"{package_stem(institution_code, upload_on, serial)}.zip"
        try:
            path.open("xb").close()
        except FileExistsError:
            continue
        return path
    raise FolderFull(folder=folder, last=LAST_SERIAL, institution=institution_code)


def _name_of(entry: Path) -> PackageName | None:
    try:
        return parse_stem(entry.stem.upper())
    except ValueError:
        return None


def _merged(results: Iterable[TrialResult]) -> list[TrialResult]:
    """Versions of one order as one result: the later one completes and corrects the earlier."""
    merged: list[TrialResult] = []
    places: dict[tuple[str, ...], int] = {}
    for result in results:
        draft = result.draft
        if draft.held_reason is not None or draft.record is None:
            merged.append(result)
            continue
        index = places.setdefault(correction_key(draft.record), len(merged))
        if index == len(merged):
            merged.append(result)
            continue
        earlier = merged[index].record
        withdrawn = withdrawn_numbers(earlier, draft.order) if draft.order else ()
        record = merge_order(earlier, draft.record, withdrawn)
        merged[index] = replace(result, draft=replace(draft, record=record))
    return merged


def _event(visit: Visit) -> tuple[object, ...]:
    return (
        visit.birth_on,
        visit.card_at,
        visit.visit_type,
        visit.visit_serial,
        visit.newborn_birth_on,
        visit.newborn_mark,
    )


def _completed(earlier: Visit, later: Visit) -> Visit:
    orders = with_known_body_parts(later.orders, earlier.orders)
    named = {(order.order_code, order.placer_order_number) for order in orders}
    kept = (
        order
        for order in earlier.orders
        if (order.order_code, order.placer_order_number) not in named
    )
    cancelled = earlier.cancelled or later.cancelled
    return replace(later, orders=(*kept, *orders), cancelled=cancelled)
