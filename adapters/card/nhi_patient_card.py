"""What an NHI patient card (健保卡) tells anybody who asks: who is at the desk?

No PIN and no SAM is needed for it. Applet and layout are those that two public readers agree on
(magiclen/tw-nhi-icc-service, Inndy/twnhi-smartcard-agent) and the order and lengths are NHI's own
``hisGetBasicData`` (控制軟體 API 5.1.3, CS513). Nothing is written to the card.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from adapters.card.errors import CardFault
from adapters.card.pcsc_readers import Transmit
from mapping.errors import LabbrokerError
from mapping.national_id import is_valid_national_id
from mapping.rocdate import parse_roc_date

AID = bytes.fromhex("D1580000010000000000000000000011")
SELECT = bytes([0x00, 0xA4, 0x04, 0x00, len(AID)]) + AID + b"\x00"
GET_BASIC_DATA = bytes.fromhex("00CA1100020000")

_LENGTH = 57
_NAME = "NHI card"


class NotAnNhiCard(LabbrokerError):
    code = "not-an-nhi-card"
    en = (
        "The card in the reader is no NHI card (status {status}).",
        "Put the patient's NHI card into the reader, chip first.",
    )
    zh = ("讀卡機內不是健保卡（狀態 {status}）。", "請將病人健保卡晶片朝內置入讀卡機。")


class CardDataUnreadable(LabbrokerError):
    code = "card-data-unreadable"
    en = (
        "The NHI card answered with something that is no basic data ({field}).",
        "Read it again; ask the patient for the card's data if it fails again.",
    )
    zh = (
        "健保卡回傳內容不是基本資料（{field}）。",
        "請重新讀取；若仍失敗，請改以人工確認病人資料。",
    )


@dataclass(frozen=True, slots=True)
class PatientCard:
    """Patient data: its ``repr`` shows none. ``name`` is None where the card's bytes are no
    Big5 (rare characters); ``raw_name`` is what it holds."""

    card_number: str = field(repr=False)
    name: str | None = field(repr=False)
    raw_name: bytes = field(repr=False)
    national_id: str = field(repr=False)
    birth_on: date = field(repr=False)
    sex: str = field(repr=False)
    issued_on: date = field(repr=False)

    @property
    def is_test_card(self) -> bool:
        """Numbers of test cards begin with 9, of real ones with 0 (NHI, CS513)."""
        return self.card_number.startswith("9")

    @property
    def has_valid_id(self) -> bool:
        return is_valid_national_id(self.national_id)


def read_patient_card(transmit: Transmit) -> PatientCard:
    """Raises :class:`NotAnNhiCard`, :class:`CardDataUnreadable` or ``CardFault``."""
    answer, status = _exchange(transmit, SELECT)
    if status != 0x9000:
        raise NotAnNhiCard(status=f"{status:04X}")
    answer, status = _exchange(transmit, GET_BASIC_DATA)
    if status != 0x9000:
        raise CardFault(name=_NAME, reason=f"status {status:04X}")
    return parse_basic_data(answer)


def parse_basic_data(raw: bytes) -> PatientCard:
    """At least 57 bytes: card number 12, name 20 (Big5), id 10, birth 7, sex 1, issue 7.

    Raises :class:`CardDataUnreadable`, which names the field and never its value.
    """
    if len(raw) < _LENGTH:
        raise CardDataUnreadable(field="length")
    number = _ascii(raw[0:12], "card number")
    if not number.isdigit():
        raise CardDataUnreadable(field="card number")
    sex = _ascii(raw[49:50], "sex")
    if sex not in ("M", "F"):
        raise CardDataUnreadable(field="sex")
    raw_name = raw[12:32].rstrip(b"\0 ")
    try:
        name: str | None = raw_name.decode("cp950")
    except UnicodeDecodeError:
        name = None
    return PatientCard(
        card_number=number,
        name=name,
        raw_name=raw_name,
        national_id=_ascii(raw[32:42], "national id"),
        birth_on=_day(raw[42:49], "birth date"),
        sex=sex,
        issued_on=_day(raw[50:57], "issue date"),
    )


def _exchange(transmit: Transmit, command: bytes) -> tuple[bytes, int]:
    """ISO 7816-4: what waits (61xx) is fetched, a wrong length (6Cxx) is put right."""
    answer = transmit(command)
    if len(answer) >= 2 and answer[-2] == 0x6C:
        answer = transmit(command[: 5 + command[4]] + answer[-1:])
    data = answer[:-2]
    for _ in range(8):
        if len(answer) < 2 or answer[-2] != 0x61:
            break
        answer = transmit(b"\x00\xc0\x00\x00" + answer[-1:])
        data += answer[:-2]
    if len(answer) < 2:
        raise CardFault(name=_NAME, reason="it answers without a status")
    return data, int.from_bytes(answer[-2:], "big")


def _ascii(raw: bytes, name: str) -> str:
    try:
        return raw.decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        raise CardDataUnreadable(field=name) from None


def _day(raw: bytes, name: str) -> date:
    try:
        return parse_roc_date(_ascii(raw, name))
    except ValueError:
        raise CardDataUnreadable(field=name) from None
