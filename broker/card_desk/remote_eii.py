"""NHI's library at an agent, as the channel ``eii`` uses it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from adapters.ports.channel import CredentialUnusable, NotDelivered, SealedPackage
from adapters.ports.credential import CredentialKind
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
from adapters.ports.eii_seat import CallLost, Recalled, SendAnswer
from broker.card_desk.desk import AgentConnection, CardDesk, CardNotReady

ASK_SECONDS = 30.0
BACK_SECONDS = 60.0
"""How long an agent that went away in the middle of a send is waited for."""
_LOOK_SECONDS = 0.5


class RemoteSam:
    """Implements ``adapters.ports.credential.Credential``: a SAM at an agent, which signs in
    NHI's library."""

    kind = CredentialKind.SAM
    certificate = b""

    def __init__(self, desk: CardDesk, institution: str) -> None:
        self._desk = desk
        self._institution = institution

    @property
    def institution_code(self) -> str:
        """Raises ``CardNotReady``, so that nothing is begun that no agent could end."""
        card = self._desk.card_of(self._institution)
        if not (card.is_ready and card.signs_itself):
            reason = card.state.reason or card.state.condition.value
            raise CardNotReady(institution=self._institution, reason=reason)
        return card.institution_code

    def sign(self, message: bytes) -> bytes:
        """Raises ``CredentialUnusable``: the library alone signs."""
        raise CredentialUnusable(
            institution=self._institution, reason="the SAM signs in its library"
        )


