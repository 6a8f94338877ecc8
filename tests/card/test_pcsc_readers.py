"""Readers over PC/SC: a real pcscd, a virtual reader, cards that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import date

import pytest

from adapters.card.errors import CardAbsent, CardFault
from adapters.card.nhi_patient_card import (
    GET_BASIC_DATA,
    SELECT,
    CardDataUnreadable,
    NotAnNhiCard,
    parse_basic_data,
    read_patient_card,
)
from adapters.card.pcsc_readers import PcscReaders, PcscUnavailable
from broker.demo.patient_card import SimulatedPatientCard
from broker.demo.virtual_reader import VirtualReader

PATIENCE_SECONDS = 20


@pytest.fixture
def readers(virtual_reader: VirtualReader) -> Iterator[PcscReaders]:
    found = PcscReaders()
    yield found
    found.close()


def person(**changes: object) -> SimulatedPatientCard:
    facts = {
        "name": "陳功回",
        "national_id": "A123456789",
        "birth_on": date(1975, 5, 1),
        "sex": "F",
    }
    return SimulatedPatientCard(**{**facts, **changes})  # type: ignore[arg-type]


def until(happened: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def holds_card(readers: PcscReaders, name: str) -> bool:
    return any(each.name == name and each.has_card for each in readers.look())


def test_a_patient_card_says_who_is_at_the_desk(
    virtual_reader: VirtualReader, readers: PcscReaders
) -> None:
    virtual_reader.insert(person())
    until(lambda: holds_card(readers, virtual_reader.name))
    with readers.card_in(virtual_reader.name) as transmit:
        found = read_patient_card(transmit)
    assert (found.name, found.national_id, found.sex) == ("陳功回", "A123456789", "F")
    assert (found.birth_on, found.issued_on) == (date(1975, 5, 1), date(2020, 1, 1))
    assert found.is_test_card
    assert found.has_valid_id
    assert "A123456789" not in f"{found!r}{found}"


def test_cards_that_come_and_go_are_seen(
    virtual_reader: VirtualReader, readers: PcscReaders
) -> None:
    assert [each.has_card for each in readers.look()] == [False, False]
    with pytest.raises(CardAbsent), readers.card_in(virtual_reader.name):
        pass
    for _ in range(2):
        virtual_reader.insert(person())
        until(lambda: holds_card(readers, virtual_reader.name))
        assert readers.look()[0].atr == "3b00"
        virtual_reader.remove()
        until(lambda: not holds_card(readers, virtual_reader.name))
    with pytest.raises(CardAbsent), readers.card_in("Unknown reader"):
        pass
    assert readers.contexts_made == 1


def test_a_card_that_is_pulled_while_it_is_read_is_told(
    virtual_reader: VirtualReader, readers: PcscReaders
) -> None:
    virtual_reader.insert(person())
    until(lambda: holds_card(readers, virtual_reader.name))
    with readers.card_in(virtual_reader.name) as transmit:
        virtual_reader.remove()
        with pytest.raises(CardFault):
            read_patient_card(transmit)


def test_another_card_is_not_taken_for_a_patient_card(
    virtual_reader: VirtualReader, readers: PcscReaders
) -> None:
    virtual_reader.insert(lambda command: b"\x6a\x82")
    until(lambda: holds_card(readers, virtual_reader.name))
    with readers.card_in(virtual_reader.name) as transmit, pytest.raises(NotAnNhiCard):
        read_patient_card(transmit)


def test_the_context_is_made_anew_when_the_last_reader_comes_back(
    virtual_reader: VirtualReader, readers: PcscReaders
) -> None:
    assert len(readers.look()) == 2
    virtual_reader.stop()
    with pytest.raises(PcscUnavailable) as gone:
        readers.look()
    assert gone.value.parameters["reason"] in ("no-service", "service-stopped", "comm-error")
    virtual_reader.start(readers=False)
    assert readers.look() == ()
    with pytest.raises(CardAbsent), readers.card_in(virtual_reader.name):
        pass
    virtual_reader.stop()
    virtual_reader.start()
    virtual_reader.insert(person())
    until(lambda: holds_card(readers, virtual_reader.name))
    with readers.card_in(virtual_reader.name) as transmit:
        assert read_patient_card(transmit).sex == "F"
    assert readers.contexts_made >= 3


def test_two_programs_may_read_one_card(
    virtual_reader: VirtualReader, readers: PcscReaders
) -> None:
    virtual_reader.insert(person())
    until(lambda: holds_card(readers, virtual_reader.name))
    found: list[str | None] = []
    other = PcscReaders()

    def read(through: PcscReaders) -> None:
        with through.card_in(virtual_reader.name) as transmit:
            found.append(read_patient_card(transmit).name)

    threads = [threading.Thread(target=read, args=(each,)) for each in (readers, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    other.close()
    assert found == ["陳功回", "陳功回"]


def test_answers_in_pieces_and_of_another_length_are_put_together() -> None:
    card = person()
    pieces = {
        SELECT: b"\x61\x02",
        GET_BASIC_DATA: b"\x6c\x39",
        GET_BASIC_DATA + b"\x39": card.basic_data[:40] + b"\x61\x11",
    }
    waiting = [b"ok\x90\x00", card.basic_data[40:] + b"\x90\x00"]
    found = read_patient_card(lambda command: pieces.get(command) or waiting.pop(0))
    assert found.name == "陳功回"


@pytest.mark.parametrize(
    ("place", "bytes_there", "field"),
    [
        (0, b"ABC", "card number"),
        (32, b"\xff", "national id"),
        (42, b"0990230", "birth date"),
        (49, b"X", "sex"),
        (50, b"\0\0\0\0\0\0\0", "issue date"),
    ],
    ids=["number", "id", "birth", "sex", "issue"],
)
def test_a_field_that_is_none_is_named_and_never_shown(
    place: int, bytes_there: bytes, field: str
) -> None:
    raw = person().basic_data
    raw = raw[:place] + bytes_there + raw[place + len(bytes_there) :]
    with pytest.raises(CardDataUnreadable) as error:
        parse_basic_data(raw)
    assert error.value.parameters == {"field": field}


def test_a_name_that_is_no_big5_is_kept_as_bytes() -> None:
    raw = person().basic_data
    found = parse_basic_data(raw[:12] + b"\xff\xfe" + raw[14:])
    assert found.name is None
    assert found.raw_name.startswith(b"\xff\xfe")


def test_a_birth_before_the_republic_is_read() -> None:
    assert parse_basic_data(person(birth_on=date(1907, 3, 4)).basic_data).birth_on.year == 1907


def test_too_little_data_is_refused() -> None:
    with pytest.raises(CardDataUnreadable):
        parse_basic_data(person().basic_data[:56])
