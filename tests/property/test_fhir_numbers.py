"""Whatever number a laboratory writes, and in whatever order it writes the rest, comes out so."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.fhir.representation import Format, write
from adapters.fhir.strict_json import read_json
from tests.fhir.samples import PROFILE, Number, encode, full_bundle, read_or_refuse

decimals = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ue000"), min_size=1
).filter(lambda text: bool(text.strip()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def encode_any(value: Any) -> bytes:
    return json.dumps(value).encode()


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(decimals, decimals, decimals, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_text_of_a_decimal_survives_in_any_order_of_keys(
    number: str, low: str, high: str, order: random.Random
) -> None:
    made = full_bundle(
        valueQuantity={"value": Number(number), "unit": "U/L"},
        referenceRange=[
            {"low": {"value": Number(low)}, "high": {"value": Number(high), "unit": "U/L"}}
        ],
    )
    parsed = read_fhir_json(encode(shuffled(made, order)), PROFILE)
    (line,) = parsed.reports[0].observations
    assert (line.value, line.reference.low, line.reference.high) == (number, low, high)
    assert parsed == read_fhir_json(encode(made), PROFILE)
    as_xml = write(read_json(encode(made)), Format.XML)
    assert read_fhir_xml(as_xml, PROFILE).reports == parsed.reports


@given(texts, texts)
@settings(max_examples=60, deadline=None)
def test_texts_survive_character_by_character(value: str, unit: str) -> None:
    made = full_bundle(valueString=value, method={"text": unit})
    (line,) = read_fhir_json(encode(made), PROFILE).reports[0].observations
    assert (line.value, line.method) == (value, unit)


@given(st.binary(max_size=200) | json_values.map(encode_any))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for reader in (read_fhir_json, read_fhir_xml):
        assert read_or_refuse(reader, raw)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_bundle_with_any_part_replaced_is_read_or_refused(data: st.DataObject) -> None:
    made = full_bundle(data.draw(st.sampled_from(["transaction", "batch", "collection"])))
    holder: Any = made
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = data.draw(st.sampled_from(keys))
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
            holder = inner
            continue
        holder[key] = data.draw(json_values)
        break
    assert read_or_refuse(read_fhir_json, encode_any(made))
