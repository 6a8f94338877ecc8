"""What is remembered as sound changes no finding: cold and warm say the same of everything."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fhir import structure
from adapters.fhir.sound_parts import SoundParts
from adapters.fhir.strict_json import read_json
from adapters.fhir.structure import RESULT_TYPES, Examined, examine
from mapping.errors import UnreadablePayload
from tests.fhir.samples import Number, encode, observation, report

STATUSES = structure._STATUSES


def base_resources() -> list[dict[str, Any]]:
    lines = [
        observation(
            valueQuantity={"value": Number("5.60"), "unit": "mmol/L"},
            referenceRange=[{"low": {"value": Number("3.9")}, "text": "3.9-6.1"}],
            category=[{"text": "laboratory"}],
            interpretation=[{"text": "H"}],
            issued="2026-08-14T09:00:00Z",
        ),
        observation(valueString="陰性"),
        report("o1", "o2"),
    ]
    return [read_json(encode(line)) for line in lines]


def cold(resource: dict[str, Any]) -> Examined:
    return with_parts(SoundParts(STATUSES), resource)


def with_parts(parts: SoundParts, resource: dict[str, Any]) -> Examined:
    kept, structure._SOUND = structure._SOUND, parts
    try:
        return examine(copy.deepcopy(resource), "here")
    finally:
        structure._SOUND = kept


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from paths(item, (*path, key))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["final", "", " ", "\x00", "2026-02-30", "2026-08-13T24:00:00Z", "a b"]),
    st.just({}),
    st.just([]),
    st.just({"value": "5.6"}),
    st.just({"reference": "Patient/p 1"}),
    st.just([{"text": 1}]),
)


@settings(deadline=None)
@given(st.data())
def test_any_change_of_a_known_result_is_judged_as_if_it_were_new(data: st.DataObject) -> None:
    warm = SoundParts(STATUSES)
    for resource in base_resources():
        assert with_parts(warm, resource).findings == ()
    changed = copy.deepcopy(data.draw(st.sampled_from(base_resources())))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(sorted(paths(changed), key=str)))
        target = changed
        for step in path[:-1]:
            target = target[step]
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove":
            del target[path[-1]]
        elif change == "add" and isinstance(target, dict):
            names = ["valueString", "valueInteger", "unknown", "code", "effectivePeriod", "status"]
            target[data.draw(st.sampled_from(names))] = copy.deepcopy(data.draw(JUNK))
        else:
            target[path[-1]] = copy.deepcopy(data.draw(JUNK))
        if not list(paths(changed)):
            break
    if changed.get("resourceType") not in ("DiagnosticReport", "Observation"):
        return
    assert with_parts(warm, changed) == cold(changed)


def test_the_corpus_is_judged_alike_cold_and_warm(corpus: Path) -> None:
    warm = SoundParts(STATUSES)
    seen = 0
    for path in sorted((corpus / "fhir").rglob("*.json")):
        try:
            document = read_json(path.read_bytes())
        except UnreadablePayload:
            continue
        if not isinstance(document, dict):
            continue
        items = document.get("entry", [])
        entries = [it.get("resource") for it in items if isinstance(it, dict)]
        for resource in [document, *entries]:
            if isinstance(resource, dict) and resource.get("resourceType") in RESULT_TYPES:
                expected = cold(resource)
                assert with_parts(warm, resource) == expected, path
                assert with_parts(warm, resource) == expected, path
                seen += 1
    assert seen > 300
