"""Faults on demand: ordered one by one, or drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class GatewayFault(StrEnum):
    """``*_AFTER_ACCEPTING``: the ledger has the package, the sender does not know."""

    TIMEOUT_AFTER_ACCEPTING = "timeout-after-accepting"
    ERROR_AFTER_ACCEPTING = "error-after-accepting"
    CLOSE_AFTER_ACCEPTING = "close-after-accepting"
    LOGIN_PAGE_AFTER_ACCEPTING = "login-page-after-accepting"
    TRUNCATED_RECEIPT = "truncated-receipt"
    SLOW_ANSWER = "slow-answer"
    LAGGING_QUERY = "lagging-query"
    UNAVAILABLE_BEFORE_READING = "unavailable-before-reading"
    CLOSE_AT_HALF = "close-at-half"
    ERROR_BEFORE_READING = "error-before-reading"
    LOGIN_PAGE = "login-page"
    WRONG_INSTITUTION = "wrong-institution"
    MAINTENANCE = "maintenance"
    """Every request is answered 503 before reading, until it is cleared."""
    LOGIN_DOWN = "login-down"
    QUERY_DOWN = "query-down"
    REPORT_DOWN = "report-down"
    REPORT_DAMAGED = "report-damaged"


_OPERATIONS = {
    GatewayFault.LOGIN_DOWN: "login",
    GatewayFault.QUERY_DOWN: "query",
    GatewayFault.REPORT_DOWN: "report",
    GatewayFault.REPORT_DAMAGED: "report",
}
_DRAWN = tuple(
    fault
    for fault in GatewayFault
    if fault not in _OPERATIONS
    and fault not in (GatewayFault.MAINTENANCE, GatewayFault.WRONG_INSTITUTION)
)


@dataclass(slots=True)
class OrderedFault:
    """``times`` more requests meet it; 0 means all until it is cleared."""

    fault: GatewayFault
    times: int = 1
    duration: timedelta | None = None


class FaultPlan:
    """Answers which fault the next request meets."""

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        self._rate = rate
        self._seed = seed
        self._attempts: dict[str, int] = {}
        self._ordered: list[OrderedFault] = []

    def order(self, fault: GatewayFault, times: int = 1, duration: timedelta | None = None) -> None:
        """Let the next ``times`` requests of its kind meet ``fault``, after those ordered."""
        self._ordered.append(OrderedFault(fault, times, duration))

    def clear(self) -> None:
        """Forget what was ordered; a seeded rate stays."""
        self._ordered.clear()

    def waiting(self) -> list[dict[str, object]]:
        """What is ordered and not met yet."""
        return [{"fault": str(entry.fault), "times": entry.times} for entry in self._ordered]

    def maintenance(self) -> bool:
        """Whether a maintenance window is open."""
        return any(entry.fault is GatewayFault.MAINTENANCE for entry in self._ordered)

    def next_fault(self, operation: str, name: str = "") -> OrderedFault | None:
        """The fault of this request. ``operation``: login, submit, query or report.

        A drawn fault depends on seed, ``name`` and attempt alone, not on the order of arrival.
        """
        for entry in self._ordered:
            if _OPERATIONS.get(entry.fault, "submit") == operation:
                if entry.fault is GatewayFault.MAINTENANCE:
                    continue
                if entry.times == 1:
                    self._ordered.remove(entry)
                elif entry.times > 1:
                    entry.times -= 1
                return entry
        if operation != "submit" or self._rate <= 0:
            return None
        attempt = self._attempts[name] = self._attempts.get(name, 0) + 1
        dice = random.Random(f"{self._seed}:{name}:{attempt}")  # noqa: S311  not a secret
        return OrderedFault(dice.choice(_DRAWN)) if dice.random() < self._rate else None
