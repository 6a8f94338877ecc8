"""Synthetic HL7 v2 messages for the tests of the HL7 door. All people are invented."""

from __future__ import annotations

from adapters.hl7.oru import read_hl7
from mapping.parsed import ParsedPayload
from mapping.profile import Hl7Dialect, SourceProfile
from mapping.report import LabReport, Observation

LAB = "9412345678"
CLINIC = "3501200000"
NATIONAL_ID = "A123456789"
PROFILE = SourceProfile("lab-a", lab_code=LAB, clinic_code=CLINIC)

MSH = r"MSH|^~\&|LIS|LAB|BROKER|HOSP|20260321230233||ORU^R01^ORU_R01|C-1|P|2.5.1||||||UNICODE UTF-8"
PID = f"PID|1||{NATIONAL_ID}^^^MOI^NNTWN~000123^^^LAB^MR||王^小明||19700102|M"
ORC = "ORC|RE|P-1|F-1"
OBR = (
    "OBR|1|P-1^HIS|F-1^LIS|09005C^血液葡萄糖^L|||20260321080000|||||||20260321081500"
    "||||||||20260321090000|||F"
)
OBX = "OBX|1|NM|09005C^血液葡萄糖^L^2345-7^Glucose^LN||131|mg/dL|70-100|H|||F|||20260321080000"


def message(*segments: str) -> bytes:
    """Segments as one UTF-8 message with CR after each."""
    return "".join(segment + "\r" for segment in segments).encode()


def result(*segments: str) -> bytes:
    """A result message: our MSH, PID, ORC, OBR and then ``segments``."""
    return message(MSH, PID, ORC, OBR, *segments)


def observation_segment(**fields: str) -> str:
    """An OBX with single fields replaced: ``observation_segment(f5="7.1")``."""
    return with_fields(OBX, **fields)


def with_fields(segment: str, **fields: str) -> str:
    """A segment with fields replaced by number (``f25="C"``); MSH-1 counts as a field."""
    parts = segment.split("|")
    shift = 1 if parts[0] == "MSH" else 0
    for name, value in fields.items():
        number = int(name[1:]) - shift
        parts += [""] * (number + 1 - len(parts))
        parts[number] = value
    return "|".join(parts)


def read(raw: bytes, profile: SourceProfile = PROFILE) -> ParsedPayload:
    return read_hl7(raw, profile)


def read_report(raw: bytes, profile: SourceProfile = PROFILE) -> LabReport:
    """The only report of a payload."""
    (report,) = read(raw, profile).reports
    return report


def read_observation(profile: SourceProfile = PROFILE, **fields: str) -> Observation:
    """The only observation of a result whose OBX has fields replaced."""
    (observation,) = read_report(result(observation_segment(**fields)), profile).observations
    return observation


def codes(payload: ParsedPayload) -> dict[str, str]:
    """Finding codes with the place of the first one of each."""
    return {finding.code: finding.place for finding in reversed(payload.findings)}


def profile(
    *,
    clinics: dict[str, str] | None = None,
    charset: str = "utf-8",
    clinic_code: str = CLINIC,
    lab_code: str = LAB,
    dialect: Hl7Dialect | None = None,
) -> SourceProfile:
    return SourceProfile(
        "lab-a",
        lab_code=lab_code,
        clinic_code=clinic_code,
        charset=charset,
        clinics=clinics or {},
        hl7=dialect or Hl7Dialect(),
    )
