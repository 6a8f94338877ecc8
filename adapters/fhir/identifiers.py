"""Which identifier systems name a person, an institution or an NHI order code.

Sources: TW Core IG 0.3.3 (Patient-twcore, Organization-hosp-twcore, medical-service-payment-tw),
TWNHIFHIR pas 1.2.3 and ngs (own copies of the systems), and spellings that senders use instead.
Systems are compared without scheme, case and closing slash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from adapters.fhir.elements import Element, codes_of, element_of, elements_of, text_of


class KnownSystem(NamedTuple):
    """``name`` is compared without scheme, case and closing slash; one without a slash in front
    of its last part (``*/…``) is known by that part, since each guide carries its own copy."""

    meaning: str
    name: str
    seen_in: str


PERSON = "person"
INSTITUTION = "institution"
ORDER_CODE = "order code"

KNOWN_SYSTEMS = (
    KnownSystem(PERSON, "www.moi.gov.tw", "TW Core 0.3.3 Patient idCardNumber (身分證字號)"),
    KnownSystem(PERSON, "www.immigration.gov.tw", "TW Core 0.3.3 Patient residentNumber (居留證)"),
    KnownSystem(PERSON, "www.ris.gov.tw", "household registration; the TW Core quality gate"),
    KnownSystem(PERSON, "www.nhi.gov.tw/national-id", "NHI-FHIR-BRIDGE"),
    KnownSystem(
        INSTITUTION,
        "*/organization-identifier-tw",
        "TW Core 0.3.3 Organization-hosp; own copies in TWNHIFHIR pas, ngs, base (醫事機構代碼)",
    ),
    KnownSystem(
        ORDER_CODE, "*/medical-service-payment-tw", "TW Core 0.3.3 Observation, ServiceRequest"
    ),
    KnownSystem(ORDER_CODE, "*/nhi-medical-order-code", "NHI-FHIR-BRIDGE"),
    KnownSystem(ORDER_CODE, "*/nhi-ngs-payment", "TWNHIFHIR ngs ServiceRequest"),
)
"""All systems that are read for what they mean."""


def _names(meaning: str) -> frozenset[str]:
    found = (each for each in KNOWN_SYSTEMS if each.meaning == meaning)
    return frozenset(each.name.removeprefix("*/") for each in found)


PERSON_SYSTEMS = _names(PERSON)
INSTITUTION_SYSTEMS = _names(INSTITUTION)
ORDER_CODE_SYSTEMS = _names(ORDER_CODE)

_PERSON_TYPES = frozenset({"NNXXX", "NNTWN", "NI", "PRC"})
"""HL7 table 0203: national identifier, permanent resident card."""
_INSTITUTION_TYPES = frozenset({"PRN", "FI"})
_CODE_LENGTH = 10


def bare_system(system: str) -> str:
    """``https://www.moi.gov.tw/`` → ``www.moi.gov.tw``."""
    return system.strip().lower().partition("://")[2].rstrip("/") or system.strip().lower()


def is_order_code_system(system: str) -> bool:
    """Whether ``system`` holds NHI order codes (醫令代碼)."""
    return bare_system(system).rpartition("/")[2] in ORDER_CODE_SYSTEMS


def national_ids(identifiers: Iterable[Element]) -> list[str]:
    """The distinct values that claim to be a national id or permit number, official ones first."""
    found: list[tuple[bool, str]] = []
    for identifier in identifiers:
        value = text_of(identifier, "value").strip().upper()
        use = text_of(identifier, "use")
        if not value or use == "old":
            continue
        system = bare_system(text_of(identifier, "system"))
        types = {code.upper() for code in codes_of(element_of(identifier, "type"))}
        if system in PERSON_SYSTEMS or (types & _PERSON_TYPES and "passport" not in system):
            found.append((use != "official", value))
    return list(dict.fromkeys(value for _, value in sorted(found, key=lambda item: item[0])))


def institution_code(identifiers: Iterable[Element]) -> str:
    """The institution code (醫事機構代碼) among the identifiers of an Organization, or ``""``.

    Ten letters or digits: laboratories have codes such as ``JY01010089``.
    """
    by_type = ""
    for identifier in identifiers:
        value = text_of(identifier, "value").strip()
        if not value or text_of(identifier, "use") == "old":
            continue
        system = bare_system(text_of(identifier, "system"))
        if system.rpartition("/")[2] in INSTITUTION_SYSTEMS:
            return value
        ten = len(value) == _CODE_LENGTH and value.isascii() and value.isalnum()
        if ten and not by_type and codes_of(element_of(identifier, "type")) & _INSTITUTION_TYPES:
            by_type = value
    return by_type


def typed_value(identifiers: Iterable[Element], *types: str) -> str:
    """The value of the first identifier whose type is the earliest of ``types``, or ``""``."""
    listed = list(identifiers)
    for wanted in types:
        for identifier in listed:
            if wanted in codes_of(element_of(identifier, "type")):
                value = text_of(identifier, "value")
                if value:
                    return value
    return ""


def untyped_value(identifiers: Iterable[Element]) -> str:
    """The value of the first identifier that has no type, or ``""``."""
    for identifier in identifiers:
        if text_of(identifier, "value") and not elements_of(
            element_of(identifier, "type"), "coding"
        ):
            return text_of(identifier, "value")
    return ""
