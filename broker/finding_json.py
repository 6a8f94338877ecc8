"""Findings as stored: plain structures, so that their texts can follow the reader's language."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mapping.finding import Finding, Severity


def findings_to_json(findings: Sequence[Finding]) -> str:
    """A JSON array, one object a finding; empty parts are left out."""
    return json.dumps(plain_findings(findings), ensure_ascii=False) if findings else "[]"


def plain_findings(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """One plain object a finding; empty parts are left out."""
    return [_plain(finding) for finding in findings]


def findings_from_json(text: str) -> tuple[Finding, ...]:
    """The inverse of :func:`findings_to_json`."""
    return tuple(
        Finding(
            code=item["code"],
            field=item.get("field", ""),
            place=item.get("place", ""),
            value=item.get("value", ""),
            severity=Severity(item["severity"]),
            parameters=tuple((name, value) for name, value in item.get("parameters", [])),
        )
        for item in json.loads(text)
    )


def _plain(finding: Finding) -> dict[str, object]:
    plain: dict[str, object] = {"code": finding.code, "severity": finding.severity.value}
    for name in ("field", "place", "value"):
        if getattr(finding, name):
            plain[name] = getattr(finding, name)
    if finding.parameters:
        plain["parameters"] = [list(pair) for pair in finding.parameters]
    return plain
