"""A check report among other files: told by its content, read for people, waited for while cut."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from adapters.folder.formats.ending import ends_whole
from adapters.folder.formats.errors import FileUnidentified
from adapters.folder.formats.identify import identify
from adapters.nhi.check_report import UnreadableCheckReport, open_verdict
from adapters.nhi.report_reader import read_check_report_file
from adapters.nhi.verdict_archive import VerdictPasswordWrong
from adapters.ports.intake import Media
from broker.cli.main import main
from broker.sandbox.archive import pack_reports
from broker.sandbox.printing import PrintedRecord, print_report
from broker.sandbox.settings import ReportEncryption
from mapping.finding import Severity
from mapping.parsed import Content
from mapping.profile import SourceProfile
from tests.unit.test_check_report import BAD, VALUES

PROFILE = SourceProfile("vpn")
NAME = "3501234567-1151122-5-1151122000017-7.assaychk.txt"


def text(*records: PrintedRecord, correct: bool = False) -> bytes:
    printed = print_report("3501234567", "1151122", "1151122000017", records, correct)
    return printed.encode("cp950")


def zipped(encryption: ReportEncryption = ReportEncryption.NONE, name: str = NAME) -> bytes:
    return pack_reports({name: text(BAD)}, encryption, "A123456789")


def test_the_printed_text_is_told_by_its_header_and_ruler() -> None:
    assert identify(text(BAD), "anything.txt") is Media.CHECK_REPORT
    assert identify(text(BAD).decode("cp950").encode("utf-8-sig"), "x.txt") is Media.CHECK_REPORT


@pytest.mark.parametrize("encryption", list(ReportEncryption))
def test_its_zip_is_told_by_the_names_in_it_whatever_its_encryption(
    encryption: ReportEncryption,
) -> None:
    assert identify(zipped(encryption), "download.zip") is Media.CHECK_REPORT


def test_a_zip_of_other_texts_is_not_taken_for_one() -> None:
    assert identify(zipped(name="notes.txt"), "download.zip") is Media.ZIP
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(NAME, b"x")
        archive.writestr("other.exe", b"x")
    assert identify(target.getvalue(), "download.zip") is Media.ZIP


def test_a_letter_that_only_speaks_of_programs_is_no_report() -> None:
    with pytest.raises(FileUnidentified):
        identify("程式代號: 說明\r\n".encode("cp950"), "letter.doc")


def test_a_report_that_is_cut_off_is_waited_for() -> None:
    assert ends_whole(text(BAD), Media.CHECK_REPORT)
    assert not ends_whole(text(BAD)[:-1].rstrip(), Media.CHECK_REPORT)
    assert ends_whole(zipped(), Media.CHECK_REPORT)
    assert not ends_whole(zipped()[:-10], Media.CHECK_REPORT)


def test_its_faults_are_read_as_findings_in_nhis_codes() -> None:
    parsed = read_check_report_file(text(BAD), PROFILE)
    assert parsed.content is Content.CHECK_REPORT
    assert (parsed.kind, parsed.control_id) == ("檢核錯誤", "1151122000017")
    (finding,) = parsed.findings
    assert (finding.code, finding.field, finding.value) == ("01", "h7", "002")
    assert finding.place == "record 1 hdata"
    assert finding.severity is Severity.ERROR


def test_a_fault_of_a_row_names_the_row_and_its_value() -> None:
    bad = PrintedRecord(VALUES, frozenset(("r4",)), "05")
    (finding,) = read_check_report_file(text(bad), PROFILE).findings
    assert (finding.field, finding.value, finding.place) == ("r4", "陰性 (-)", "record 1 rdata[1]")


def test_a_code_that_nobody_published_is_told_as_it_is() -> None:
    strange = PrintedRecord(VALUES, frozenset(("h7",)), "38")
    (finding,) = read_check_report_file(text(strange), PROFILE).findings
    assert finding.code == "nhi-code-unlisted"
    assert "38" in finding.message("en")
    assert "38" in finding.message("zh")


def test_correct_records_have_no_findings() -> None:
    parsed = read_check_report_file(text(PrintedRecord(VALUES), correct=True), PROFILE)
    assert (parsed.findings, parsed.kind) == ((), "檢核正確")


def test_an_encrypted_zip_says_that_it_needs_its_password() -> None:
    with pytest.raises(VerdictPasswordWrong):
        read_check_report_file(zipped(ReportEncryption.AES), PROFILE)


def test_a_plain_text_is_known_by_its_file_name_too() -> None:
    bare = text(BAD).decode("cp950").replace("1151122000017", " " * 13).encode("cp950")
    (report,) = open_verdict(bare, "", NAME)
    assert (report.institution_code, report.receipt_number) == ("3501234567", "1151122000017")
    with pytest.raises(UnreadableCheckReport):
        open_verdict(text(BAD), "", NAME.replace("000017", "000018"))


def test_the_check_command_prints_what_the_report_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / NAME
    file.write_bytes(text(BAD))
    assert main(["check", "--json", str(file)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["error"]) == ("check-report", None)
    assert [each["code"] for each in told["findings"]] == ["01"]
