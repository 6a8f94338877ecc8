"""The results that came in, for the doors: found in the index, read again from their bytes."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine

from adapters.ports.intake import Media
from adapters.ports.results import ResultQuery, StoredReport, Viewer, Word
from broker.logs import log_event
from broker.store.reading import open_reading
from broker.store.results import (
    find_reports,
    receipt_bytes,
    reports_before,
    reports_of_receipt,
    words_on,
)
from broker.store.rows import AnyRow
from mapping.errors import UnreadablePayload
from mapping.parsed import Reader
from mapping.profile import SourceProfile
from mapping.report import LabReport

_log = logging.getLogger(__name__)
# A page of a file with thousands of reports must not read the file once for each of them.
_RECEIPTS_KEPT = 8


class ReadResults:
    """Implements :class:`adapters.ports.results.ResultStore`."""

    def __init__(
        self,
        engine: Engine,
        readers: Mapping[Media, Reader],
        profiles: Mapping[str, SourceProfile],
    ) -> None:
        self._engine = engine
        self._readers = readers
        self._profiles = profiles
        self._read: OrderedDict[int, tuple[LabReport, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def search(self, viewer: Viewer, query: ResultQuery) -> tuple[StoredReport, ...]:
        """At most ``query.count`` results by their cursor."""
        with open_reading(self._engine, _reach(viewer)) as connection:
            rows = find_reports(connection, viewer, query)
            return tuple(self._result(connection, viewer, row) for row in rows)

    def of_receipt(self, viewer: Viewer, receipt_id: int) -> tuple[StoredReport, ...]:
        """What is known today of the reports that a receipt spoke of."""
        with open_reading(self._engine, _reach(viewer)) as connection:
            rows = reports_of_receipt(connection, viewer, receipt_id)
            return tuple(self._result(connection, viewer, row) for row in rows)

    def word_of(
        self, viewer: Viewer, receipt_id: int, number: int, most_before: int = 0
    ) -> tuple[StoredReport | None, tuple[StoredReport, ...]]:
        """One report of a receipt with the words on its result up to it, and at most
        ``most_before`` other results of the same person that were told before, newest first."""
        with open_reading(self._engine, _reach(viewer)) as connection:
            for row in reports_of_receipt(connection, viewer, receipt_id):
                if row.number == number:
                    break
            else:
                return None, ()
            result = self._result(connection, viewer, row)
            words = tuple(
                word
                for word in result.words
                if (word.receipt_id, word.number) <= (receipt_id, number)
            )
            if not any((word.receipt_id, word.number) == (receipt_id, number) for word in words):
                return None, ()
            before = reports_before(connection, viewer, row, most_before) if most_before else ()
            earlier = tuple(self._result(connection, viewer, each) for each in before)
        return StoredReport(result.cursor, words), earlier

    def _result(self, connection: Connection, viewer: Viewer, row: AnyRow) -> StoredReport:
        words = []
        for each in words_on(connection, viewer, row):
            reports = self._reports(connection, each.receipt_id)
            if each.number > len(reports):
                continue
            report = reports[each.number - 1]
            words.append(
                Word(
                    each.receipt_id,
                    each.number,
                    each.stored_at,
                    report,
                    each.lab_code,
                    each.clinic_code,
                )
            )
        return StoredReport(row.id, tuple(sorted(words, key=_when_said)))

    def _reports(self, connection: Connection, receipt_id: int) -> Sequence[LabReport]:
        with self._lock:
            if receipt_id in self._read:
                self._read.move_to_end(receipt_id)
                return self._read[receipt_id]
        row = receipt_bytes(connection, receipt_id)
        profile = self._profiles.get(row.source_id) or SourceProfile(source_id=row.source_id)
        try:
            reports = self._readers[Media(row.media)](row.raw, profile).reports
        except UnreadablePayload:
            # Read once, and not any more: its settings have changed, and a person is told of it
            # when the receipt is replayed.
            reports = ()
        except Exception as error:  # noqa: BLE001 - one result must not hide all others
            log_event(_log, "results.fault", receipt_id=receipt_id, error=error)
            reports = ()
        with self._lock:
            self._read[receipt_id] = reports
            while len(self._read) > _RECEIPTS_KEPT:
                self._read.popitem(last=False)
        return reports


def _reach(viewer: Viewer) -> frozenset[str]:
    return viewer.clinics or frozenset({viewer.source_id})


def _when_said(word: Word) -> tuple[float, int]:
    """An older word that comes late stays the older one."""
    said = word.report.reported_at
    return (said.at if said else word.stored_at).timestamp(), word.receipt_id
