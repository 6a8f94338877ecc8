"""What an agent has called, on disk before it calls: a call is never made a second time unasked."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from adapters.ports.eii_job import JobState
from adapters.ports.eii_seat import SendAnswer


@dataclass(frozen=True, slots=True)
class SendNote:
    """One send. ``LOST`` until its end is noted: the agent may have died in the call."""

    job_id: str
    stem: str
    sha256: str
    state: JobState = JobState.LOST
    answer: SendAnswer | None = None
    reason: str = ""


class SendJournal:
    """A file to which lines are added, each on disk before the method returns. All calls block.

    One process at a time. ``journal_id`` names this memory: where the file was lost another one
    begins, which proves nothing about what was sent before.
    """

    def __init__(self, path: Path) -> None:
        """Raises ``OSError``; ``ValueError`` where the file is none of these."""
        self._path = path
        self._jobs: dict[str, SendNote] = {}
        self._latest: dict[str, str] = {}
        self.journal_id = ""
        if path.exists():
            self._read(path.read_bytes())
        if not self.journal_id:
            self.journal_id = uuid.uuid4().hex
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._add({"journal": self.journal_id})
            _sync_folder(path.parent)

    def job(self, job_id: str) -> SendNote | None:
        """What is noted of a job."""
        return self._jobs.get(job_id)

    def latest(self, stem: str) -> SendNote | None:
        """The last send of a file."""
        return self._jobs.get(self._latest.get(stem, ""))

    def begin(self, job_id: str, stem: str, sha256: str) -> None:
        """The call may be made once this has returned. Raises ``OSError``: then it may not."""
        self._add({"job": job_id, "stem": stem, "sha256": sha256})
        self._note(SendNote(job_id, stem, sha256))

    def end(self, job_id: str, state: JobState, answer: SendAnswer | None, reason: str) -> None:
        """What came of it. Raises ``OSError``: it is known until this process ends."""
        begun = self._jobs[job_id]
        self._note(SendNote(job_id, begun.stem, begun.sha256, state, answer, reason))
        line: dict[str, Any] = {"end": job_id, "state": state.value, "reason": reason}
        if answer is not None:
            line |= {
                "code": answer.code,
                "local_id": answer.local_id,
                "nhi_id": answer.nhi_id,
                "at": answer.answered_at.isoformat(),
            }
        self._add(line)

    def _note(self, note: SendNote) -> None:
        self._jobs[note.job_id] = note
        self._latest[note.stem] = note.job_id

    def _add(self, line: dict[str, Any]) -> None:
        raw = json.dumps(line).encode("ascii") + b"\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(handle).st_size
            try:
                while raw:
                    # A disk that is nearly full takes a part, and says no more than how much.
                    raw = raw[os.write(handle, raw) :]
                os.fsync(handle)
            except OSError:
                with contextlib.suppress(OSError):
                    # Else the next line would go on where this one broke off.
                    os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)

    def _read(self, raw: bytes) -> None:
        whole, _, torn = raw.rpartition(b"\n")
        if torn:
            # Its call was not begun, or its end was not told: both read as without the line.
            with self._path.open("r+b") as file:
                file.truncate(len(raw) - len(torn))
                os.fsync(file.fileno())
        for text in whole.splitlines():
            line = json.loads(text)
            if "journal" in line:
                self.journal_id = str(line["journal"])
            elif "job" in line:
                self._note(SendNote(line["job"], line["stem"], line["sha256"]))
            else:
                begun = self._jobs[line["end"]]
                answer = None
                if "code" in line:
                    at = datetime.fromisoformat(line["at"])
                    answer = SendAnswer(line["code"], line["local_id"], line["nhi_id"], at)
                state = JobState(line["state"])
                ended = SendNote(
                    begun.job_id, begun.stem, begun.sha256, state, answer, line["reason"]
                )
                self._jobs[begun.job_id] = ended


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
