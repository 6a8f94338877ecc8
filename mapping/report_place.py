"""Which report a finding of a reader is about: places grow from the report's place onward.

``LabReport.place`` is ``OBR[2]``, ``MSH[2]/OBR[1]``, ``Bundle.entry[0].resource``, ``rows 2-13``. A
finding that must hold the report has that place, or one that goes on with ``-`` (a field), ``/`` (a
segment beside it) or ``.`` (an element): ``OBR[2]-7``, ``OBR[2]/PID[1]-7``. The mark matters:
``row 2`` is not where ``row 25`` is.
"""

from __future__ import annotations

from collections.abc import Iterator

_MARKS = "-/."


def is_about(finding_place: str, report_place: str) -> bool:
    """Whether a finding at ``finding_place`` is about the report at ``report_place``."""
    if not report_place or not finding_place.startswith(report_place):
        return False
    return finding_place[len(report_place) :][:1] in ("", *_MARKS)


def places_within(finding_place: str) -> Iterator[str]:
    """Every place whose report a finding at ``finding_place`` is about, for look-ups."""
    for at, character in enumerate(finding_place):
        if at and character in _MARKS:
            yield finding_place[:at]
    if finding_place:
        yield finding_place
