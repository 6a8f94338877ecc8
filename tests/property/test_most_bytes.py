"""A file is never larger than what is reckoned from the stored records without writing it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from broker.packages import most_bytes
from mapping.editions.edition import edition_on
from mapping.record import Field, UploadRecord, record_to_json
from mapping.upload_xml import record_bytes
from tests.unit.upload_samples import UPLOAD_DAY

EDITION = edition_on(UPLOAD_DAY)
# What takes the most room in the file beside what it takes in the store.
TEXTS = st.text('&<>血a\\"', max_size=12)
ORIGINS = st.sampled_from(("", "seal", "OBX[1]-5"))


def fields(tags: list[str]) -> st.SearchStrategy[dict[str, Field]]:
    made = st.builds(Field, TEXTS, ORIGINS)
    return st.dictionaries(st.sampled_from(tags), made)


HEADERS = fields([rule.tag for rule in EDITION.header if rule.tag != "h16"])
ROWS = fields([rule.tag for rule in EDITION.rows])


@given(header=HEADERS, rows=st.lists(ROWS, max_size=6))
def test_no_record_is_larger_in_the_file_than_reckoned(
    header: dict[str, Field], rows: list[dict[str, Field]]
) -> None:
    stored = json.dumps(record_to_json(UploadRecord(header, tuple(rows))), ensure_ascii=False)
    sent = UploadRecord({**header, "h16": Field("1140204120000", "seal")}, tuple(rows))
    assert record_bytes(sent, EDITION) <= most_bytes(len(stored), 1)
