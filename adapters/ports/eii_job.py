"""What the broker asks an agent to do with NHI's EII library on its PC: JSON, as all they say.

A job is one send of one sealed file, its report, or a question about the last send. Files go in
parts, since a message is small. The bytes are patients' data: the line is TLS.
"""

from __future__ import annotations

import base64
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from adapters.ports.message_unreadable import MessageUnreadable

PART_BYTES = 96 * 1024
LARGEST_FILE = 100_000_000
LARGEST_REPORT = 50_000_000
_ID = re.compile("[0-9a-f]{32}")
_STEM = re.compile("[0-9A-Z]{20}")
_SHA256 = re.compile("[0-9a-f]{64}")


class JobState(StrEnum):
    ANSWERED = "answered"
    """The library answered: ``code`` and the rest."""
    LOST = "lost"
    """The call began and its answer was never seen."""
    NOT_CALLED = "not-called"
    """``reason`` says why; nothing was sent."""
    CREDENTIAL = "credential"
    """As before, because of the SAM."""
    NEVER = "never"
    """The agent remembers no send of this file."""
    OTHER_FIRST = "other-first"
    """Another job of the file, ``about``, was there first; this one did nothing."""
    REPORT = "report"
    """The check report came in the parts before; of ``size`` 0 there is none yet."""


@dataclass(frozen=True, slots=True)
class SendJob:
    """Call ``NHI_SendB`` with the file whose parts follow, unless this job, or a later one than
    ``after`` (empty: than none), is remembered for the file. ``stem`` is the file's name."""

    job_id: str
    after: str
    institution_code: str
    stem: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class RecallJob:
    """What became of the last send of a file?"""

    job_id: str
    stem: str


@dataclass(frozen=True, slots=True)
class ReportJob:
    """Ask for the check report of a file, or fetch what was asked for."""

    job_id: str
    institution_code: str
    stem: str


@dataclass(frozen=True, slots=True)
class JobPart:
    """The next bytes of a file, in order."""

    job_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """``about`` is the send that is spoken of, ``sha256`` that of its bytes; ``journal`` names the
    memory that this is from."""

    job_id: str
    state: JobState
    journal: str
    about: str = ""
    sha256: str = ""
    code: int = 0
    local_id: str = ""
    nhi_id: str = ""
    answered_at: str = ""
    reason: str = ""
    size: int = 0


EiiMessage: TypeAlias = SendJob | RecallJob | ReportJob | JobPart | JobAnswer

_KINDS: dict[str, type[Any]] = {
    "eii-send": SendJob,
    "eii-recall": RecallJob,
    "eii-report": ReportJob,
    "eii-part": JobPart,
    "eii-answer": JobAnswer,
}


def eii_fields(message: EiiMessage) -> dict[str, Any]:
    """A message as plain values."""
    kind = next(name for name, each in _KINDS.items() if each is type(message))
    fields = asdict(message)
    if isinstance(message, JobPart):
        fields["data"] = base64.b64encode(message.data).decode("ascii")
    return {"type": kind, **fields}


def eii_message(fields: dict[str, Any]) -> EiiMessage | None:
    """The inverse; None for a message that is none of these. Raises ``MessageUnreadable``."""
    made = _KINDS.get(str(fields.get("type")))
    if made is None:
        return None
    values: dict[str, Any] = {}
    for name, kind in made.__annotations__.items():
        value = fields.get(name)
        if type(value) is not (int if kind == "int" else str):
            raise MessageUnreadable(field=name)
        if isinstance(value, str):
            _require(len(value) <= 2 * PART_BYTES, name)
        values[name] = value
    _require(_ID.fullmatch(values["job_id"]), "job_id")
    if "stem" in values:
        _require(_STEM.fullmatch(values["stem"]), "stem")
    if made is SendJob:
        _require(_SHA256.fullmatch(values["sha256"]), "sha256")
        _require(0 < values["size"] <= LARGEST_FILE, "size")
    if made is JobPart:
        try:
            values["data"] = base64.b64decode(values["data"], validate=True)
        except ValueError:
            raise MessageUnreadable(field="data") from None
    if made is JobAnswer:
        _require(values["state"] in set(JobState), "state")
        values["state"] = JobState(values["state"])
        if values["state"] is JobState.ANSWERED:
            _require(_is_instant(values["answered_at"]), "answered_at")
    message: EiiMessage = made(**values)
    return message


def _require(condition: object, field: str) -> None:
    if not condition:
        raise MessageUnreadable(field=field)


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
