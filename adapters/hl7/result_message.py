"""One result message (ORU, OUL, MDM) → its LabReports, an OBR at a time.

Places follow HL7 v2.5.1 chapter 7 (OBR 7.4.1, OBX 7.4.2, SPM 7.4.3); where a value has moved
between versions (specimen, order numbers) the newer place is asked first.
"""

from __future__ import annotations

import re
from typing import Final

from adapters.hl7.coded import read_coded_text, read_codings
from adapters.hl7.document import EVENTS, with_document
from adapters.hl7.er7 import Message, Segment
from adapters.hl7.escapes import refused_escapes
from adapters.hl7.grouping import OrderGroup, group_orders
from adapters.hl7.identity import (
    national_form,
    read_clinic_code,
    read_lab_code,
    read_patient,
    read_person_id,
)
from adapters.hl7.observation import ObservationReader
from adapters.hl7.statuses import inherited_status, report_status, status_of_observations
from adapters.hl7.timestamp import parse_moment
from mapping.collection_time import usable
from mapping.finding import Finding, Severity
from mapping.frozen_maker import maker_of
from mapping.moment import Moment, Precision
from mapping.profile import SourceProfile
from mapping.report import (
    Coding,
    LabReport,
    Observation,
    ObservationStatus,
    ParentResult,
    Patient,
    ReportStatus,
    Specimen,
)

_RESULT_TYPES: Final = ("ORU", "OUL")
_DOCUMENT: Final = "MDM"
_CONTROL: Final = re.compile("[\0-\x08\x0c\x0e-\x1b\x1d-\x1f\x7f]")
# Control runs: SPM-11, HL7 table 0369 (blind, calibrator, electronic QC, proficiency, QC …).
_CONTROL_SPECIMENS: Final = frozenset({"B", "C", "E", "F", "O", "Q", "V"})
# Table 0085 letters that senders put in OBR-25 as well: the result was posted in error. Corrected
# lines under them are a correction; anything else is for a person to look at.
_WRONG: Final = frozenset({"W", "D"})
_RESULT_FIELDS: Final = range(2, 9)
_NO_PARENT: Final = ParentResult()
_make_report: Final = maker_of(LabReport)


def message_kind(header: Segment) -> str:
    """MSH-9 as code and event: ``ORU^R01``."""
    return "^".join(part for part in (header.text(9), header.text(9, 2)) if part)


