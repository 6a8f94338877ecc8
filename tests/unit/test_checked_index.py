"""Only a report of correct records makes a record accepted."""

from __future__ import annotations

import pytest

from broker.store.verdicts import CheckedIndex, errors_among
from mapping.record import UploadRecord
from mapping.verdict import CheckedRecord, CheckReport
from tests.unit.upload_samples import valid_record


def printed(item: UploadRecord, code: str) -> CheckedRecord:
    tags = ("h2", "h9", "h15", "h20")
    return CheckedRecord({tag: item.value(tag) for tag in tags}, (), code)


@pytest.mark.parametrize(
    ("accepted", "code", "is_accepted", "is_error"),
    [
        (True, "", True, False),
        (False, "", False, False),
        (False, "E1", False, True),
        (False, "??", False, True),
    ],
)
def test_what_is_not_said_to_be_correct_is_not(
    accepted: bool, code: str, is_accepted: bool, is_error: bool
) -> None:
    item = valid_record()
    report = CheckReport(item.value("h2"), "", "", (printed(item, code),), (), accepted)
    index = CheckedIndex([report])
    named = index.named(item)
    assert index.has_correct(named) is is_accepted
    assert bool(errors_among(named)) is is_error
