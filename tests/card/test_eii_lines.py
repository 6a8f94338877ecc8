"""What an agent keeps of each send, and what goes over its line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from adapters.nhi.send_journal import SendJournal
from adapters.ports.card_agent import StatusMessage, decode, encode
from adapters.ports.eii_job import (
    EiiMessage,
    JobAnswer,
    JobPart,
    JobState,
    RecallJob,
    ReportJob,
    SendJob,
)
from adapters.ports.message_unreadable import MessageUnreadable
from tests.gateway_samples import INSTITUTION, good_package

PACKAGE = good_package()
JOB = "0" * 32


def test_a_line_that_was_torn_in_the_journal_reads_as_if_it_had_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "sends.jsonl"
    journal = SendJournal(path)
    journal.begin(JOB, PACKAGE.stem, PACKAGE.sha256)
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole), 11):
        path.write_bytes(whole[:length])
        again = SendJournal(path)
        assert again.journal_id == journal.journal_id
        assert again.latest(PACKAGE.stem) is None
        again.begin("2" * 32, PACKAGE.stem, PACKAGE.sha256)
        assert SendJournal(path).job("2" * 32) is not None
    path.write_bytes(b"something else\n")
    with pytest.raises(ValueError, match="Expecting"):
        SendJournal(path)


def test_a_full_disk_takes_no_part_of_a_line_of_the_journal_and_no_call_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sends.jsonl"
    journal = SendJournal(path)
    journal.begin(JOB, PACKAGE.stem, PACKAGE.sha256)
    room, write = [0], os.write

    def write_what_fits(handle: int, raw: bytes) -> int:
        fits = raw[: room[0]]
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= len(fits)
        return write(handle, fits)

    with monkeypatch.context() as full:
        full.setattr(os, "write", write_what_fits)
        room[0] = 30
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            journal.end(JOB, JobState.NOT_CALLED, None, "busy")
        room[0] = 30
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            journal.begin("2" * 32, PACKAGE.stem, PACKAGE.sha256)
    journal.begin("3" * 32, PACKAGE.stem, PACKAGE.sha256)
    again = SendJournal(path)
    first, last = again.job(JOB), again.latest(PACKAGE.stem)
    assert first is not None
    assert first.state is JobState.LOST
    assert again.job("2" * 32) is None
    assert last is not None
    assert last.job_id == "3" * 32


@pytest.mark.parametrize(
    "message",
    [
        SendJob(JOB, "", INSTITUTION, PACKAGE.stem, PACKAGE.sha256, 5),
        RecallJob(JOB, PACKAGE.stem),
        ReportJob(JOB, INSTITUTION, PACKAGE.stem),
        JobPart(JOB, b"\0\xff"),
        JobAnswer(JOB, JobState.NEVER, "j"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_goes_over_the_line_and_back(message: EiiMessage) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "eii-send"}, "after"),
        ({"type": "eii-recall", "stem": "../../etc/passwd"}, "stem"),
        ({"type": "eii-part", "data": "?"}, "data"),
        ({"type": "eii-part", "data": "檢"}, "data"),
        ({"type": "eii-answer", "state": "fine"}, "state"),
        ({"type": "eii-answer", "answered_at": "today"}, "answered_at"),
        ({"type": "eii-answer", "answered_at": "2026-11-20T08:00:00"}, "answered_at"),
        ({"type": "eii-report", "job_id": 5}, "job_id"),
        ({"type": "eii-of-tomorrow"}, "type"),
    ],
    ids=["send", "path", "base64", "chinese", "state", "instant", "no zone", "number", "type"],
)
def test_a_message_that_is_none_is_refused_with_its_field(
    changes: dict[str, object], field: str
) -> None:
    fields: dict[str, object] = {
        "job_id": JOB,
        "institution_code": "3599900001",
        "stem": PACKAGE.stem,
    }
    if changes["type"] == "eii-answer":
        fields = json.loads(
            encode(JobAnswer(JOB, JobState.ANSWERED, "1", answered_at="2026-11-20T00:00:00+00:00"))
        )
    with pytest.raises(MessageUnreadable) as refused:
        decode(json.dumps({**fields, **changes}))
    assert refused.value.parameters == {"field": field}


def test_an_agent_of_before_is_understood() -> None:
    old = '{"type": "status", "cards": [], "readers": [], "version": "1.0"}'
    assert decode(old) == StatusMessage((), (), "1.0")
