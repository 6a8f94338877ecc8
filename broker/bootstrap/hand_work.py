"""What a person at this machine asks of the running service: take a check report, fix a group, opt
an order out of the upload."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from adapters.ports.intake import Door, Intake, Media, Payload
from broker.choices import apply_decision, decision_json, read_decision, require_decision
from broker.code_maps import (
    MappedProfiles,
    decision_from_json,
    requeue_known,
    require_usable,
)
from broker.corrections import FixRequest, apply_part, outcome_json, parts_of, plan_fix
from broker.logs import log_event
from broker.opt_outs import apply_opt_out, read_opt_out, require_order
from broker.store.code_maps import add_decisions
from broker.store.corrections import CorrectionCounts
from broker.store.engine import open_snapshot
from broker.store.line_habits import Confirmation, load_habits
from broker.store.writer import Writer
from broker.web.control import Order
from mapping.line_habits import LineHabits
from mapping.profile import SourceProfile

_log = logging.getLogger(__name__)


class HandWork:
    """``replay`` reads a receipt again; ``on_ready`` wakes the scheduler, ``on_requeued`` the
    pipeline."""

    def __init__(
        self,
        writer: Writer,
        reader: Engine,
        intake: Intake,
        profiles: Mapping[str, SourceProfile],
        clock: Callable[[], datetime],
        *,
        replay: Callable[[int], Awaitable[bool]],
        on_ready: Callable[[], None],
        on_requeued: Callable[[], None] = lambda: None,
        habits: LineHabits | None = None,
    ) -> None:
        self._habits = habits or LineHabits()
        self._writer = writer
        self._reader = reader
        self._intake = intake
        self._profiles = profiles
        self._clock = clock
        self._replay = replay
        self._on_ready = on_ready
        self._on_requeued = on_requeued
        # Two people fixing the same group at once would plan on what the other changes.
        self._one_at_a_time = asyncio.Lock()

    def orders(self) -> Mapping[str, Order]:
        """The orders of the control door by their names."""
        return {
            "check-report": self._take_report,
            "fix": self._fix,
            "opt-out": self._opt_out,
            "decide": self._decide,
            "codes": self._decide_codes,
            "codes-confirm": self._confirm_codes,
        }

    async def _take_report(self, raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        """Store an opened check report; the pipeline applies it. The same bytes again are read
        again: meanwhile their package may be known."""
        name = query.get("name", "")
        payload = Payload("", Door.COMMAND, Media.CHECK_REPORT, raw, name=name)
        accepted = await self._intake.receive(payload)
        if accepted.duplicate:
            await self._replay(accepted.receipt_id)
        return {"receipt_id": accepted.receipt_id}

    async def _fix(self, raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        request = FixRequest(**json.loads(raw))
        async with self._one_at_a_time:
            return await self.fix(request)

    async def _opt_out(self, raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        """Keep what was asked for as a receipt, then mark the order of the visit."""
        request = read_opt_out(json.loads(raw))

        def look() -> None:
            with open_snapshot(self._reader) as connection:
                require_order(connection, request)

        await asyncio.to_thread(look)
        receipt = await self._intake.receive(request.payload(self._clock()))
        outcome = await self._writer.write(lambda c: apply_opt_out(c, request))
        log_event(_log, "order.opted_out", receipt_id=receipt.receipt_id, records=outcome.orders)
        if outcome.requeued:
            self._on_requeued()
        return outcome.to_json()

    async def _decide(self, raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        """Keep a person's decision about one record as a receipt, then apply it."""
        decision = read_decision(json.loads(raw))

        def look() -> None:
            with open_snapshot(self._reader) as connection:
                require_decision(connection, decision)

        await asyncio.to_thread(look)
        receipt = await self._intake.receive(decision.payload(self._clock()))
        requeued = await self._writer.write(
            lambda c: apply_decision(c, receipt.receipt_id, decision)
        )
        log_event(
            _log,
            "record.dismissed" if decision.visit_id is None else "record.matched",
            receipt_id=receipt.receipt_id,
        )
        if requeued:
            self._on_requeued()
        return decision_json(decision, receipt.receipt_id, requeued)

    async def _decide_codes(self, raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        """Store decisions about local codes; what waited for them is read again."""
        decisions = [decision_from_json(plain) for plain in json.loads(raw)]
        for decision in decisions:
            require_usable(decision, self._profiles)
        version = await self._writer.write(lambda c: add_decisions(c, decisions, self._clock()))
        if isinstance(self._profiles, MappedProfiles):
            with open_snapshot(self._reader) as connection:
                self._profiles.load(connection)
        # Only now: who reads a receipt again must know the codes.
        requeued = await self._writer.write(lambda c: requeue_known(c, self._profiles))
        log_event(_log, "codes.decided", records=len(decisions), receipts=requeued)
        if requeued:
            self._on_requeued()
        return {"version": version, "decisions": len(decisions), "requeued": requeued}

    async def _confirm_codes(self, raw: bytes, _: Mapping[str, str]) -> dict[str, Any]:
        """A person says that a changed unit, or changed ranges, of a code are right."""
        told = Confirmation(**json.loads(raw))
        confirmed = await self._writer.write(lambda c: told.store(c, self._clock()))
        with open_snapshot(self._reader) as connection:
            self._habits.load(load_habits(connection))
        requeued = await self._writer.write(told.requeue)
        log_event(_log, "codes.decided", records=confirmed, receipts=requeued)
        if requeued:
            self._on_requeued()
        return {"confirmed": confirmed, "requeued": requeued}

    async def fix(self, request: FixRequest) -> dict[str, Any]:
        """Plan, keep what was asked for as a receipt, then apply it part by part."""
        now = self._clock()

        def look() -> Any:
            with open_snapshot(self._reader) as connection:
                return plan_fix(connection, self._profiles, request, now)

        plan = await asyncio.to_thread(look)
        receipt = await self._intake.receive(plan.payload(now))
        counts = CorrectionCounts()
        for part in parts_of(plan):
            counts = counts.plus(
                await self._writer.write(
                    lambda c, part=part: apply_part(c, receipt.receipt_id, plan, part, now)  # type: ignore[misc]
                )
            )
        log_event(
            _log,
            "records.corrected",
            receipt_id=receipt.receipt_id,
            records=len(plan.corrections),
            ready=counts.ready,
            held=counts.held,
        )
        if counts.ready:
            self._on_ready()
        return outcome_json(plan, counts)
