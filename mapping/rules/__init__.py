"""The checks before upload, each named by the NHI code that it prevents."""

from mapping.rules.claims import ClaimedMonths, ClaimedOrder, ClaimList, ClaimLists
from mapping.rules.context import RuleContext, Validity
from mapping.rules.file_name import name_findings
from mapping.rules.lists import NO_LISTS, ImportedLists
from mapping.rules.package import check_package, numbered_package_findings, package_findings
from mapping.rules.record import check_record
from mapping.rules.unchecked import unchecked_codes

__all__ = [
    "NO_LISTS",
    "ClaimList",
    "ClaimLists",
    "ClaimedMonths",
    "ClaimedOrder",
    "ImportedLists",
    "RuleContext",
    "Validity",
    "check_package",
    "check_record",
    "name_findings",
    "numbered_package_findings",
    "package_findings",
    "unchecked_codes",
]
