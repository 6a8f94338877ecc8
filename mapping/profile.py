"""What is set once for a source: its lab, its codes, its habits. Settings data, no code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from mapping.file_profile import FileProfile


@dataclass(frozen=True, slots=True)
class CodeLink:
    """A lab's own code means this NHI order code and, for panels, this report item number (r1)."""

    order_code: str
    item_number: int | None = None


class CodeMap:
    """Links that a person decided, apart from the settings (:mod:`mapping.code_map`). This one
    is empty."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def find(self, name: str, specimen: str, unit: str, method: str) -> CodeLink | None:
        """The link of the entry that fits the line most closely; None where none does, or where
        two fit equally well and disagree."""
        return None

    def names(self) -> Iterable[str]:
        """What is linked: codes, ``service/code`` or ``code|system``."""
        return ()


@dataclass(frozen=True, slots=True)
class Hl7Dialect:
    """How a source bends HL7 v2. Places are ``SEG-field[.component]`` (``ORC-21.10``)."""

    national_id: tuple[str, ...] = ()
    """Places tried before the usual ones (PID-3 by type NNTWN/NI…, PID-19, PID-2)."""
    clinic_code: tuple[str, ...] = ()
    lab_code: tuple[str, ...] = ()
    status_from_obx_11: bool = True
    """False where OBX-11 holds a lab's 0/1 flag instead of a status."""
    item_in_obx_4: bool = False
    """True where OBX-4 holds the item's name, or its code instead of an empty OBX-3."""
    card_at: tuple[str, ...] = ()
    """Places of the clinic's card data in its order and visit messages, usually in a Z-segment:
    card time (h5), visit type (h6), visit serial (h7), make-up code (h8), visit identifier (h28),
    dispensing code of an order (h26)."""
    visit_type: tuple[str, ...] = ()
    visit_serial: tuple[str, ...] = ()
    makeup_code: tuple[str, ...] = ()
    visit_identifier: tuple[str, ...] = ()
    dispensing_code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a source writes result files. ``columns`` maps our column names to the header texts."""

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """One sender. Empty strings mean: not set, so a missing value in the payload stays missing."""

    source_id: str
    lab_code: str = ""
    """Institution code of the lab when the payload does not name one."""
    clinic_code: str = ""
    """Institution code of the ordering clinic when the payload does not name one."""
    charset: str = "utf-8"
    """Used when the payload itself declares none (MSH-18, XML declaration)."""
    codes: Mapping[str, CodeLink] = field(default_factory=dict)
    clinics: Mapping[str, str] = field(default_factory=dict)
    """The sender's clinic codes → institution codes."""
    default_unit: str = ""
    default_method: str = ""
    default_specimen: str = ""
    default_reference: str = ""
    hl7: Hl7Dialect = field(default_factory=Hl7Dialect)
    csv: CsvLayout = field(default_factory=CsvLayout)
    code_map: CodeMap = field(default_factory=CodeMap)
    """Decisions of people, which stand before ``codes``."""
    file: FileProfile | None = None
    """The layout of its result files in whole; takes the place of ``csv``."""

    @property
    def file_layout(self) -> FileProfile:
        """``file``, or what ``csv`` says of it."""
        if self.file is not None:
            return self.file
        return FileProfile(
            encoding=self.csv.encoding,
            delimiter=self.csv.delimiter or ",",
            columns={name: (text,) for name, text in self.csv.columns.items()},
        )


class Route(StrEnum):
    """Who uploads: the ordering clinic or the laboratory. Never both (NHI code 25)."""

    CLINIC = "clinic"
    LAB = "lab"


class Commission(StrEnum):
    """What was sent on: the patient (轉檢) or the specimen (代檢)."""

    PATIENT = "patient"
    SPECIMEN = "specimen"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Who uploads for one lab and clinic, optionally one order code, between two dates."""

    lab_code: str
    clinic_code: str
    route: Route
    commission: Commission = Commission.SPECIMEN
    order_code: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
