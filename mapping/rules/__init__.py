"""The checks before upload, each named by the NHI code that it prevents."""

from mapping.rules.context import RuleContext, Validity
from mapping.rules.package import check_package
from mapping.rules.record import check_record

__all__ = ["RuleContext", "Validity", "check_package", "check_record"]
