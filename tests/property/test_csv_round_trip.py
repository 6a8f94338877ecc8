"""Any text of a cell comes out of a result CSV as it went in."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from adapters.folder.formats.csv_results import read_csv
from mapping.errors import LabbrokerError
from mapping.profile import CsvLayout, SourceProfile

CELL = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: not t.startswith('="'))
NAME = CELL.filter(str.strip)
CP950 = st.text(
    st.sampled_from(
        [
            char
            for lead in range(0x81, 0xFF)
            for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
            if (char := bytes((lead, trail)).decode("cp950", errors="ignore"))
        ]
    ),
    min_size=1,
)
FREE = ("item_name", "value", "unit", "method", "specimen", "name")


def write(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    out = io.StringIO(newline="")
    columns = ("national_id", "order_code", *FREE)
    writer = csv.DictWriter(out, columns, restval="", delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        writer.writerow({"national_id": "A123456789", "order_code": "09005C", **row})
    return out.getvalue()


@given(CELL, CELL, st.lists(st.tuples(NAME, CELL, CELL, CELL), min_size=1, max_size=5))
def test_texts_survive_in_utf_8_and_utf_16(
    specimen: str, name: str, lines: list[tuple[str, str, str, str]]
) -> None:
    shared = {"specimen": specimen, "name": name}
    text = write(
        [
            {**shared, "item_name": item, "value": value, "unit": unit, "method": method}
            for item, value, unit, method in lines
        ]
    )
    for codec in ("utf-8-sig", "utf-16"):
        parsed = read_csv(text.encode(codec), SourceProfile("lab"))
        assert parsed.findings == ()
        (report,) = parsed.reports
        assert (report.specimen.kind, report.patient.name) == (specimen, name)
        assert lines == [
            (line.codings[0].display, line.value, line.unit, line.method)
            for line in report.observations
        ]


@given(CP950, st.sampled_from([",", ";", "\t", "|"]))
def test_every_big5_character_survives_under_a_declared_encoding(
    value: str, delimiter: str
) -> None:
    # An item name that is no UTF-8 keeps the rare value out that is text in both.
    raw = write([{"value": value, "item_name": "結果測試項目"}], delimiter).encode("cp950")
    profile = SourceProfile("lab", csv=CsvLayout(encoding="big5", delimiter=delimiter))
    assert read_csv(raw, profile).reports[0].observations[0].value == value


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for start in (b"", "身分證號,醫令代碼,檢驗結果\n".encode(), b"national_id,order_code,value\n"):
        try:
            parsed = read_csv(start + raw, SourceProfile("lab"))
        except LabbrokerError as error:
            texts = [error.sentence("zh"), error.remedy("en")]
        else:
            texts = [finding.message("zh") for finding in parsed.findings]
            texts += [finding.remedy("en") for finding in parsed.findings]
        assert all(texts)
