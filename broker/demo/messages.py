"""The results of the demonstration, as three laboratories would send them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from broker.demo.people import CLINIC, LAB, PEOPLE, STRANGER, Person
from mapping.moment import TAIPEI

NHI_CODES = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw"
_ORGANIZATIONS = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/organization-identifier-tw"


@dataclass(frozen=True, slots=True)
class Line:
    """One result line: code, name, value type, value, unit, range, flag."""

    code: str
    name: str
    value_type: str
    value: str
    unit: str = ""
    reference: str = ""
    flag: str = "N"


@dataclass(frozen=True, slots=True)
class Times:
    """When the specimens were taken, received and reported, on a Taipei clock."""

    collected: datetime
    received: datetime
    reported: datetime

    @classmethod
    def before(cls, now: datetime) -> Times:
        """Taken the day before ``now``, reported an hour before it."""
        local = now.astimezone(TAIPEI).replace(microsecond=0)
        day = local.date() - timedelta(days=1)
        return cls(
            collected=datetime.combine(day, time(9, 10), TAIPEI),
            received=datetime.combine(day, time(15, 40), TAIPEI),
            reported=local - timedelta(hours=1),
        )


CBC = (
    Line("WBC", "White cell count", "NM", "6.50", r"10\S\3/uL", "4.00-10.00"),
    Line("RBC", "Red cell count", "NM", "4.71", r"10\S\6/ uL", "4.20-6.20"),
    Line("HGB", "Hemoglobin", "NM", "13.2", "g/dL", "M:13.0-17.0 F:12.0-15.0"),
    Line("HCT", "Hematocrit", "NM", "39.9", "%", "38.0-52.0"),
    Line("PLT", "Platelet", "NM", "245", r"10\S\3/uL", "150-400"),
    Line("MCV", "MCV", "NM", "84.7", "fL", "80.0-99.0"),
    Line("MCH", "MCH", "NM", "28.0", "pg", "26.0-34.0"),
    Line("MCHC", "MCHC", "NM", "33.1", "g/dL", "30.0-36.0"),
)
URINE = (
    Line("PRO", "蛋白", "ST", "(-)", "無", "(-)"),
    Line("GLU", "糖", "ST", "(-)", "無", "(-)"),
    Line("URO", "尿膽元", "ST", "0.1", "mg/dL", "0.1-1.0"),
    Line("BIL", "膽紅素", "ST", "(-)", "無", "(-)"),
    Line("SG", "比重", "NM", "1.015", "無", "1.005-1.030"),
    Line("COL", "顏色", "ST", "Yellow", "無", "Yellow"),
    Line("TUR", "混濁度", "ST", "Clear", "無", "Clear"),
    Line("PH", "酸鹼度", "NM", "6.0", "無", "5.0-8.0"),
    Line("LEU", "白血球酯酶", "ST", "(+)", "無", "(-)", "A"),
    Line("KET", "酮體", "ST", "(-)", "無", "(-)"),
    Line("SED", "尿沉渣", "ST", "WBC 5-10", "/HPF", "0-5", "A"),
    Line("OB", "潛血", "ST", "(-)", "無", "(-)"),
)


def oru(
    control_id: str,
    person: Person,
    service: str,
    number: str,
    lines: Sequence[Line],
    times: Times,
    *,
    status: str = "F",
    specimen: str = "Serum",
    processing: str = "P",
) -> bytes:
    """An ORU^R01 in UTF-8."""

    def stamp(at: datetime) -> str:
        return at.strftime("%Y%m%d%H%M%S")

    reported = times.reported + timedelta(minutes=5 if status == "C" else 0)
    segments = [
        f"MSH|^~\\&|LIS|{LAB}|LABBROKER|{CLINIC}|{stamp(reported)}||ORU^R01^ORU_R01|{control_id}"
        f"|{processing}|2.5.1||||||UNICODE UTF-8",
        f"PID|1||{person.national_id}^^^^NNTWN||{person.name}||{person.birth_on:%Y%m%d}"
        f"|{person.sex}",
        f"ORC|RE||{number}|||||||||||||||||||{CLINIC}",
        f"OBR|1||{number}|{service}|||{stamp(times.collected)}|||||||{stamp(times.received)}"
        f"|{specimen}|||||||{stamp(reported)}|||{status}",
    ]
    segments += [
        f"OBX|{index}|{line.value_type}|{line.code}^{line.name}^L||{line.value}|{line.unit}"
        f"|{line.reference}|{line.flag}|||{status}|||{stamp(times.collected)}"
        for index, line in enumerate(lines, start=1)
    ]
    return ("\r".join(segments) + "\r").encode()


def hl7_messages(times: Times) -> list[tuple[str, bytes]]:
    """What the first laboratory sends over MLLP, each with what it shows."""
    one, two, three, four, five = PEOPLE
    glucose = Line("GLUC", "Glucose AC", "NM", "92", "mg/dL", "70-99")
    creatinine = Line("CREA", "Creatinine", "NM", "0.9", "mg/dL", "0.6-1.3")
    total = Line("CHOL", "Cholesterol", "NM", "183", "mg/dL", "<200")
    unknown = Line("XQ7", "Wonder marker", "NM", "3.1", "U/L", "1-5")
    retired = Line("OLD", "Retired order code", "NM", "4", "U/L", "1-5")
    no_range = Line("UA", "Uric acid", "NM", "6.2", "mg/dL")
    control = Line("GLUC", "Glucose AC", "NM", "101", "mg/dL")
    return [
        ("one chemistry result", oru("1", one, "GLUC", "H26001", (glucose,), times)),
        (
            "blood count, 8 lines",
            oru("2", one, "08011C^CBC^NHI", "H26002", CBC, times, specimen="Blood"),
        ),
        (
            "urine panel, 12 lines",
            oru("3", one, "06012C^Urine^NHI", "H26003", URINE, times, specimen="Urine"),
        ),
        ("creatinine", oru("4", two, "CREA", "H26004", (creatinine,), times)),
        ("one-sided range", oru("6", two, "CHOL", "H26006", (total,), times)),
        ("unknown local code", oru("7", four, "XQ7", "H26007", (unknown,), times)),
        ("no visit at the clinic", oru("8", STRANGER, "GLUC", "H26008", (glucose,), times)),
        ("breaks an NHI rule", oru("9", five, "UA", "H26009", (no_range,), times)),
        (
            "an order code NHI does not know",
            oru("11", four, "09100C^^NHI", "H26011", (retired,), times),
        ),
        ("quality control run", oru("10", three, "GLUC", "QC1", (control,), times, processing="Q")),
        ("the first one again", oru("1", one, "GLUC", "H26001", (glucose,), times)),
    ]


def corrected_message(times: Times) -> list[tuple[str, bytes]]:
    """The creatinine again, corrected, after NHI has accepted the first."""
    line = Line("CREA", "Creatinine", "NM", "1.9", "mg/dL", "0.6-1.3", "H")
    raw = oru("5", PEOPLE[1], "CREA", "H26004", (line,), times, status="C")
    return [("the creatinine, corrected", raw)]


def fhir_bundles(times: Times) -> list[tuple[str, bytes]]:
    """What the second laboratory posts to ``/fhir``."""
    two, three, four = PEOPLE[1], PEOPLE[2], PEOPLE[3]
    return [
        ("text result", bundle("F1", two, "06505C", "懷孕試驗", times, text="陰", low="陰")),
        (
            "lipid with exact decimals",
            bundle(
                "F2", three, "09044C", "LDL-C", times, value="103.20", unit="mg/dL", high="130.00"
            ),
        ),
        (
            "below the limit of detection",
            bundle(
                "F3",
                four,
                "09025C",
                "AST (GOT)",
                times,
                value="5",
                comparator="<",
                unit="U/L",
                low="8",
                high="38",
            ),
        ),
        (
            "HCV antibody",
            bundle(
                "F4", four, "12185C", "HCV RNA", times, text="Negative", unit="無", low="Negative"
            ),
        ),
    ]


def bundle(
    number: str,
    person: Person,
    order_code: str,
    name: str,
    times: Times,
    *,
    text: str = "",
    **quantity: str,
) -> bytes:
    """A transaction Bundle with one report of one observation, in JSON."""
    literal = quantity.get("value", "")
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": NHI_CODES, "code": order_code, "display": name}]},
        "subject": {"reference": "urn:uuid:patient"},
        "specimen": {"reference": "urn:uuid:specimen"},
        "effectiveDateTime": times.collected.isoformat(),
        "performer": [{"reference": "urn:uuid:lab"}],
    }
    unit = quantity.get("unit", "")
    if text:
        observation["valueString"] = text
        observation["referenceRange"] = [{"text": quantity.get("low", "")}]
    else:
        value = {"value": f"@{literal}@", "unit": unit}
        if "comparator" in quantity:
            value["comparator"] = quantity["comparator"]
        observation["valueQuantity"] = value
        observation["referenceRange"] = [
            {
                side: {"value": f"@{quantity[side]}@", "unit": unit}
                for side in ("low", "high")
                if side in quantity
            }
        ]
    observation["interpretation"] = [{"coding": [{"code": "N"}]}]
    resources: list[tuple[str, dict[str, Any]]] = [
        ("lab", _organization(LAB)),
        ("clinic", _organization(CLINIC)),
        ("patient", _patient(person)),
        ("specimen", _specimen(times)),
        ("order", _order(order_code, number)),
        ("observation", observation),
        ("report", _report(order_code, number, times)),
    ]
    body = {
        "resourceType": "Bundle",
        "type": "transaction",
        "identifier": {"system": "urn:demo:bundle", "value": number},
        "entry": [
            {
                "fullUrl": f"urn:uuid:{key}",
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for key, resource in resources
        ],
    }
    # FHIR numbers are written as the laboratory has them: 103.20 stays 103.20.
    written = json.dumps(body, ensure_ascii=False).replace('"@', "").replace('@"', "")
    for key, _ in resources:
        written = written.replace(
            f'urn:uuid:{key}"', f'urn:uuid:{uuid5(NAMESPACE_URL, number + key)}"'
        )
    return written.encode()


def result_file(times: Times) -> tuple[str, bytes]:
    """The file that the third laboratory drops: three results of one morning."""
    three, five = PEOPLE[2], PEOPLE[4]
    columns = (
        "national_id", "birth_on", "clinic_code", "accession_number", "order_code", "item_name",
        "value", "unit", "reference", "flag", "specimen", "collected_at", "received_at",
        "reported_at",
    )  # fmt: skip
    rows = [
        (three, "K1001", "09006C", "HbA1c", "5.6", "%", "4.0-6.0", "Blood"),
        (three, "K1002", "09026C", "ALT (GPT)", "41", "U/L", "0-40", "Serum"),
        (five, "K1003", "09002C", "BUN", "14.0", "mg/dL", "7～20", "Serum"),
    ]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for person, number, code, name, value, unit, reference, specimen in rows:
        writer.writerow(
            (
                person.national_id,
                person.birth_on.isoformat(),
                CLINIC,
                number,
                code,
                name,
                value,
                unit,
                reference,
                "H" if name.startswith("ALT") else "N",
                specimen,
                *(
                    at.strftime("%Y-%m-%d %H:%M")
                    for at in (times.collected, times.received, times.reported)
                ),
            )
        )
    return "results.csv", out.getvalue().encode()


def _organization(code: str) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": _ORGANIZATIONS, "value": code}],
    }


def _patient(person: Person) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "http://www.moi.gov.tw", "value": person.national_id}],
        "gender": "male" if person.sex == "M" else "female",
        "birthDate": person.birth_on.isoformat(),
    }


def _specimen(times: Times) -> dict[str, Any]:
    return {
        "resourceType": "Specimen",
        "type": {"text": "Serum"},
        "receivedTime": times.received.isoformat(),
        "collection": {"collectedDateTime": times.collected.isoformat()},
    }


def _order(order_code: str, number: str) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": NHI_CODES, "code": order_code}]},
        "subject": {"reference": "urn:uuid:patient"},
        "requester": {"reference": "urn:uuid:clinic"},
    }


def _report(order_code: str, number: str, times: Times) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": "urn:demo:report", "value": f"R{number}-2026"}],
        "status": "final",
        "code": {"coding": [{"system": NHI_CODES, "code": order_code}]},
        "subject": {"reference": "urn:uuid:patient"},
        "basedOn": [{"reference": "urn:uuid:order"}],
        "specimen": [{"reference": "urn:uuid:specimen"}],
        "effectiveDateTime": times.collected.isoformat(),
        "issued": times.reported.isoformat(),
        "performer": [{"reference": "urn:uuid:lab"}],
        "result": [{"reference": "urn:uuid:observation"}],
    }
