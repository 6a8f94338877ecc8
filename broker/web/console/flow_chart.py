"""The chart of the last day: bars for what came in, a line for what NHI has confirmed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.store.due_work import Hour
from broker.web.console.looks import clock_time

WIDTH, HEIGHT = 720, 168
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 4, 10, 22


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    arrived: int
    confirmed: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Lengths in the units of the view box (:data:`WIDTH` × :data:`HEIGHT`)."""

    bars: tuple[Bar, ...]
    line: str
    """The points of the polyline."""
    steps: tuple[tuple[float, int], ...]
    """Grid lines: height and value."""
    ticks: tuple[tuple[float, str], ...]
    """Times below: x and text."""
    arrived: int
    confirmed: int


def flow_chart(hours: Sequence[Hour]) -> Chart:
    """Lay out the hours, oldest at the left."""
    top = _round_up(max(4, *(max(each.arrived, each.confirmed) for each in hours)))
    room, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    step = room / max(1, len(hours))

    def at(value: int) -> float:
        return round(_TOP + tall * (1 - value / top), 1)

    bars = tuple(
        Bar(
            x=round(_LEFT + step * number + step * 0.18, 1),
            y=at(each.arrived),
            width=round(step * 0.64, 1),
            height=round(_TOP + tall - at(each.arrived), 1),
            label=clock_time(each.start),
            arrived=each.arrived,
            confirmed=each.confirmed,
        )
        for number, each in enumerate(hours)
    )
    line = " ".join(
        f"{round(_LEFT + step * (number + 0.5), 1)},{at(each.confirmed)}"
        for number, each in enumerate(hours)
    )
    ticks = tuple(
        (round(_LEFT + step * (number + 0.5), 1), clock_time(each.start))
        for number, each in enumerate(hours)
        if number % 4 == 3
    )
    return Chart(
        bars,
        line,
        tuple((at(value), value) for value in (0, top // 2, top)),
        ticks,
        sum(each.arrived for each in hours),
        sum(each.confirmed for each in hours),
    )


def _round_up(value: int) -> int:
    """An even 1, 2, 4, 6, 8 × 10ⁿ that is not less."""
    size = 1
    while True:
        for factor in (2, 4, 6, 8, 10):
            if factor * size >= value:
                return factor * size
        size *= 10
