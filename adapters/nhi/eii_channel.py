"""The channel through NHI's EII library: ``NHI_SendB``, then ``NHI_DownloadB`` and ``NHI_GetB``.

The library tells nothing of a file that was sent; the proof that NHI has it is its check report
(facts: EII-S p. 6). So an unknown outcome is asked for by requesting the report, and nothing that
the library answers ever proves a file absent: 5023 is “waiting *or* no such case”. Where an agent
remembers what it called and what was answered, that is believed first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from adapters.nhi.eii_codes import Outcome, eii_code
from adapters.nhi.package_reports import arrival_of
from adapters.ports.channel import (
    Arrival,
    ChannelReceipt,
    CredentialUnusable,
    NotDelivered,
    OutcomeUnknown,
    QueryAnswer,
    RefusedByGateway,
    SealedPackage,
)
from adapters.ports.credential import Credential
from adapters.ports.eii_seat import CallLost, EiiSeat, SendAnswer
from mapping.errors import LabbrokerError
from mapping.verdict import CheckReport

_NOTHING_TAKEN = (Outcome.RETRY, Outcome.SETUP, Outcome.CREDENTIAL, Outcome.REFUSED)


class EiiChannel:
    """Implements ``adapters.ports.channel.SubmissionChannel``; close it.

    ``seat`` is where the library is. ``folder`` keeps a report that a question brought until it is
    fetched. ``open_verdict`` opens a report of an institution: ``(institution code, raw)``.
    """

    name = "eii"

    def __init__(
        self,
        seat: EiiSeat,
        folder: Path,
        *,
        open_verdict: Callable[[str, bytes], tuple[CheckReport, ...]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._seat = seat
        self._folder = folder
        self._open_verdict = open_verdict
        self._clock = clock

    async def close(self) -> None:
        """End what the seat holds open."""
        await self._seat.close()

    async def submit(self, package: SealedPackage, credential: Credential) -> ChannelReceipt:
        """Call ``NHI_SendB`` once."""
        try:
            answer = await self._seat.send(package)
        except CallLost as lost:
            raise OutcomeUnknown(reason=f"NHI_SendB: {lost.reason}") from None
        row = eii_code(answer.code)
        said = f"NHI_SendB {answer.code}: {row.zh}"
        if row.on_send is Outcome.DONE:
            return _receipt(answer)
        if row.on_send in (Outcome.RETRY, Outcome.SETUP):
            raise NotDelivered(reason=said)
        if row.on_send is Outcome.CREDENTIAL:
            raise CredentialUnusable(institution=package.institution_code, reason=said)
        if row.on_send is Outcome.REFUSED:
            raise RefusedByGateway(reason=said, gateway_code=str(answer.code))
        raise OutcomeUnknown(reason=said)

    async def query(self, package: SealedPackage, credential: Credential) -> QueryAnswer:
        """``ARRIVED`` when a check report names the package's records or the library's answer is
        remembered, ``ABSENT`` only where it is remembered that nothing was taken, else
        ``PENDING``. Raises ``OutcomeUnknown``."""
        try:
            recalled = await self._seat.recall(package)
            if recalled.never:
                return QueryAnswer(Arrival.ABSENT, reason="never-called")
            if recalled.answer is not None:
                outcome = eii_code(recalled.answer.code).on_send
                if outcome is Outcome.DONE:
                    return QueryAnswer(Arrival.ARRIVED, _receipt(recalled.answer))
                if outcome in _NOTHING_TAKEN:
                    return QueryAnswer(Arrival.ABSENT, reason="nothing-taken")
            raw = await self._seat.report(package)
            reports = (
                await asyncio.to_thread(self._open_verdict, package.institution_code, raw)
                if raw
                else ()
            )
        except LabbrokerError as error:
            raise OutcomeUnknown(reason=f"the question failed: {error.code}") from error
        proof = await asyncio.to_thread(arrival_of, reports, package.raw_zip, self._clock())
        if proof is None:
            return QueryAnswer(Arrival.PENDING, reason="no-report-yet")
        if raw:
            await asyncio.to_thread(self._keep, package, raw)
        return QueryAnswer(Arrival.ARRIVED, proof)

    async def fetch_verdict(
        self, package: SealedPackage, receipt: ChannelReceipt, credential: Credential
    ) -> bytes | None:
        """The ZIP that ``NHI_GetB`` brought, or None while there is none."""
        kept = self._folder / package.stem / "report.zip"
        try:
            if await asyncio.to_thread(kept.exists):
                raw = await asyncio.to_thread(kept.read_bytes)
                await asyncio.to_thread(kept.unlink)
                return raw
        except OSError as error:
            raise NotDelivered(reason=f"the work folder: {error.strerror}") from None
        return await self._seat.report(package)

    def _keep(self, package: SealedPackage, raw: bytes) -> None:
        place = self._folder / package.stem
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        (place / "report.zip").write_bytes(raw)


def _receipt(answer: SendAnswer) -> ChannelReceipt:
    raw = {"code": answer.code, "local_id": answer.local_id, "nhi_id": answer.nhi_id}
    return ChannelReceipt(answer.nhi_id, answer.answered_at, json.dumps(raw).encode("ascii"))
