"""FHIR XML reads like its JSON; what an attacker adds is refused."""

from __future__ import annotations

import pytest

from adapters.fhir import strict_xml
from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.fhir.errors import (
    DoctypeRefused,
    MalformedXml,
    NoUsableResult,
    PayloadTooLarge,
    TooDeep,
    XmlTooLarge,
)
from adapters.fhir.literals import literal_text
from adapters.fhir.representation import Format, write
from adapters.fhir.strict_xml import read_xml
from mapping.errors import UnreadablePayload
from tests.fhir.samples import PROFILE, encode, full_bundle

OBSERVATION = b"""<?xml version="1.0" encoding="UTF-8"?>
<f:Observation xmlns:f="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://hl7.org/fhir http://nowhere.example/x.xsd">
  <!-- a comment before the id -->
  <f:id value="x1"/>
  <f:text><f:status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">x</div></f:text>
  <f:extension url="http://a.example"><f:valueString value="y"/></f:extension>
  <f:status value="final"/>
  <f:code><f:coding><f:system value="http://loinc.org"/><f:code value="2345-7"/></f:coding></f:code>
  <f:valueQuantity><f:value value="13.20"/><f:unit value="mg/dL"/></f:valueQuantity>
</f:Observation>"""


def test_prefixes_comments_and_schema_hints_do_not_matter() -> None:
    resource = read_xml(OBSERVATION)
    assert resource["id"] == "x1"
    assert resource["code"]["coding"] == [{"system": "http://loinc.org", "code": "2345-7"}]
    assert literal_text(resource["valueQuantity"]["value"]) == "13.20"
    assert "text" not in resource
    assert "extension" not in resource


def test_the_same_bundle_reads_the_same_in_both_formats() -> None:
    made = full_bundle()
    as_json = read_fhir_json(encode(made), PROFILE)
    assert read_fhir_xml(write(made, Format.XML), PROFILE) == as_json


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b'<!DOCTYPE Observation><Observation xmlns="http://hl7.org/fhir"/>', DoctypeRefused),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><Observation xmlns="http://hl7.org/fhir"/>', None),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', DoctypeRefused),
        (b"<Observation", MalformedXml),
        (b"", MalformedXml),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', MalformedXml),
        (b'<a x="&undefined;"/>', MalformedXml),
        (b"\xff\xfe\x00", MalformedXml),
        (b'<?xml version="1.0" encoding="UTF-8"?><a b="\xff"/>', MalformedXml),
    ],
)
def test_unsafe_and_broken_xml_is_refused(
    raw: bytes, error: type[UnreadablePayload] | None
) -> None:
    with pytest.raises(error or DoctypeRefused):
        read_xml(raw)


def test_size_depth_and_number_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PayloadTooLarge):
        read_xml(OBSERVATION, limit=10)
    with pytest.raises(TooDeep):
        read_xml(b"<a>" * 120 + b"</a>" * 120)
    with pytest.raises(XmlTooLarge):
        read_xml(b"<a " + b" ".join(b'x%d="1"' % number for number in range(300)) + b"/>")
    monkeypatch.setattr(strict_xml, "MAX_ELEMENTS", 20)
    with pytest.raises(XmlTooLarge):
        read_xml(b"<a>" + b"<b/>" * 20 + b"</a>")


@pytest.mark.parametrize(
    "value",
    [
        b"<value>13.20</value>",
        b'<value value="5_6"/>',
        b'<value value="+3.0"/>',
        b'<value value="1" unit="x"/>',
        b'<value value="1"><more value="2"/></value>',
        b'<value value="1"/>stray text',
        b'<value value="1"/><value value="2"/>',
        b'<value value="1"/><x:value xmlns:x="urn:x" value="2"/>',
        b'<value value="1"/><surprise value="2"/>',
    ],
)
def test_a_value_that_xml_could_hide_is_refused_not_lost(value: bytes) -> None:
    plain = (
        b'<Observation xmlns="http://hl7.org/fhir"><status value="final"/>'
        b'<code><text value="x"/></code><valueQuantity>%b</valueQuantity></Observation>'
    )
    assert read_fhir_xml(plain % b'<value value="1"/>', PROFILE).reports
    with pytest.raises(NoUsableResult):
        read_fhir_xml(plain % value, PROFILE)
