"""The last gate: setting, file name, records, card and agreement name the same institution."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import date

import pytest

from adapters.ports.channel import SealedPackage
from broker.channel_gate import (
    CredentialMismatch,
    InstitutionsDisagree,
    PackedRecord,
    Stray,
    institutions_in,
    pass_gate,
)
from mapping.package_file import write_package
from mapping.profile import Agreement, Route
from tests.unit.upload_samples import valid_record

CLINIC = "3501234567"
OTHER = "3507654321"
LAB = "JY99900001"
DAY = date(2025, 2, 3)
STEM = f"{CLINIC}1140204001"
RECORD = PackedRecord(7, LAB, CLINIC, "09005C", (DAY,))
AGREED = Agreement(LAB, CLINIC, Route.CLINIC)


def package(*institutions: str) -> SealedPackage:
    out = io.BytesIO()
    records = [valid_record({"h2": code}) for code in institutions or (CLINIC,)]
    write_package(records, STEM, out)
    raw = out.getvalue()
    return SealedPackage(1, STEM, CLINIC, raw, hashlib.sha256(raw).hexdigest())


def test_a_package_whose_five_names_agree_passes() -> None:
    assert pass_gate(package(), CLINIC, CLINIC, [RECORD], [AGREED]) == ()


def test_the_setting_of_another_institution_closes_the_gate() -> None:
    with pytest.raises(InstitutionsDisagree) as closed:
        pass_gate(package(), OTHER, CLINIC)
    assert closed.value.parameters["what"] == "the setting"


def test_a_file_name_of_another_institution_closes_the_gate() -> None:
    named = replace(package(), stem=f"{OTHER}1140204001")
    with pytest.raises(InstitutionsDisagree) as closed:
        pass_gate(named, CLINIC, CLINIC)
    assert closed.value.parameters["what"] == "the file name"


def test_a_card_of_another_institution_closes_the_gate() -> None:
    with pytest.raises(CredentialMismatch):
        pass_gate(package(), CLINIC, OTHER)


def test_one_record_of_another_institution_closes_the_gate() -> None:
    with pytest.raises(InstitutionsDisagree) as closed:
        pass_gate(package(CLINIC, OTHER, CLINIC), CLINIC, CLINIC)
    assert closed.value.parameters["other"] == OTHER


def test_an_agreement_that_names_another_party_gives_the_record_back() -> None:
    agreed = replace(AGREED, route=Route.LAB)
    strays = pass_gate(package(), CLINIC, CLINIC, [RECORD], [agreed])
    assert strays == (Stray(7, other_party=True),)


def test_a_record_that_no_agreement_covers_is_given_back() -> None:
    strays = pass_gate(package(), CLINIC, CLINIC, [RECORD], [])
    assert strays == (Stray(7, other_party=False),)


def test_an_agreement_that_ended_before_both_days_does_not_count() -> None:
    ended = replace(AGREED, valid_until=date(2025, 2, 2))
    assert pass_gate(package(), CLINIC, CLINIC, [RECORD], [ended]) == (Stray(7, False),)


def test_an_agreement_of_the_day_the_clock_began_counts_for_a_later_correction() -> None:
    ended = replace(AGREED, valid_until=DAY)
    record = replace(RECORD, days=(date(2025, 3, 1), DAY))
    assert pass_gate(package(), CLINIC, CLINIC, [record], [ended]) == ()


def test_an_institution_code_is_found_across_the_pieces_that_are_read() -> None:
    for padding in range((1 << 20) - 40, (1 << 20) + 2):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("x.xml", b" " * padding + f"<h2>{OTHER}</h2>".encode())
        assert institutions_in(out.getvalue()) == {OTHER}


def test_what_stands_in_the_field_and_is_no_code_is_not_repeated() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.xml", b"<h2>A123456789 somebody</h2>")
    assert institutions_in(out.getvalue()) == {"?"}
