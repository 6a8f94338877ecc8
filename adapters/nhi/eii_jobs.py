"""NHI's library on the PC of an agent: does the jobs of brokers, none of them twice."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from adapters.nhi.local_eii_seat import LocalEiiSeat
from adapters.nhi.send_journal import SendJournal, SendNote
from adapters.nhi.unsigning_credential import CloudSam
from adapters.ports.card_agent import SamState
from adapters.ports.channel import CredentialUnusable, NotDelivered, SealedPackage
from adapters.ports.eii_job import (
    LARGEST_REPORT,
    PART_BYTES,
    EiiMessage,
    JobAnswer,
    JobPart,
    JobState,
    RecallJob,
    ReportJob,
    SendJob,
)
from adapters.ports.eii_seat import CallLost
from mapping.errors import LabbrokerError

Send = Callable[[EiiMessage], Awaitable[None]]


@dataclass(slots=True)
class _Coming:
    """A file whose parts are on their way."""

    job: SendJob
    send: Send
    raw: bytearray = field(default_factory=bytearray)


class EiiJobs:
    """``sams`` are those of the institutions that this PC sends for. A job goes on when the line
    to its broker is cut; whoever asks later is told what came of it."""

    def __init__(self, seat: LocalEiiSeat, sams: Sequence[CloudSam], journal: SendJournal) -> None:
        self._seat = seat
        self._sams = {sam.expected: sam for sam in sams}
        self._journal = journal
        self._coming: dict[str, _Coming] = {}
        self._sending: dict[str, asyncio.Task[SendNote]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._deciding = asyncio.Lock()

    @property
    def journal_id(self) -> str:
        return self._journal.journal_id

    def look(self) -> tuple[SamState, ...]:
        """How the SAMs stand. Blocks."""
        return tuple(SamState(code, self._reason(code)) for code in self._sams)

    def take(self, message: EiiMessage, send: Send) -> None:
        """A message of a broker; ``send`` answers it."""
        if isinstance(message, SendJob):
            self._coming[message.job_id] = _Coming(message, send)
        elif isinstance(message, JobPart):
            self._take_part(message)
        elif isinstance(message, RecallJob):
            self._keep(self._recall(message, send))
        elif isinstance(message, ReportJob):
            self._keep(self._report(message, send))

    def line_lost(self, send: Send) -> None:
        """What has not come whole by this line will not be done."""
        for job_id in [job_id for job_id, each in self._coming.items() if each.send is send]:
            del self._coming[job_id]

    async def close(self) -> None:
        """Let the call that has begun end, then end the library's process."""
        while work := [*self._tasks, *self._sending.values()]:
            await asyncio.wait(work)
            await asyncio.sleep(0)
        await self._seat.close()

    def _take_part(self, part: JobPart) -> None:
        coming = self._coming.get(part.job_id)
        if coming is None:
            return
        coming.raw += part.data
        if len(coming.raw) >= coming.job.size:
            del self._coming[part.job_id]
            self._keep(self._answer_send(coming))

    async def _answer_send(self, coming: _Coming) -> None:
        job = coming.job
        try:
            note = await self._send(job, bytes(coming.raw))
        except NotDelivered as error:
            state = JobState.NOT_CALLED
            if isinstance(error, CredentialUnusable):
                state = JobState.CREDENTIAL
            reason = _reason_of(error)
            note = SendNote(job.job_id, job.stem, job.sha256, state, reason=reason)
        answer = self._told(job.job_id, note)
        if note.job_id != job.job_id:
            answer = JobAnswer(job.job_id, JobState.OTHER_FIRST, self.journal_id, about=note.job_id)
        await _say(coming.send, answer)

    async def _send(self, job: SendJob, raw: bytes) -> SendNote:
        """What came of the job, or of another that was there first. Raises ``NotDelivered``."""
        if len(raw) != job.size or hashlib.sha256(raw).hexdigest() != job.sha256:
            raise NotDelivered(reason="the file came damaged")
        async with self._deciding:
            latest = self._journal.latest(job.stem)
            if self._journal.job(job.job_id) is None:
                if (latest.job_id if latest else "") != job.after:
                    if latest is None:
                        raise NotDelivered(reason="the agent's journal is another one")
                    return latest
                await self._require_sam(job.institution_code)
                await self._begin(job, raw)
        return await self._outcome(job.job_id)

    async def _begin(self, job: SendJob, raw: bytes) -> None:
        try:
            await asyncio.to_thread(self._journal.begin, job.job_id, job.stem, job.sha256)
        except OSError as error:
            raise NotDelivered(reason=f"the agent's journal: {error.strerror}") from None
        package = SealedPackage(0, job.stem, job.institution_code, raw, job.sha256)
        self._sending[job.job_id] = asyncio.create_task(self._call(job.job_id, package))

    async def _call(self, job_id: str, package: SealedPackage) -> SendNote:
        try:
            return await self._called(job_id, package)
        finally:
            del self._sending[job_id]

    async def _called(self, job_id: str, package: SealedPackage) -> SendNote:
        state, answer, reason = JobState.LOST, None, ""
        try:
            answer = await self._seat.send(package)
            state = JobState.ANSWERED
        except CredentialUnusable as error:
            state, reason = JobState.CREDENTIAL, _reason_of(error)
        except NotDelivered as error:
            state, reason = JobState.NOT_CALLED, _reason_of(error)
        except CallLost as lost:
            reason = lost.reason
        try:
            await asyncio.to_thread(self._journal.end, job_id, state, answer, reason)
            await asyncio.to_thread(self._seat.clear, package.stem)
        except OSError:
            # Known until this process ends; after that it reads as lost, which is honest.
            pass
        note = self._journal.job(job_id)
        assert note is not None  # noqa: S101 - it was begun
        return note

    async def _outcome(self, job_id: str) -> SendNote:
        """The end of a job that runs, or what is noted of one."""
        running = self._sending.get(job_id)
        if running is not None:
            return await asyncio.shield(running)
        note = self._journal.job(job_id)
        assert note is not None  # noqa: S101 - it was begun
        return note

    async def _recall(self, job: RecallJob, send: Send) -> None:
        async with self._deciding:
            latest = self._journal.latest(job.stem)
        if latest is None:
            await _say(send, JobAnswer(job.job_id, JobState.NEVER, self.journal_id))
            return
        note = await self._outcome(latest.job_id)
        await _say(send, self._told(job.job_id, note))

    async def _report(self, job: ReportJob, send: Send) -> None:
        raw: bytes | None = None
        try:
            await self._require_sam(job.institution_code)
            package = SealedPackage(0, job.stem, job.institution_code, b"", "")
            raw = await self._seat.report(package)
            await asyncio.to_thread(self._seat.clear, job.stem)
        except LabbrokerError as error:
            reason = _reason_of(error)
            answer = JobAnswer(job.job_id, JobState.NOT_CALLED, self.journal_id, reason=reason)
            await _say(send, answer)
            return
        except OSError as error:
            reason = f"the work folder: {error.strerror}"
            answer = JobAnswer(job.job_id, JobState.NOT_CALLED, self.journal_id, reason=reason)
            await _say(send, answer)
            return
        raw = raw or b""
        assert len(raw) <= LARGEST_REPORT  # noqa: S101 - the seat refuses more
        for start in range(0, len(raw), PART_BYTES):
            await _say(send, JobPart(job.job_id, raw[start : start + PART_BYTES]))
        answer = JobAnswer(job.job_id, JobState.REPORT, self.journal_id, size=len(raw))
        await _say(send, answer)

    async def _require_sam(self, institution_code: str) -> None:
        """Raises ``CredentialUnusable``."""
        if institution_code not in self._sams:
            raise CredentialUnusable(institution=institution_code, reason="not at this agent")
        reason = await asyncio.to_thread(self._reason, institution_code)
        if reason:
            raise CredentialUnusable(institution=institution_code, reason=reason)

    def _reason(self, code: str) -> str:
        try:
            found = self._sams[code].institution_code
        except LabbrokerError as error:
            return error.code
        return "" if found == code else "credential-mismatch"

    def _told(self, job_id: str, note: SendNote) -> JobAnswer:
        answer = note.answer
        if answer is None:
            return JobAnswer(
                job_id, note.state, self.journal_id, note.job_id, note.sha256, reason=note.reason
            )
        return JobAnswer(
            job_id,
            note.state,
            self.journal_id,
            note.job_id,
            note.sha256,
            answer.code,
            answer.local_id,
            answer.nhi_id,
            answer.answered_at.isoformat(),
        )

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _say(send: Send, message: EiiMessage) -> None:
    """A line that is cut: the broker asks again."""
    with contextlib.suppress(OSError, RuntimeError):
        await send(message)


def _reason_of(error: LabbrokerError) -> str:
    return str(error.parameters.get("reason", error.code))
