"""What an agent keeps of each send, and what goes over its line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from adapters.nhi.send_journal import SendJournal
from adapters.ports.card_agent import MessageUnreadable, StatusMessage, decode, encode
from adapters.ports.eii_job import (
    EiiMessage,
    JobAnswer,
    JobPart,
    JobState,
    RecallJob,
    ReportJob,
    SendJob,
)
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
    "fields",
    [
        {"type": "eii-send"},
        {"type": "eii-recall", "stem": "../../etc/passwd"},
        {"type": "eii-part", "data": "?"},
        {"type": "eii-answer", "state": "fine"},
        {"type": "eii-report", "job_id": 5},
    ],
    ids=["send", "path", "base64", "state", "number"],
)
def test_a_message_that_is_none_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(MessageUnreadable):
        decode(json.dumps({"job_id": JOB, **fields}))


def test_an_agent_of_before_is_understood() -> None:
    old = '{"type": "status", "cards": [], "readers": [], "version": "1.0"}'
    assert decode(old) == StatusMessage((), (), "1.0")
