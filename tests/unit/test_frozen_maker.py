from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from mapping.frozen_maker import maker_of
from mapping.report import Coding, Observation, ObservationStatus


def test_what_is_made_is_what_the_class_makes() -> None:
    make = maker_of(Observation)
    given = ((Coding("1"),), "5.0")
    assert make(*given, unit="g/L") == Observation(*given, unit="g/L")
    assert hash(make(*given)) == hash(Observation(*given))
    assert make(*given).status is ObservationStatus.FINAL
    assert repr(make(*given)) == repr(Observation(*given))


def test_what_is_made_cannot_be_changed() -> None:
    made = maker_of(Coding)("1")
    with pytest.raises(FrozenInstanceError):
        made.code = "2"  # type: ignore[misc]


def test_a_missing_or_unknown_field_is_refused() -> None:
    make = maker_of(Coding)
    with pytest.raises(TypeError):
        make()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        make("1", other="2")  # type: ignore[call-arg]


@dataclass(frozen=True, slots=True)
class Checked:
    value: str

    def __post_init__(self) -> None:
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Filled:
    value: list[str] = field(default_factory=list)


@pytest.mark.parametrize("kind", [Checked, Filled])
def test_a_class_that_does_more_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match="more"):
        maker_of(kind)