class RemoteEiiSeat:
    """Implements ``adapters.ports.eii_seat.EiiSeat``.

    In ``folder`` stands for each package which agent's memory was asked to send it: that memory
    alone can prove that it never was. ``call_seconds`` is the longest that a call may take there.
    """

    def __init__(
        self,
        desk: CardDesk,
        folder: Path,
        *,
        call_seconds: float = 300.0,
        ask_seconds: float = ASK_SECONDS,
        back_seconds: float = BACK_SECONDS,
    ) -> None:
        self._desk = desk
        self._folder = folder
        self._call_seconds = call_seconds
        self._ask_seconds = ask_seconds
        self._back_seconds = back_seconds

    async def close(self) -> None:
        """Nothing is held open."""

    async def send(self, package: SealedPackage) -> SendAnswer:
        """Let the agent call ``NHI_SendB`` once. Where it remembers that NHI took the file, that
        answer is given and nothing is called."""
        connection = self._agent(package)
        last = await self._asked(connection, package)
        if last is None:
            raise NotDelivered(reason="the agent does not answer")
        if last.state is JobState.ANSWERED and last.code == 0 and last.sha256 == package.sha256:
            return _answer_of(last)
        job_id = secrets.token_hex(16)
        try:
            await asyncio.to_thread(self._note, package.stem, connection.status.journal)
        except OSError as error:
            raise NotDelivered(reason=f"the work folder: {error.strerror}") from None
        job = SendJob(job_id, last.about, package.institution_code, package.stem, package.sha256,
                      len(package.raw_zip))  # fmt: skip

        async def give() -> None:
            await connection.send(job)
            for start in range(0, len(package.raw_zip), PART_BYTES):
                await connection.send(JobPart(job_id, package.raw_zip[start : start + PART_BYTES]))

        try:
            answer, _ = await self._exchange(connection, job_id, give, self._call_seconds)
        except (OSError, TimeoutError):
            answer = None
        if answer is None:
            answer = await self._told_later(package, job_id, connection.status.journal)
        return _conclude(answer, package)

    async def recall(self, package: SealedPackage) -> Recalled:
        """What the agent remembers."""
        noted = await asyncio.to_thread(self._noted, package.stem)
        connection = self._desk.sam_at(package.institution_code, noted) or self._agent(package)
        last = await self._asked(connection, package)
        if last is None:
            raise NotDelivered(reason="the agent does not answer")
        if last.about and last.sha256 != package.sha256:
            return Recalled()
        if last.state is JobState.ANSWERED:
            return Recalled(_answer_of(last))
        if last.state in (JobState.NOT_CALLED, JobState.CREDENTIAL):
            return Recalled(never=True)
        # Another memory than the one that was asked to send it knows nothing.
        return Recalled(never=last.state is JobState.NEVER and last.journal == noted != "")

    async def report(self, package: SealedPackage) -> bytes | None:
        """Ask for the check report, or fetch what was asked for, with the agent's library."""
        connection = self._agent(package)
        job = ReportJob(secrets.token_hex(16), package.institution_code, package.stem)
        seconds = self._call_seconds + self._ask_seconds
        try:
            answer, raw = await self._exchange(
                connection, job.job_id, lambda: connection.send(job), seconds
            )
        except (OSError, TimeoutError):
            answer, raw = None, b""
        if answer is None:
            raise NotDelivered(reason="the question was lost: the agent went away")
        if answer.state is not JobState.REPORT:
            raise NotDelivered(reason=_reason_of(answer))
        if len(raw) != answer.size:
            raise NotDelivered(reason="the report came damaged")
        return raw or None

    def _agent(self, package: SealedPackage) -> AgentConnection:
        """Raises ``CardNotReady``."""
        connection = self._desk.sam_at(package.institution_code)
        if connection is None:
            state = self._desk.card_of(package.institution_code).state
            reason = state.reason or "agent-away"
            raise CardNotReady(institution=package.institution_code, reason=reason)
        return connection

    async def _told_later(self, package: SealedPackage, job_id: str, journal: str) -> JobAnswer:
        """The line was cut: what the same agent says of the job when it is back. Raises
        ``CallLost``, ``NotDelivered``."""
        try:
            async with asyncio.timeout(self._back_seconds):
                while True:
                    connection = self._desk.sam_at(package.institution_code, journal)
                    last = await self._asked(connection, package) if connection else None
                    if last is not None:
                        break
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise CallLost("the agent went away") from None
        if last.about != job_id:
            # Every message of the old line was heard before the new one began: it never came whole.
            raise NotDelivered(reason="the agent did not get the file")
        return last

    async def _asked(self, connection: AgentConnection, package: SealedPackage) -> JobAnswer | None:
        """What this agent remembers of the file; None where it goes away."""
        job = RecallJob(secrets.token_hex(16), package.stem)
        try:
            answer, _ = await self._exchange(
                connection, job.job_id, lambda: connection.send(job), self._ask_seconds
            )
        except (OSError, TimeoutError):
            return None
        return answer

    async def _exchange(
        self,
        connection: AgentConnection,
        job_id: str,
        give: Callable[[], Awaitable[None]],
        seconds: float,
    ) -> tuple[JobAnswer | None, bytes]:
        """The answer and the bytes that came before it; None where the line was cut. Raises
        ``OSError``, ``TimeoutError``."""
        ended: asyncio.Future[JobAnswer | None] = asyncio.get_running_loop().create_future()
        raw = bytearray()

        def hear(message: EiiMessage | None) -> None:
            if isinstance(message, JobPart):
                if len(raw) <= LARGEST_REPORT:
                    raw.extend(message.data)
            elif not ended.done():
                ended.set_result(message if isinstance(message, JobAnswer) else None)

        connection.hearing[job_id] = hear
        try:
            async with asyncio.timeout(seconds):
                await give()
                answer = await ended
        finally:
            del connection.hearing[job_id]
        return answer, bytes(raw)

    def _note(self, stem: str, journal: str) -> None:
        """On disk before a byte leaves. Raises ``OSError``."""
        place = self._folder / stem
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(place / "agent.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, json.dumps({"journal": journal}).encode("ascii"))
            os.fsync(handle)
        finally:
            os.close(handle)

    def _noted(self, stem: str) -> str:
        try:
            note = json.loads((self._folder / stem / "agent.json").read_text("ascii"))
            return str(note["journal"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def _answer_of(told: JobAnswer) -> SendAnswer:
    answered_at = datetime.fromisoformat(told.answered_at)
    return SendAnswer(told.code, told.local_id, told.nhi_id, answered_at)


def _conclude(told: JobAnswer, package: SealedPackage) -> SendAnswer:
    """Raises ``NotDelivered`` where nothing was called, ``CallLost`` where nobody knows."""
    if told.state is JobState.ANSWERED:
        return _answer_of(told)
    reason = _reason_of(told)
    if told.state is JobState.CREDENTIAL:
        raise CredentialUnusable(institution=package.institution_code, reason=reason)
    if told.state is JobState.NOT_CALLED:
        raise NotDelivered(reason=reason)
    raise CallLost(reason)


def _reason_of(told: JobAnswer) -> str:
    """What is to be seen to stands on the other machine: say so."""
    return f"at the card agent: {told.reason or told.state.value}"
