"""A laboratory whose codes nobody knows, and the ways to decide them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from broker.bootstrap.hand_work import HandWork
from broker.code_maps import (
    MappedProfiles,
    decision_to_json,
)
from broker.demo.messages import Line, Times, oru
from broker.demo.people import CLINIC, LAB, PEOPLE
from broker.store.code_maps import CodeDecision
from mapping.code_map import LocalCode
from tests.integration.broker_stage import NOW, PROFILE, Stage

UNLINKED = replace(PROFILE, codes={})
CREATININE = Line("K7", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
SETTINGS = f"""
data_dir = "store"
[mllp]
port = 0
[http]
port = 0
[logging]
file = "labbroker.log"
[[source]]
id = "lab"
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
default_method = "無"
default_unit = "無"
[[agreement]]
lab_code = "{LAB}"
clinic_code = "{CLINIC}"
route = "clinic"
"""


def result(control_id: str, *lines: Line, person: int = 1, service: str = "CHEM") -> bytes:
    number = f"N{control_id:0>6}"
    return oru(control_id, PEOPLE[person], service, number, lines, Times.before(NOW))


def decision(code: str, order: str, item: int | None = None, **change: Any) -> CodeDecision:
    return CodeDecision("lab", LocalCode(code), order, item, decided_by="Wang", **change)


def hands(stage: Stage, profiles: MappedProfiles) -> HandWork:
    async def replay(_: int) -> bool:
        return False

    return HandWork(
        stage.writer,
        stage.reader,
        stage.intake,
        profiles,
        lambda: stage.now,
        replay=replay,
        on_ready=lambda: None,
    )


def mapped(stage: Stage) -> MappedProfiles:
    """The stage's pipeline with code maps of the store, as the service builds it."""
    profiles = MappedProfiles({"lab": UNLINKED})
    stage.pipeline._profiles = profiles
    return profiles


async def decide(
    stage: Stage, profiles: MappedProfiles, decisions: Sequence[CodeDecision]
) -> dict[str, Any]:
    body = json.dumps([decision_to_json(each) for each in decisions]).encode()
    told = await hands(stage, profiles).orders()["codes"](body, {})
    await stage.work()
    return told
