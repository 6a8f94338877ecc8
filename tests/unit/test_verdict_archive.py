"""The ZIP of a verdict is looked at before anything of it is inflated."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from adapters.nhi.check_report import UnreadableCheckReport, open_verdict
from adapters.nhi.verdict_archive import VerdictArchiveUnsafe, VerdictPasswordWrong, read_entries
from broker.sandbox.archive import pack_reports
from broker.sandbox.printing import PrintedRecord, print_report
from broker.sandbox.settings import ReportEncryption
from tests.conftest import Require

PASSWORD = "A123456789"
NAME = "3501234567-1151122-5-1151122000017-7.assaychk.txt"
TEXT = print_report(
    "3501234567", "1151122", "1151122000017", [PrintedRecord({"h1": "1"}, frozenset(), "01")], False
).encode("cp950")


def archive(*entries: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, raw in entries:
            made.writestr(name, raw)
    return target.getvalue()


@pytest.mark.parametrize("way", list(ReportEncryption))
def test_each_way_of_encryption_opens(way: ReportEncryption) -> None:
    raw = pack_reports({NAME: TEXT}, way, PASSWORD)
    assert read_entries(raw, PASSWORD) == [(NAME, TEXT)]


@pytest.mark.parametrize("way", [ReportEncryption.AES, ReportEncryption.ZIPCRYPTO])
def test_a_wrong_password_says_what_the_password_is(way: ReportEncryption) -> None:
    for _ in range(20):
        raw = pack_reports({NAME: TEXT}, way, PASSWORD)
        for wrong in ("a123456789", "B123456789", ""):
            with pytest.raises(VerdictPasswordWrong) as refusal:
                read_entries(raw, wrong)
    assert "national id" in refusal.value.remedy()
    assert "14" in refusal.value.remedy()
    assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize(
    "entries",
    [
        (),
        tuple((f"{n}.txt", b"") for n in range(21)),
        (("../a.txt", b""),),
        (("a.exe", b""),),
        (("A.txt", b""), ("a.TXT", b"")),
        (("a.txt", b"\0" * 3_000_000),),
        (("檢核.txt", b""),),
    ],
    ids=["empty", "many", "path", "program", "same", "bomb", "non-ascii"],
)
def test_an_archive_that_is_no_report_is_refused(entries: tuple[tuple[str, bytes], ...]) -> None:
    with pytest.raises(VerdictArchiveUnsafe):
        read_entries(archive(*entries), PASSWORD)


def test_every_torn_archive_is_refused() -> None:
    raw = archive((NAME, TEXT))
    for cut in range(2, len(raw), 7):
        with pytest.raises(VerdictArchiveUnsafe):
            read_entries(raw[:cut], PASSWORD)


def test_a_damaged_body_is_refused() -> None:
    raw = bytearray(archive((NAME, TEXT)))
    raw[120] ^= 0xFF
    with pytest.raises(VerdictArchiveUnsafe):
        read_entries(bytes(raw), PASSWORD)


def test_the_file_name_completes_and_must_not_contradict_the_header() -> None:
    nameless = TEXT.replace(b"1151122000017", b"             ")
    (report,) = open_verdict(archive((NAME, nameless)), "")
    assert report.receipt_number == "1151122000017"
    assert report.uploaded_on == "1151122"
    other = NAME.replace("000017", "000018")
    with pytest.raises(UnreadableCheckReport):
        open_verdict(archive((other, TEXT)), "")


def test_no_file_of_the_corpus_does_harm(require: Require) -> None:
    corpus = os.environ.get("LABBROKER_CORPUS", "")
    require(corpus, "LABBROKER_CORPUS is not set")
    files = [path for path in Path(corpus, "bad").rglob("*") if path.is_file()]
    for path in files:
        try:
            open_verdict(path.read_bytes(), PASSWORD)
        except (VerdictArchiveUnsafe, VerdictPasswordWrong, UnreadableCheckReport):
            continue
    assert files