class ResultMessageReader:
    """Reads one message; ``findings`` collects what could not be used. ``suspect`` says that the
    payload may hold control characters, so that each field is looked at."""

    def __init__(
        self, message: Message, profile: SourceProfile, findings: list[Finding], suspect: bool
    ) -> None:
        self._message = message
        self._header = message.segments[0]
        self._profile = profile
        self._findings = findings
        self._unusable = self._refuse_control_characters() if suspect else frozenset()
        self._refused = frozenset(message.refused_lines)
        self._told: set[Segment] = set()
        if self._refused:
            self._unusable |= {each.place() for each in self._refused if each.name == "OBX"}
        self._observations = ObservationReader(message, findings, profile.hl7)
        self._patients: dict[int, Patient] = {}

    def read(self) -> tuple[list[LabReport], bool]:
        """The reports, and whether any run was quality control."""
        header = self._header
        for place in self._message.stray_lines:
            self._report("hl7-stray-line", place)
        if not self._holds_results():
            kind = message_kind(header) or "?"
            self._findings.append(
                Finding(
                    "hl7-not-a-result",
                    place=header.place(9),
                    severity=Severity.INFORMATION,
                    parameters=(("kind", kind),),
                )
            )
            return [], False
        if header.text(11).strip() == "Q" or header.text(16).strip() in ("1", "2"):
            self._leave_out(header, 11 if header.text(11).strip() == "Q" else 16)
            return [], True
        processing = header.text(11).strip()
        if processing in ("T", "D"):
            self._report("hl7-not-production", header.place(11), processing)
        groups = group_orders(self._message)
        if not groups:
            self._report("hl7-no-result", header.place(), severity=Severity.INFORMATION)
        reports = []
        controls = 0
        for group in groups:
            if group.spm is not None and group.spm.text(11).strip() in _CONTROL_SPECIMENS:
                controls += 1
                self._leave_out(group.spm, 11)
            else:
                reports.append(self._read_group(group))
        if header.text(9).strip().upper() == _DOCUMENT:
            reports = with_document(self._message, reports, self._findings)
        for segment in self._message.refused_lines:
            if segment not in self._told:
                self._report("hl7-text-left-out", segment.place(), severity=Severity.ERROR)
        return reports, controls > 0

    def _leave_out(self, segment: Segment, number: int) -> None:
        place = segment.place(number)
        self._report("hl7-control-specimen", place, severity=Severity.INFORMATION)

    def _holds_results(self) -> bool:
        kind = self._header.text(9).strip().upper()
        if kind[:3] in _RESULT_TYPES:
            return True
        if kind == _DOCUMENT and self._header.text(9, 2).strip().upper() in EVENTS:
            return True
        if kind or self._message.first("OBX") is None or self._message.first("OBR") is None:
            return False
        self._report("hl7-no-message-type", self._header.place(9))
        return True

    def _read_group(self, group: OrderGroup) -> LabReport:
        obr, spm, person = group.obr, group.spm, group.person
        # A group without OBR is named by its first line.
        place = (obr or group.lines[0].segments[0]).place()
        order = group.orc or group.order_context
        segments: dict[str, Segment | None] = {
            "MSH": self._header,
            "PID": person.pid,
            "PV1": person.pv1,
            "ORC": order,
            "OBR": obr,
            "SPM": spm,
            "OBX": group.lines[0].segments[0] if group.lines else None,
        }
        if person.pid is None:
            self._report("hl7-no-patient", self._header.place(), severity=Severity.ERROR)
        patient = self._patients.get(id(person))
        if patient is None:
            patient = read_patient(self._message, segments, self._profile, self._findings)
            self._patients[id(person)] = patient
        if patient.birth_on is None and person.pid is not None and person.pid.text(7).strip():
            self._hold("hl7-time-needed", person.pid, place, 7, person.pid.text(7))
        if self._refused:
            self._tell_refused(group, segments, place)
        specimen = self._specimen(obr, spm, place)
        if obr is None:
            self._report("hl7-no-obr", place)
        declared, inherited = self._statuses(obr)
        self._observations.report_place = place
        self._observations.is_collected = specimen.collected_at is not None
        attachments = self._observations.attachments = []
        observations = self._read_lines(group, inherited, patient.sex)
        if obr is not None and not observations and declared is not ReportStatus.CANCELLED:
            self._report("hl7-no-observation", obr.place())
        return _make_report(
            patient=patient,
            service=self._codings(obr, 4),
            observations=observations,
            status=declared or self._status_by_lines(obr, observations),
            lab_code=read_lab_code(segments, self._profile),
            clinic_code=read_clinic_code(segments, self._profile),
            placer_order_number=_first_text((obr, 2), (group.orc, 2)),
            filler_order_number=_first_text((obr, 3), (group.orc, 3)),
            accession_number=_accession(spm),
            specimen=specimen,
            ordered_at=self._moment((obr, 6)) or self._entered_at(group),
            reported_at=self._moment((obr, 22)),
            ordering_provider_id=(
                read_person_id(self._message, obr, 16) or read_person_id(self._message, order, 12)
            ),
            reporting_physician_id=(
                national_form(obr.text(32, 1, 1)) if obr is not None and obr.raw(32) else ""
            ),
            notes=(*person.notes, *group.notes),
            place=place,
            attachments=tuple(attachments),
            parent=self._parent(obr),
        )

    def _read_lines(
        self, group: OrderGroup, inherited: ObservationStatus, sex: str
    ) -> tuple[Observation, ...]:
        reader, unusable = self._observations, self._unusable
        if not unusable:
            found = [reader.read(line, inherited, sex) for line in group.lines]
        else:
            found = [
                reader.read_unusable(line)
                if any(segment.place() in unusable for segment in line.segments)
                else reader.read(line, inherited, sex)
                for line in group.lines
            ]
        return tuple(item for item in found if item is not None)

    def _statuses(self, obr: Segment | None) -> tuple[ReportStatus | None, ObservationStatus]:
        """OBR-25 and what an OBX without a status of its own has by it. A letter outside the
        table is not final, unless the dialect says that this source has no OBX statuses."""
        letter = obr.text(25).strip().upper() if obr is not None else ""
        status = report_status(letter)
        if status is None and letter and obr is not None:
            self._report("hl7-status", obr.place(25), letter)
            if letter in _WRONG:
                return None, ObservationStatus.WITHDRAWN
            if self._profile.hl7.status_from_obx_11:
                return None, ObservationStatus.PRELIMINARY
        return status, inherited_status(status)

    def _status_by_lines(
        self, obr: Segment | None, observations: tuple[Observation, ...]
    ) -> ReportStatus:
        status = status_of_observations([item.status for item in observations])
        wrong = obr is not None and obr.text(25).strip().upper() in _WRONG
        return ReportStatus.CANCELLED if wrong and status is ReportStatus.FINAL else status

    def _parent(self, obr: Segment | None) -> ParentResult | None:
        """OBR-26 and OBR-29 (sections 7.4.1.26, 7.4.1.29): the culture to a susceptibility."""
        if obr is None or not (obr.raw(26) or obr.raw(29)):
            return None
        message = self._message
        # The line's code is a coded element one level down: its parts are subcomponents.
        code, name, system = (obr.text(26, 1, at).strip() for at in (1, 2, 3))
        found = ParentResult(
            placer_order_number=obr.text(29, 1).strip(),
            filler_order_number=obr.text(29, 2).strip(),
            codings=(Coding(code, name, system),) if code or name else (),
            sub_id=obr.text(26, 2).strip(),
            value=message.part(obr.raw(26), 3).strip(),
        )
        return found if found != _NO_PARENT else None

    def _codings(self, segment: Segment | None, number: int) -> tuple[Coding, ...]:
        if segment is None:
            return ()
        return read_codings(segment.raw(number), self._message.delimiters, self._message.charset)

    def _specimen(self, obr: Segment | None, spm: Segment | None, place: str) -> Specimen:
        kind = ""
        if spm is not None:
            kind = read_coded_text(spm.raw(4), self._message.delimiters, self._message.charset)
        if not kind and obr is not None:
            kind = obr.text(15, 1, 2).strip() or obr.text(15, 1, 1).strip()
        return Specimen(
            kind=kind,
            collected_at=self._collected_at(obr, spm, place),
            received_at=self._moment((spm, 18), (obr, 14)),
        )

    def _collected_at(self, obr: Segment | None, spm: Segment | None, place: str) -> Moment | None:
        """SPM-17, else OBR-7. What is given and cannot be read holds the report, unless the other
        place tells the time: the time of the card must not go out in its stead."""
        unread: list[tuple[Segment, int, str]] = []
        found: Moment | None = None
        for segment, number in ((spm, 17), (obr, 7)):
            if segment is None or not segment.raw(number):
                continue
            text = segment.text(number)
            found = usable(parse_moment(text))
            if found is not None:
                break
            if text.strip():
                unread.append((segment, number, text))
        for segment, number, text in unread:
            if found is None:
                self._hold("hl7-time-needed", segment, place, number, text)
            else:
                self._report("hl7-time", segment.place(number), text)
        return found

    def _entered_at(self, group: OrderGroup) -> Moment | None:
        """ORC-9 is when this transaction was entered: an order time only if the specimen had
        not been taken yet."""
        entered = self._moment((group.orc, 9))
        collected = parse_moment(group.obr.text(7)) if group.obr is not None else None
        if entered is None or collected is None:
            return None
        if Precision.DAY in (entered.precision, collected.precision):
            return entered if entered.day <= collected.day else None
        return entered if entered.at <= collected.at else None

    def _moment(self, *places: tuple[Segment | None, int]) -> Moment | None:
        for segment, number in places:
            if segment is None or not segment.raw(number):
                continue
            text = segment.text(number)
            moment = parse_moment(text)
            if moment is not None:
                return moment
            if text.strip():
                self._report("hl7-time", segment.place(number), text)
        return None

    def _refuse_control_characters(self) -> frozenset[str]:
        r"""Report fields with control characters, bare or as ``\X..\``; name the OBX that are
        not used because of them."""
        message = self._message
        unusable = set()
        for segment in message.segments:
            for number, value in enumerate(segment.fields):
                if _CONTROL.search(value) or refused_escapes(
                    value, message.delimiters, message.charset
                ):
                    place = segment.place(number)
                    self._report("hl7-control-character", place, severity=Severity.ERROR)
                    if segment.name == "OBX" and number in _RESULT_FIELDS:
                        unusable.add(segment.place())
        return frozenset(unusable)

    def _tell_refused(
        self, group: OrderGroup, segments: dict[str, Segment | None], place: str
    ) -> None:
        """Each segment of the report behind which text was left out."""
        named = [segment for name, segment in segments.items() if segment and name != "OBX"]
        lines = [segment for line in group.lines for segment in line.segments]
        for segment in (*named, *lines, *group.damaged, *group.person.damaged):
            if segment in self._refused:
                self._told.add(segment)
                self._hold("hl7-text-left-out", segment, place)

    def _hold(
        self, code: str, segment: Segment, report_place: str, number: int = 0, value: str = ""
    ) -> None:
        """An error of one report: its place begins with that of the report."""
        place = segment.place_in(report_place, number)
        self._findings.append(Finding(code, "", place, value, Severity.ERROR))

    def _report(
        self, code: str, place: str, value: str = "", severity: Severity = Severity.WARNING
    ) -> None:
        self._findings.append(Finding(code, "", place, value, severity))


def _first_text(*places: tuple[Segment | None, int]) -> str:
    for segment, number in places:
        text = segment.text(number).strip() if segment is not None else ""
        if text:
            return text
    return ""


def _accession(spm: Segment | None) -> str:
    """The laboratory's number of the specimen: SPM-30, SPM-2.2 (filler), SPM-2.1."""
    if spm is None:
        return ""
    found = (spm.text(30), spm.text(2, 2), spm.text(2, 1))
    return next((text.strip() for text in found if text.strip()), "")
