"""A scripted gateway and a broker's submission on one clock, with the oracle of the ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from broker.store.schema import package
from mapping.package_name import parse_stem
from tests.integration.scripted_gateway import Fate, Hook, ScriptedGateway
from tests.integration.submission_stage import CLINIC, Clock, SubmissionStage, standing

OTHER = "3501234568"


class Play:
    """A gateway and a broker on one clock. ``fates`` are the next sends'; then all goes well."""

    def __init__(self, folder: Path, hook: Hook | None = None, **stage: Any) -> None:
        self.clock = Clock()
        self.fates: list[Fate] = []
        self.lags: list[timedelta] = []
        self.gateway = ScriptedGateway(
            folder / "gateway",
            self.clock.true_time,
            fate=lambda: self.fates.pop(0) if self.fates else Fate.CONFIRMED,
            lag=lambda: self.lags.pop(0) if self.lags else timedelta(0),
        )
        uploaders = {code: self.gateway.uploader(code) for code in (CLINIC, OTHER)}
        self.stage = SubmissionStage(folder / "store", uploaders, self.clock, **stage)
        if hook is not None:
            self.gateway.hook = self.stage.hook = hook

    def ledger(self) -> dict[str, Any]:
        return self.gateway.ledger.summary()

    def assert_each_uploaded_once(self) -> None:
        ledger = self.ledger()
        assert ledger["duplicates"] == 0
        assert ledger["suspected"] == []
        assert {order["uploads"] for order in ledger["orders"]} <= {1}
        assert standing(ledger) == {each.national_id: each.value for each in self._told()}

    def _told(self) -> list[Any]:
        return list(self.stage.told.values())


def serials(stage: SubmissionStage) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in stage.rows(package):
        name = parse_stem(row.stem)
        found.setdefault(name.institution_code, []).append(name.serial)
    return {code: sorted(numbers) for code, numbers in found.items()}
