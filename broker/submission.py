"""Submission: intent, send, unknown, verdict.

The intent is durable before the first byte leaves. After that only a receipt or a definite
answer moves a package on; everything else is *unknown*: the gateway is asked, and the very same
bytes go out again only when it has denied them often enough, long enough after the send.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    HandedOver,
    NotDelivered,
    OutcomeUnknown,
    RefusedByGateway,
    SealedPackage,
    SubmissionChannel,
)
from adapters.ports.credential import Credential
from broker.channel_gate import CredentialMismatch, InstitutionsDisagree, Stray, pass_gate
from broker.logs import log_event
from broker.nodes import Fence, no_fence
from broker.states import ForbiddenTransition, PackageState, RecordState
from broker.store.gate import packed_records, turn_back
from broker.store.packages import (
    active_records,
    close_attempt,
    look_again_at,
    move_package,
    move_package_records,
    open_attempt,
    release_records,
    retire_package,
    take_over,
)
from broker.store.record_moves import release_waiting
from broker.store.rows import AnyRow
from broker.store.verdicts import confirm_records, store_verdict
from broker.store.writer import Writer
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.profile import Agreement
from mapping.verdict import CheckReport

T = TypeVar("T")

_log = logging.getLogger(__name__)

SEND_TIMEOUT = 120.0
_BACKOFF = (10, 30, 60, 120, 300, 600)
# Denials that must agree before the same bytes go out again.
_ABSENCES = 2
# How far the gateway's clock may be from ours before its times are not believed.
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Uploader:
    """One institution that we send for: its channel, its credential, how to read its verdicts."""

    institution_code: str
    channel: SubmissionChannel
    credential: Credential
    open_verdict: Callable[[bytes], tuple[CheckReport, ...]]


class PackageFileDamaged(LabbrokerError):
    code = "package-file-damaged"
    en = (
        "The file of package {stem} is missing or is no longer what was sealed.",
        "Its records are sealed again under a new number; check the disk.",
    )
    zh = (
        "上傳檔 {stem} 遺失或已非原封裝內容。",
        "該批紀錄將以新流水號重新封裝；請檢查磁碟。",
    )


class Submission:
    """Moves packages one step on each call of :meth:`advance`.

    With ``agreements`` a record leaves only where they give it to its uploader.
    ``elapsed`` gives seconds of a clock that nobody sets: how long a denial has stood is never
    reckoned on the wall clock. ``stored_file`` gives the frozen bytes of a package that another
    node has sealed.
    """

    def __init__(
        self,
        writer: Writer,
        uploaders: Mapping[str, Uploader],
        package_path: Callable[[str], Path],
        clock: Callable[[], datetime],
        *,
        poll: timedelta,
        settle: timedelta,
        send_timeout: float = SEND_TIMEOUT,
        on_replayed: Callable[[], None] = lambda: None,
        elapsed: Callable[[], float] = time.monotonic,
        agreements: Sequence[Agreement] | None = None,
        stored_file: Callable[[int], bytes | None] = lambda _: None,
    ) -> None:
        self._writer = writer
        self._uploaders = uploaders
        self._package_path = package_path
        self._clock = clock
        self._poll = poll
        self._settle = settle
        self._send_timeout = send_timeout
        self._on_replayed = on_replayed
        self._elapsed = elapsed
        self._agreements = agreements
        self._stored_file = stored_file
        self._unknown_since: dict[int, float] = {}
        self._fence: ContextVar[Fence] = ContextVar("fence", default=no_fence)

    async def advance(self, row: AnyRow, fence: Fence = no_fence) -> None:
        """Send, ask or fetch, by the package's state. One caller for a credential at a time, so a
        package that is claimed or in flight here was given up in the middle of its step.

        Raises ``StorageUnavailable``, and ``LeaseLost`` where ``fence`` does.
        """
        self._fence.set(fence)
        uploader = self._uploaders.get(row.institution_code)
        if uploader is None:
            await self._later(row, "no-uploader")
            return
        state = PackageState(row.state)
        if state in (PackageState.CLAIMED, PackageState.INFLIGHT):
            now = self._clock()
            await self._write(lambda c: take_over(c, row.id, state, now))
        elif state is PackageState.SEALED:
            await self._send(row, uploader)
        elif state is PackageState.UNKNOWN:
            await self._ask(row, uploader)
        elif state is PackageState.SUBMITTED:
            await self._fetch(row, uploader)

    def _write(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Under the fence of the step that is being done."""
        fence = self._fence.get()

        def fenced(connection: Connection) -> T:
            fence(connection)
            return work(connection)

        return self._writer.write(fenced)

    async def _send(self, row: AnyRow, uploader: Uploader) -> None:
        if not self._may_still_be_sent(row):
            await self._write(lambda c: retire_package(c, row.id))
            log_event(_log, "package.stale", package_id=row.id)
            return
        try:
            sealed = await asyncio.to_thread(self._load, row)
        except PackageFileDamaged as error:
            # Of a sealed package nothing is at the gateway, so its records may go in another.
            await self._write(lambda c: retire_package(c, row.id))
            log_event(_log, "package.stale", package_id=row.id, error=error)
            return
        try:
            strays = await self._gate(row, sealed, uploader)
        except (CredentialMismatch, InstitutionsDisagree, NotDelivered) as error:
            log_event(_log, "package.failed", package_id=row.id, error_code=error.code)
            await self._later(row, error.code)
            return
        if strays:
            await self._write(lambda c: turn_back(c, row.id, strays))
            log_event(_log, "package.stale", package_id=row.id, error_code="agreement-disagrees")
            return
        started_at = self._clock()
        try:
            await self._write(
                lambda c: move_package(c, row.id, PackageState.CLAIMED, claimed_by="local")
            )
        except ForbiddenTransition:
            # An order in it was taken back just now, and the package was taken apart.
            return

        def intend(connection: Any) -> int:
            move_package(
                connection,
                row.id,
                PackageState.INFLIGHT,
                sent_at=started_at,
                attempts=row.attempts + 1,
            )
            move_package_records(connection, row.id, RecordState.INFLIGHT)
            return open_attempt(connection, row.id, "send", started_at)

        attempt_id = await self._write(intend)
        log_event(
            _log,
            "package.inflight",
            package_id=row.id,
            attempt=row.attempts + 1,
            channel=uploader.channel.name,
        )
        try:
            async with asyncio.timeout(self._send_timeout):
                receipt = await uploader.channel.submit(sealed, uploader.credential)
        except NotDelivered as error:
            await self._back_to_sealed(row, attempt_id, error)
        except RefusedByGateway as error:
            await self._refused(row, attempt_id, error)
        except HandedOver as error:
            await self._unknown(row, attempt_id, error.code)
        except (OutcomeUnknown, TimeoutError) as error:
            code = error.code if isinstance(error, OutcomeUnknown) else "time-out"
            await self._unknown(row, attempt_id, code)
        except Exception as error:  # noqa: BLE001 - bytes may have left: only "unknown" is honest
            log_event(_log, "service.fault", level=logging.ERROR, error=error)
            await self._unknown(row, attempt_id, f"fault-{type(error).__name__}")
        else:
            await self._confirmed(row, attempt_id, receipt)

    async def _ask(self, row: AnyRow, uploader: Uploader) -> None:
        since = self._unknown_since.setdefault(row.id, self._elapsed())
        sealed = await asyncio.to_thread(self._named, row)
        now = self._clock()
        attempt_id = await self._write(lambda c: open_attempt(c, row.id, "ask", now))
        try:
            async with asyncio.timeout(self._send_timeout):
                answer = await uploader.channel.query(sealed, uploader.credential)
        except (LabbrokerError, TimeoutError) as error:
            code = error.code if isinstance(error, LabbrokerError) else "time-out"
            await self._close_and_wait(row, attempt_id, code, row.absences)
            return
        if answer.arrival is Arrival.ARRIVED and answer.receipt is not None:
            await self._confirmed(row, attempt_id, answer.receipt)
            return
        absences = row.absences + (answer.arrival is Arrival.ABSENT)
        settled = self._elapsed() - since >= self._settle.total_seconds()
        if answer.arrival is Arrival.ABSENT and settled and absences >= _ABSENCES:
            await self._proved_absent(row, attempt_id)
        else:
            outcome = answer.reason or answer.arrival.value
            await self._close_and_wait(row, attempt_id, outcome, absences)

    async def _gate(
        self, row: AnyRow, sealed: SealedPackage, uploader: Uploader
    ) -> tuple[Stray, ...]:
        agreements = self._agreements
        records = await self._write(lambda c: packed_records(c, row.id)) if agreements else ()

        def look() -> tuple[Stray, ...]:
            credential_code = uploader.credential.institution_code
            return pass_gate(
                sealed, uploader.institution_code, credential_code, records, agreements
            )

        return await asyncio.to_thread(look)

    async def _fetch(self, row: AnyRow, uploader: Uploader) -> None:
        sealed = await asyncio.to_thread(self._named, row)
        receipt = ChannelReceipt(row.receipt_number, row.confirmed_at)
        try:
            async with asyncio.timeout(self._send_timeout):
                raw = await uploader.channel.fetch_verdict(sealed, receipt, uploader.credential)
            reports = await asyncio.to_thread(uploader.open_verdict, raw) if raw else ()
        except (LabbrokerError, TimeoutError) as error:
            code = error.code if isinstance(error, LabbrokerError) else "time-out"
            log_event(_log, "verdict.unreadable", package_id=row.id, error_code=code)
            await self._later(row, code, self._poll)
            return
        if raw is None:
            await self._later(row, "", self._poll)
            return
        now = self._clock()
        counts = await self._write(
            lambda c: store_verdict(c, row.id, raw, reports, now, self._poll)
        )
        log_event(
            _log,
            "package.checked",
            package_id=row.id,
            accepted=counts.accepted,
            rejected=counts.rejected,
            unread=counts.unread,
        )
        if counts.released:
            self._on_replayed()

    def _may_still_be_sent(self, row: AnyRow) -> bool:
        """h16's date must be today or yesterday in Taipei (seed S004, p. 4)."""
        age: timedelta = self._clock().astimezone(TAIPEI).date() - row.upload_on
        return timedelta(0) <= age <= timedelta(days=1)

    def _load(self, row: AnyRow) -> SealedPackage:
        """The frozen bytes. Raises :class:`PackageFileDamaged`."""
        raw_zip: bytes | None = None
        with suppress(FileNotFoundError):
            raw_zip = self._package_path(row.stem).read_bytes()
        if raw_zip is None or hashlib.sha256(raw_zip).hexdigest() != row.sha256:
            raw_zip = self._stored_file(row.id)
        if raw_zip is None or hashlib.sha256(raw_zip).hexdigest() != row.sha256:
            raise PackageFileDamaged(stem=row.stem)
        return self._sealed(row, raw_zip)

    def _named(self, row: AnyRow) -> SealedPackage:
        """For questions about a package: name and checksum tell it, even if its file is lost."""
        try:
            return self._load(row)
        except PackageFileDamaged:
            return self._sealed(row, b"")

    @staticmethod
    def _sealed(row: AnyRow, raw_zip: bytes) -> SealedPackage:
        return SealedPackage(
            package_id=row.id,
            stem=row.stem,
            institution_code=row.institution_code,
            raw_zip=raw_zip,
            sha256=row.sha256,
        )

    async def _confirmed(self, row: AnyRow, attempt_id: int, receipt: ChannelReceipt) -> None:
        now = self._clock()
        # A time that cannot be is not taken for the one that counts; the raw answer is kept.
        earliest = (row.sent_at or row.sealed_at) - _CLOCKS_DIFFER
        plausible = earliest <= receipt.confirmed_at <= now + _CLOCKS_DIFFER
        confirmed_at = receipt.confirmed_at if plausible else now

        def confirm(connection: Any) -> None:
            close_attempt(connection, attempt_id, now, "confirmed", raw_answer=receipt.raw_answer)
            move_package(
                connection,
                row.id,
                PackageState.SUBMITTED,
                receipt_number=receipt.receipt_number,
                confirmed_at=confirmed_at,
                error_code="",
                next_at=now + self._poll,
            )
            confirm_records(connection, row.id, confirmed_at)

        await self._write(confirm)
        self._unknown_since.pop(row.id, None)
        log_event(_log, "package.submitted", package_id=row.id)

    async def _back_to_sealed(self, row: AnyRow, attempt_id: int, error: LabbrokerError) -> None:
        now = self._clock()
        wait = timedelta(seconds=_BACKOFF[min(row.attempts, len(_BACKOFF) - 1)])

        def undo(connection: Any) -> None:
            close_attempt(connection, attempt_id, now, "not_delivered", error.code)
            move_package(
                connection,
                row.id,
                PackageState.SEALED,
                next_at=now + wait,
                error_code=error.code,
            )
            move_package_records(connection, row.id, RecordState.SEALED)

        await self._write(undo)
        log_event(_log, "package.not_delivered", package_id=row.id, error_code=error.code)

    async def _refused(self, row: AnyRow, attempt_id: int, error: RefusedByGateway) -> None:
        now = self._clock()
        reason = str(error.parameters.get("gateway_code", "") or error.code)

        def refuse(connection: Any) -> int:
            records = active_records(connection, row.id)
            close_attempt(connection, attempt_id, now, "refused", error.code)
            move_package(
                connection,
                row.id,
                PackageState.FAILED,
                error_code=error.code,
                error_text=str(error),
                next_at=None,
            )
            move_package_records(
                connection, row.id, RecordState.REJECTED, verdict_code=reason, checked_at=now
            )
            release_records(connection, row.id)
            return release_waiting(connection, records)

        released = await self._write(refuse)
        log_event(_log, "package.refused", package_id=row.id, error_code=error.code)
        if released:
            self._on_replayed()

    async def _unknown(self, row: AnyRow, attempt_id: int, code: str) -> None:
        now = self._clock()
        self._unknown_since[row.id] = self._elapsed()

        def suspend(connection: Any) -> None:
            close_attempt(connection, attempt_id, now, "unknown", code)
            move_package(
                connection,
                row.id,
                PackageState.UNKNOWN,
                next_at=now + self._ask_after(0),
                absences=0,
                error_code=code,
            )
            move_package_records(connection, row.id, RecordState.UNKNOWN)

        await self._write(suspend)
        if code == HandedOver.code:
            log_event(_log, "package.handed_over", package_id=row.id)
        else:
            log_event(_log, "package.unknown", package_id=row.id, error_code=code)

    async def _proved_absent(self, row: AnyRow, attempt_id: int) -> None:
        """The gateway denied it often and late enough: the same bytes may go, while in date."""
        now = self._clock()
        fresh = self._may_still_be_sent(row)

        def requeue(connection: Any) -> None:
            close_attempt(connection, attempt_id, now, "absent")
            if fresh:
                move_package(connection, row.id, PackageState.SEALED, next_at=now, absences=0)
                move_package_records(connection, row.id, RecordState.SEALED)
            else:
                retire_package(connection, row.id)

        await self._write(requeue)
        self._unknown_since.pop(row.id, None)
        log_event(_log, "package.resolved", package_id=row.id, state="absent")

    async def _close_and_wait(
        self, row: AnyRow, attempt_id: int, outcome: str, absences: int
    ) -> None:
        now = self._clock()

        def wait(connection: Any) -> None:
            close_attempt(connection, attempt_id, now, outcome)
            look_again_at(
                connection,
                row.id,
                now + self._ask_after(row.absences + 1),
                absences=absences,
                error_code=outcome,
            )

        await self._write(wait)

    def _ask_after(self, asked: int) -> timedelta:
        """A few questions inside the settling time, then a steady rhythm."""
        return min(self._settle / 4 * (asked + 1), timedelta(minutes=10)) or timedelta(seconds=1)

    async def _later(
        self, row: AnyRow, error_code: str, wait: timedelta = timedelta(minutes=1)
    ) -> None:
        at = self._clock() + wait
        await self._write(lambda c: look_again_at(c, row.id, at, error_code=error_code))
