"""OBX → Observation: the value as text by its type, unit, range, flags, status, times.

HL7 v2.5.1 section 7.4.2. Values are never reformatted: types without components (NM, ST, TX …)
give their whole field, so that an unescaped ``3~5`` or ``10^3`` stays what the lab wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from adapters.hl7.attachment import ENCAPSULATED, read_attachment
from adapters.hl7.coded import read_coded_text, read_codings, read_unit
from adapters.hl7.er7 import Message, Segment
from adapters.hl7.escapes import Delimiters, unescape
from adapters.hl7.grouping import ResultLine
from adapters.hl7.identity import national_form
from adapters.hl7.statuses import observation_status
from adapters.hl7.timestamp import parse_moment
from mapping.collection_time import usable
from mapping.finding import Finding, Severity
from mapping.frozen_maker import maker_of
from mapping.moment import Moment
from mapping.profile import Hl7Dialect
from mapping.reference_range import parse_reference_range
from mapping.report import Attachment, Coding, Observation, ObservationStatus, ReferenceRange
from mapping.values import parse_quantity

_LONGEST_REMEMBERED: Final = 256
_MOST_REMEMBERED: Final = 4096
_USUAL_DIALECT: Final = Hl7Dialect()
# What analysers print where they have no result: ****, ***.**, ----.
_SIGNS: Final = "*.-_#=/ "
_make_observation: Final = maker_of(Observation)

_NULL: Final = '""'
_NO_RANGE: Final = ReferenceRange()
_LONGEST_RANGE: Final = 200
_LONGEST_PLAIN_RANGE: Final = 40

_WHOLE: Final = frozenset({"NM", "ST", "", "IS", "ID", "SI", "DT", "TM", "GTS"})
_TEXT: Final = frozenset({"TX", "FT"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF"})
_FIRST_COMPONENT: Final = frozenset({"TS", "DTM", "CQ"})
_PERSONS_AND_PLACES: Final = frozenset(
    {"AD", "CK", "CN", "CP", "CX", "DR", "EI", "MO", "NA", "MA", "PN", "TN", "XAD", "XCN",
     "XON", "XPN", "XTN", "NR", "HD", "PL"}
)  # fmt: skip


class _Said(NamedTuple):
    """What a laboratory says of an item in the same words all year."""

    codings: tuple[Coding, ...]
    unit: str
    reference: ReferenceRange
    flags: tuple[str, ...]
    method: str


@lru_cache(maxsize=64)
def _said_by(delimiters: Delimiters, charset: str, sex: str) -> dict[tuple[str, ...], _Said]:
    """What was read before: the same words are the same for one notation and sex."""
    return {}


def _read_said(key: tuple[str, ...], sex: str, delimiters: Delimiters, charset: str) -> _Said:
    code, unit, reference, flags, method = key
    return _Said(
        read_codings(code, delimiters, charset),
        read_unit(unit, delimiters, charset) if unit else "",
        _read_range(reference, sex, delimiters, charset) if reference else _NO_RANGE,
        _read_flags(flags, delimiters, charset) if flags else (),
        read_coded_text(method, delimiters, charset) if method else "",
    )


def _read_range(raw: str, sex: str, delimiters: Delimiters, charset: str) -> ReferenceRange:
    first = raw.partition(delimiters.component)[0] or raw
    text = unescape(first, delimiters, charset)
    if text == _NULL or not text.strip():
        return _NO_RANGE
    if len(text) > _LONGEST_RANGE:
        return ReferenceRange(text=text.strip(), raw=text)
    return parse_reference_range(text, sex)


def _read_flags(raw: str, delimiters: Delimiters, charset: str) -> tuple[str, ...]:
    if raw.isalnum():
        return (raw,)
    notation = Message(delimiters, charset)
    flags = (notation.part(item, 1).strip() for item in raw.split(delimiters.repetition))
    return tuple(flag for flag in flags if flag)


class ObservationReader:
    """Reads the OBX of one message; ``findings`` collects what could not be used.

    ``report_place`` leads the places of findings that must hold the report; ``is_collected`` says
    that its specimen has a collection time; ``attachments`` gathers its documents. All are set for
    each report before its lines are read.
    """

    __slots__ = (
        "_charset",
        "_delimiters",
        "_findings",
        "_item_in_obx_4",
        "_message",
        "_moments",
        "_said",
        "_sex",
        "_status_in_obx_11",
        "attachments",
        "is_collected",
        "report_place",
    )

    def __init__(
        self, message: Message, findings: list[Finding], dialect: Hl7Dialect = _USUAL_DIALECT
    ) -> None:
        self._message = message
        self._delimiters = message.delimiters
        self._charset = message.charset
        self._findings = findings
        self._status_in_obx_11 = dialect.status_from_obx_11
        self._item_in_obx_4 = dialect.item_in_obx_4
        self._said: dict[tuple[str, ...], _Said] = {}
        self._sex: str | None = None
        self._moments: dict[str, Moment | None] = {}
        self.attachments: list[Attachment] = []
        self.report_place = ""
        self.is_collected = False

    def read(self, line: ResultLine, inherited: ObservationStatus, sex: str) -> Observation | None:
        """The observation of one result line; ``None`` where it has no code or is a document. A
        number that text was put behind is no value: see :meth:`read_unusable`.

        ``inherited`` is the status of an OBX that has none; ``sex`` chooses among ranges.
        """
        obx = line.segments[0]
        fields = obx.fields
        if len(fields) < 24:
            fields = fields + [""] * (24 - len(fields))
        delimiters = self._delimiters
        charset = self._charset
        value_type = fields[2]
        if value_type not in _WHOLE:
            value_type = obx.text(2).strip().upper()
            if value_type in ENCAPSULATED:
                self._attach(obx, value_type)
                return None
        if sex != self._sex:
            self._sex, self._said = sex, _said_by(delimiters, charset, sex)
        key = (fields[3], fields[6], fields[7], fields[8], fields[17])
        said = self._said.get(key) or self._read_said(key, sex)
        codings = said.codings
        if self._item_in_obx_4 and fields[4]:
            codings = self._with_item(obx, codings)
        if not codings:
            self._report("hl7-no-code", obx, 3, severity=Severity.ERROR)
            return None
        value = fields[5]
        if (
            value_type in _WHOLE
            and delimiters.escape not in value
            and delimiters.repetition not in value
            and value != _NULL
        ):
            value = value.strip()
            if value_type == "NM" and not (value.isascii() and value.replace(".", "", 1).isdigit()):
                problem = _not_a_number(value, fields[6])
                if problem:
                    self._report_number(problem, obx, value)
                    if problem != "hl7-not-a-number":
                        return self._without_value(obx, codings, value_type)
        else:
            value = self._value(line, value_type)
            if "\n" in value and _begins_with_number(value):
                self._hold("hl7-number-in-text", obx, 5)
                return self._without_value(obx, codings, value_type)
        unit = said.unit
        if value_type == "CQ" and not unit:
            unit = obx.text(5, 2)
        status = self._status(obx, fields[11], inherited)
        if not value and status in (ObservationStatus.FINAL, ObservationStatus.CORRECTED):
            self._report("hl7-no-value", obx, 5)
        return _make_observation(
            codings,
            value,
            value_type,
            unit,
            said.reference,
            said.flags,
            status,
            said.method,
            obx.text(4) if fields[4] and not self._item_in_obx_4 else "",
            self._performer(obx) if fields[16] else "",
            self._collected(obx) if fields[14] else None,
            self._moment(obx, 19) if fields[19] else None,
            tuple(line.notes) if line.notes else (),
            obx.place(),
        )

    def _read_said(self, key: tuple[str, ...], sex: str) -> _Said:
        said = _read_said(key, sex, self._delimiters, self._charset)
        if sum(map(len, key)) <= _LONGEST_REMEMBERED:
            if len(self._said) >= _MOST_REMEMBERED:
                self._said.clear()
            self._said[key] = said
        return said

    def read_unusable(self, line: ResultLine) -> Observation | None:
        """A line whose value must not be used: its code without a value and not final, so that
        its order still waits where a person sees it."""
        obx = line.segments[0]
        codings = read_codings(obx.raw(3), self._delimiters, self._charset)
        return self._without_value(obx, codings, obx.text(2).strip().upper()) if codings else None

    def _without_value(
        self, obx: Segment, codings: tuple[Coding, ...], value_type: str
    ) -> Observation:
        status = ObservationStatus.PRELIMINARY
        return Observation(codings, "", value_type, status=status, place=obx.place())

    def _attach(self, obx: Segment, value_type: str) -> None:
        codings = read_codings(obx.raw(3), self._delimiters, self._charset)
        attachment, whole = read_attachment(self._message, obx, value_type, codings)
        self.attachments.append(attachment)
        self._report("hl7-attachment" if whole else "hl7-attachment-unreadable", obx, 5)

    def _with_item(self, obx: Segment, codings: tuple[Coding, ...]) -> tuple[Coding, ...]:
        """OBX-4 as the name of the item, or as its code where OBX-3 has none."""
        item = obx.text(4).strip()
        if not item or (codings and codings[0].display):
            return codings
        if not codings:
            return (Coding(item),)
        first = codings[0]
        return (Coding(first.code, item, first.system), *codings[1:])

    def _report_number(self, code: str, obx: Segment, value: str) -> None:
        if code == "hl7-not-a-number":
            self._report(code, obx, 5, value)
        else:
            self._hold(code, obx, 5, value)

    def _value(self, line: ResultLine, value_type: str) -> str:
        if value_type in _TEXT:
            return "\n".join(self._running_text(obx) for obx in line.segments)
        obx = line.segments[0]
        raw = obx.raw(5)
        if not raw or raw == _NULL:
            return ""
        if value_type in _WHOLE:
            if self._delimiters.repetition in raw and value_type == "NM":
                self._report("hl7-repeated-value", obx, 5, raw)
            return self._message.decode(raw).strip()
        read = self._component_reader(value_type)
        if read is None:
            if value_type not in _PERSONS_AND_PLACES:
                self._report("hl7-value-type", obx, 2, value_type)
            return self._message.decode(raw).strip()
        parts = obx.repetitions(5)
        if len(parts) == 1:
            return read(raw)
        self._report("hl7-repeated-value", obx, 5, raw)
        return self._delimiters.repetition.join(map(read, parts))

    def _running_text(self, obx: Segment) -> str:
        """Repetitions of TX and FT are lines, but ``3~5`` is a range that nobody escaped."""
        raw = obx.raw(5)
        if len(raw) <= _LONGEST_PLAIN_RANGE:
            before, mark, after = raw.partition(self._delimiters.repetition)
            if mark and before[-1:].isdigit() and after[:1].isdigit():
                return obx.whole(5)
        return "\n".join(obx.decoded_repetitions(5))

    def _component_reader(self, value_type: str) -> Callable[[str], str] | None:
        if value_type in _CODED:
            return lambda raw: read_coded_text(raw, self._delimiters, self._charset)
        if value_type == "SN":
            return self._structured_numeric
        if value_type in _FIRST_COMPONENT:
            return lambda raw: self._message.part(raw, 1).strip()
        return None

    def _structured_numeric(self, raw: str) -> str:
        """SN (section 2.A.73): comparator ^ number ^ separator ^ number, put together without
        blanks. ``=`` is what an empty comparator means, so it adds nothing."""
        comparator, *rest = (self._message.part(raw, at).strip() for at in (1, 2, 3, 4))
        return ("" if comparator == "=" and rest[0] else comparator) + "".join(rest)

    def _status(self, obx: Segment, raw: str, inherited: ObservationStatus) -> ObservationStatus:
        if not raw or not self._status_in_obx_11:
            return inherited
        status = observation_status(raw)
        if status is not None:
            return status
        letter = obx.text(11).strip().upper()
        if not letter:
            return inherited
        status = observation_status(letter)
        if status is None:
            self._report("hl7-status", obx, 11, letter)
            return ObservationStatus.PRELIMINARY
        return status

    def _performer(self, obx: Segment) -> str:
        found = (national_form(self._message.part(item, 1)) for item in obx.repetitions(16))
        return next(filter(None, found), "")

    def _collected(self, obx: Segment) -> Moment | None:
        """OBX-14 (section 7.4.2.14); where nothing else says when the specimen was taken, one that
        cannot be read holds the report, so that no other time goes out in its stead."""
        if self.is_collected:
            return self._moment(obx, 14)
        moment = usable(parse_moment(obx.fields[14]) or parse_moment(obx.text(14)))
        if moment is None and obx.text(14).strip():
            self._hold("hl7-time-needed", obx, 14, obx.text(14))
        return moment

    def _moment(self, obx: Segment, number: int) -> Moment | None:
        written = obx.fields[number]
        moment = self._moments.get(written)
        if moment is not None:
            return moment
        text = obx.text(number)
        moment = parse_moment(written) or parse_moment(text)
        self._moments[written] = moment
        if moment is None and text.strip():
            self._report("hl7-time", obx, number, text)
        return moment

    def _report(
        self,
        code: str,
        obx: Segment,
        number: int,
        value: str = "",
        severity: Severity = Severity.WARNING,
    ) -> None:
        self._findings.append(Finding(code, "", obx.place(number), value, severity))

    def _hold(self, code: str, obx: Segment, number: int, value: str = "") -> None:
        place = obx.place_in(self.report_place, number)
        self._findings.append(Finding(code, "", place, value, Severity.ERROR))


def _not_a_number(value: str, unit: str) -> str:
    """What is wrong with an NM value: its columns are shifted, the analyser printed signs instead
    of a result, or it is a text. ``""`` for a number, and for nothing at all."""
    if parse_quantity(value) is not None:
        return ""
    # "1" alone is UCUM's unit of a ratio.
    if unit not in ("", "1") and parse_quantity(unit) is not None:
        return "hl7-shifted"
    if not value:
        return ""
    if len(value) > 1 and not value.strip(_SIGNS):
        return "hl7-no-result-signs"
    return "hl7-not-a-number"


def _begins_with_number(text: str) -> bool:
    return parse_quantity(text.partition("\n")[0].strip()) is not None
