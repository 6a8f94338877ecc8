"""A simulated NHI patient card: the published applet and basic data, of a made-up person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from adapters.card.nhi_patient_card import GET_BASIC_DATA, SELECT
from mapping.rocdate import roc_date

_OK = b"\x90\x00"
_NOT_FOUND = b"\x6a\x82"
_NOT_NOW = b"\x69\x85"
_UNKNOWN = b"\x6d\x00"


@dataclass(slots=True)
class SimulatedPatientCard:
    """Call it with a command APDU. ``number`` of a test card begins with 9."""

    name: str
    national_id: str
    birth_on: date
    sex: str
    number: str = "900000000001"
    issued_on: date = date(2020, 1, 1)
    selected: bool = False

    @property
    def basic_data(self) -> bytes:
        """57 bytes, as :mod:`adapters.card.nhi_patient_card` reads them."""
        return (
            self.number.encode("ascii")
            + self.name.encode("cp950").ljust(20, b"\0")
            + self.national_id.encode("ascii")
            + roc_date(self.birth_on).encode("ascii")
            + self.sex.encode("ascii")
            + roc_date(self.issued_on).encode("ascii")
        )

    def __call__(self, command: bytes) -> bytes:
        if command[:4] == SELECT[:4]:
            self.selected = command[5:21] == SELECT[5:21]
            return _OK if self.selected else _NOT_FOUND
        if command[:7] == GET_BASIC_DATA:
            return self.basic_data + _OK if self.selected else _NOT_NOW
        return _UNKNOWN
