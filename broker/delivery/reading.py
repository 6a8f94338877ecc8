"""What is delivered of a report: the word itself, the result as it stands by it, earlier values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from adapters.ports.report_view import ReportView, TrendPoint
from adapters.ports.results import StoredReport, Viewer, Word
from broker.results import ReadResults
from mapping.report import LabReport, Observation, ObservationStatus, ReportStatus

_MOST_REPORTS_BEFORE = 30
_MOST_POINTS = 5
_SETTLED = (ObservationStatus.FINAL, ObservationStatus.CORRECTED)

Merge = Callable[[StoredReport], Sequence[Observation]]
"""All words on a result → its lines as they stand."""


@dataclass(frozen=True, slots=True)
class ReportReading:
    """Reads reports again from their bytes. Calls block."""

    results: ReadResults
    merge: Merge

    def view(
        self, clinic_code: str, receipt_id: int, number: int, *, trends: bool, heading: str = ""
    ) -> ReportView | None:
        """The report as the clinic may see it; None where it is not this clinic's."""
        if not clinic_code:
            return None
        viewer = Viewer("", frozenset({clinic_code}))
        before = _MOST_REPORTS_BEFORE if trends else 0
        result, earlier = self.results.word_of(viewer, receipt_id, number, before)
        if result is None:
            return None
        word = _own(result, receipt_id, number)
        said_before = [each for each in result.words if each is not word]
        lines = tuple(self.merge(result))
        return ReportView(
            report=mark_corrections(word.report, said_before),
            lines=lines,
            lab_code=word.lab_code,
            clinic_code=word.clinic_code,
            stored_at=word.stored_at,
            version=len(result.words),
            heading=heading,
            trends={
                at: points
                for at, line in enumerate(lines)
                if trends and (points := _trend(line, word, self._lines_of(earlier)))
            },
        )

    def word(self, clinic_code: str, receipt_id: int, number: int) -> Word | None:
        """The word alone, where the clinic may see it."""
        if not clinic_code:
            return None
        viewer = Viewer("", frozenset({clinic_code}))
        result, _ = self.results.word_of(viewer, receipt_id, number)
        return None if result is None else _own(result, receipt_id, number)

    def _lines_of(self, results: Sequence[StoredReport]) -> Iterator[tuple[Observation, LabReport]]:
        for result in results:
            if result.words:
                report = result.words[-1].report
                for line in self.merge(result):
                    yield line, report


def _own(result: StoredReport, receipt_id: int, number: int) -> Word:
    mine = (receipt_id, number)
    return next(each for each in result.words if (each.receipt_id, each.number) == mine)


def mark_corrections(report: LabReport, before: Sequence[Word]) -> LabReport:
    """The report with its lines marked as corrected (HL7 table 0085, C) that say something else
    than an earlier word said as final, where the laboratory did not mark them itself."""
    final: dict[tuple[object, ...], tuple[object, ...]] = {}
    for word in before:
        for line in word.report.observations:
            if line.status in _SETTLED:
                final[_item(line)] = _said(line)
    if not final:
        return report
    lines = tuple(
        replace(line, status=ObservationStatus.CORRECTED)
        if line.status is ObservationStatus.FINAL
        and final.get(_item(line), _said(line)) != _said(line)
        else line
        for line in report.observations
    )
    if lines == report.observations:
        return report
    status = ReportStatus.CORRECTED if report.status is ReportStatus.FINAL else report.status
    return replace(report, observations=lines, status=status)


def _item(line: Observation) -> tuple[object, ...]:
    first = next(iter(line.codings), None)
    name = (first.system, first.code or first.display) if first else ()
    return (name, line.sub_id)


def _said(line: Observation) -> tuple[object, ...]:
    reference = line.reference
    return (line.value, line.unit, reference.low, reference.high, reference.text)


def _trend(
    line: Observation, word: Word, earlier: Iterator[tuple[Observation, LabReport]]
) -> tuple[TrendPoint, ...]:
    """Values of the same code and unit: only those may stand in one row."""
    item = _item(line)
    if not item[0]:
        return ()
    points = []
    for other, report in earlier:
        at = other.observed_at or report.specimen.collected_at
        if at is None or not other.value or other.status not in _SETTLED:
            continue
        if _item(other) == item and other.unit == line.unit and "\n" not in other.value:
            points.append(TrendPoint(at, other.value, other.abnormal_flags))
    points.sort(key=lambda point: point.at.at)
    now = line.observed_at or word.report.specimen.collected_at
    if now is not None:
        points = [point for point in points if point.at.at < now.at]
    return tuple(points[-_MOST_POINTS:])
