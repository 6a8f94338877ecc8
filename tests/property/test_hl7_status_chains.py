"""Preliminary, final, corrected and cancelled words on one report, through the store: whatever
order they arrive in, what stands at the end is what the laboratory said last."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.demo.messages import Line, Times, oru
from broker.demo.people import PEOPLE
from mapping.record import record_from_json
from tests.integration.broker_stage import NOW, Stage, open_stage

TIMES = Times.before(NOW)


@dataclass(frozen=True)
class Word:
    """One version as the laboratory released it, ``at`` minutes after the first."""

    status: str
    value: str
    at: int

    def message(self) -> bytes:
        times = Times(
            TIMES.collected, TIMES.received, TIMES.reported - timedelta(minutes=120 - self.at)
        )
        line = Line("CREA", "Creatinine", "NM", self.value, "mg/dL", "0.6-1.3")
        name = f"{self.status}{self.at}"
        return oru(name, PEOPLE[1], "CREA", "N100001", (line,), times, status=self.status)


def chain(letters: str, values: Sequence[str] = ()) -> tuple[Word, ...]:
    """Words ten minutes apart; each has another value unless ``values`` says them."""
    said = values or [f"0.{number + 1}" for number in range(len(letters))]
    return tuple(
        Word(letter, value, number * 10)
        for number, (letter, value) in enumerate(zip(letters, said, strict=True))
    )


def standing(stage: Stage) -> list[str]:
    """The values that would be uploaded."""
    records = [
        record_from_json(json.loads(row.body)) for row in stage.records() if row.state == "ready"
    ]
    return [row["r4"].value for record in records for row in record.rows]


def outcome(words: Sequence[Word], visits_after: int = 0) -> list[str]:
    """What stands after the words came in this order; the visits came after so many of them."""

    async def play() -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_stage(Path(folder)) as stage:
                for number, word in enumerate(words):
                    if number == visits_after:
                        await stage.load_visits()
                    await stage.receive(word.message())
                if visits_after >= len(words):
                    await stage.load_visits()
                return standing(stage)

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("P", []),
        ("PF", ["0.2"]),
        ("PPF", ["0.3"]),
        ("FC", ["0.2"]),
        ("PFC", ["0.3"]),
        ("FCC", ["0.3"]),
        ("FX", []),
        ("PX", []),
        ("PFX", []),
        ("FCX", []),
    ],
)
def test_any_order_of_arrival_ends_in_what_was_said_last(letters: str, expected: list[str]) -> None:
    words = chain(letters)
    arrivals = list(permutations(words))
    found = {
        "".join(word.status + str(word.at) for word in order): outcome(order) for order in arrivals
    }
    assert found == dict.fromkeys(found, expected)


def test_a_value_that_was_said_before_is_the_last_word_again() -> None:
    words = chain("FCC", ("0.7", "0.8", "0.7"))
    found = {
        "".join(word.status + str(word.at) for word in order): outcome(order)
        for order in permutations(words)
    }
    assert {str(value) for value in found.values()} == {"['0.7']"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_long_chain_with_repeats_and_late_visits_ends_in_what_was_said_last(
    data: st.DataObject,
) -> None:
    letters = data.draw(
        st.tuples(st.integers(0, 2), st.just(1), st.integers(0, 2)).map(
            lambda counts: "P" * counts[0] + "F" + "C" * counts[2]
        )
    )
    values = data.draw(
        st.lists(
            st.decimals("0.6", "1.3", places=2).map(str),
            min_size=len(letters),
            max_size=len(letters),
            unique=True,
        )
    )
    words = chain(letters, values)
    repeats = data.draw(st.lists(st.sampled_from(words), max_size=2))
    order = data.draw(st.permutations([*words, *repeats]))
    visits_after = data.draw(st.integers(0, len(order)))
    assert outcome(order, visits_after) == [values[-1]]
