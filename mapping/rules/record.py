"""All checks of one record before it may leave, by the edition in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from mapping.catalogue.programmes import has_programme, has_report_template
from mapping.editions.edition import Variant, edition_on
from mapping.finding import Finding, Severity
from mapping.monthly import in_daily_tags, monthly_tag, variant_of_values
from mapping.record import PlacedFields, UploadRecord, plain_values
from mapping.rocdate import is_roc_date, roc_date
from mapping.rules.claims import claim_findings
from mapping.rules.clean_records import CleanRecords
from mapping.rules.context import RuleContext
from mapping.rules.implants import implant_findings
from mapping.rules.monthly import claim_key_findings
from mapping.rules.order import ItemRule, item_findings, item_rules, order_findings
from mapping.rules.plan import FieldPlan, plan_for
from mapping.rules.programmes import companion_findings, is_of_programme, programme_findings
from mapping.rules.report_template import template_findings
from mapping.rules.visit import visit_findings

_HEADER = "hdata"
_PAST_IN_HEADER = ("h5", "h10", "h11", "h20", "h21")
_PAST_IN_MONTHLY_HEADER = ("h6", "h10", "h11", "h23", "h24")
_PAST_IN_ROW = ("r10", "r14")
_roc_date = lru_cache(maxsize=64)(roc_date)
_known: tuple[RuleContext | None, CleanRecords | None] = (None, None)


def check_record(record: UploadRecord, context: RuleContext) -> tuple[Finding, ...]:
    """What NHI would refuse, and what is worth a look, in the order header, rows, order.

    Takes records of both layouts and checks each by the edition of its own. Findings with an NHI
    code are errors; elements out of order are a warning, for records that were read from a file.
    ``place`` is ``hdata`` or ``rdata[n]``, n from 1. A field with an empty value counts as absent.
    Never raises for bad values.
    """
    clean = _clean_records(context)
    if clean.knows(record):
        claims = context.claims
        return () if claims is None else tuple(claim_findings(plain_values(record.header), claims))
    findings: list[Finding] = []
    header = plain_values(record.header)
    rows = [plain_values(fields) for fields in record.rows]
    variant = variant_of_values(header)
    plan = plan_for(edition_on(context.upload_on or context.today, variant), header)
    today = _roc_date(context.today)
    is_daily = variant is Variant.DAILY

    shape = plan.header.shape_of(header)
    if not shape.is_clean(header.values()):
        _check_level(header, plan.header, _HEADER, findings)
    is_read = type(record.header) is PlacedFields
    if is_read and shape.astray:
        findings.append(_astray(shape.astray, _HEADER, header))
    if not shape.complete:
        upload_time = "h16" if is_daily else monthly_tag("h16")
        for tag, code in plan.header.required:
            if tag not in header and (tag != upload_time or context.sealed):
                findings.append(_missing(code, tag, _HEADER))
        for tag in plan.header.expected:
            if tag not in header:
                findings.append(_expected(tag, _HEADER, 1))
    past = _PAST_IN_HEADER if is_daily else _PAST_IN_MONTHLY_HEADER
    if max([header.get(tag, "") for tag in past])[:7] > today:
        _check_past(header, past, _HEADER, today, findings)
    if is_daily:
        findings.extend(_header_findings(header, context))
    else:
        month = header.get("h4", "")
        findings.extend(claim_key_findings(header))
        header = in_daily_tags(header)
        told = (
            replace(finding, field=monthly_tag(finding.field))
            for finding in _header_findings(header, context)
        )
        findings.extend(finding for finding in told if finding not in findings)
        header["h4"] = month
    order_code = header.get("h15", "")
    _check_rows(rows, plan.row, is_read, header.get("h1") == "1", order_code, today, findings)
    if header.get("h1") == "4":
        findings.extend(implant_findings(header, rows))
    elif not findings and is_daily:
        items, _, has_template = _row_rules(order_code)
        if not has_template and not is_of_programme(order_code, rows):
            clean.learn(record, plan, any(rule.words for rule in items.values()))
    return tuple(findings)


def _clean_records(context: RuleContext) -> CleanRecords:
    """What is known in this context; in a claim each order is looked up anew."""
    global _known
    known_context, known = _known
    if known is None or (context is not known_context and context != known_context):
        known = CleanRecords(_roc_date(context.today))
        _known = context, known
    return known


def _header_findings(header: Mapping[str, str], context: RuleContext) -> list[Finding]:
    """Header values against each other and against lists, by their daily tags."""
    findings = [*visit_findings(header, context), *order_findings(header, context)]
    if context.claims is not None:
        findings.extend(claim_findings(header, context.claims))
    return findings


def _check_rows(
    rows: Sequence[Mapping[str, str]],
    plan: FieldPlan,
    is_read: bool,
    needs_reference: bool,
    order_code: str,
    today: str,
    findings: list[Finding],
) -> None:
    if not rows:
        findings.append(Finding("no-rows", "r1", _HEADER))
    items, in_programme, has_template = _row_rules(order_code)
    numbers: set[str] = set()
    absent: dict[str, list[int]] = {}
    for index, row in enumerate(rows, start=1):
        place = f"rdata[{index}]"
        shape = plan.shape_of(row)
        if not shape.is_clean(row.values()):
            _check_level(row, plan, place, findings)
        if is_read and shape.astray:
            findings.append(_astray(shape.astray, place, row))
        if shape.gap is not None:
            tag, before = shape.gap
            about = (("before", before),)
            findings.append(Finding("report-text-gap", tag, place, "", Severity.WARNING, about))
        if not shape.complete:
            for tag, code in plan.required:
                if tag not in row:
                    findings.append(_missing(code, tag, place))
        if needs_reference and "r6-1" not in row and "r6-2" not in row:
            findings.append(Finding("14", "r6-1", place))
        if not shape.complete:
            for tag in plan.expected:
                if tag not in row:
                    absent.setdefault(tag, []).append(index)
        if row.get("r10", "")[:7] > today or row.get("r14", "")[:7] > today:
            _check_past(row, _PAST_IN_ROW, place, today, findings)
        if items:
            findings.extend(item_findings(items, row, place))
        if in_programme:
            findings.extend(programme_findings(order_code, row, place))
        if has_template:
            findings.extend(template_findings(row, place))
        number = row.get("r1", "")
        if number in numbers:
            findings.append(Finding("repeated-row-number", "r1", place, number))
        elif number:
            numbers.add(number)
    if in_programme:
        findings.extend(companion_findings(order_code, rows))
    for tag, places in absent.items():
        findings.append(_expected(tag, f"rdata[{places[0]}]", len(places)))


def _check_level(
    values: Mapping[str, str], plan: FieldPlan, place: str, findings: list[Finding]
) -> None:
    checks = plan.checks
    for tag, value in values.items():
        check = checks.get(tag)
        if check is None:
            right = tag.lower()
            if right in checks and right != tag:
                about = (("right", right),)
                findings.append(Finding("field-in-capitals", tag, place, value, parameters=about))
            else:
                findings.append(Finding("unknown-field", tag, place, value))
        elif problems := check[value]:
            for code, severity, parameters in problems:
                findings.append(Finding(code, tag, place, value, severity, parameters))
    if plan.blank:
        for tag in plan.blank.intersection(values):
            findings.append(Finding("07", tag, place, values[tag]))


def _astray(tag: str, place: str, values: Mapping[str, str]) -> Finding:
    return Finding("element-out-of-order", tag, place, values[tag], Severity.WARNING)


@lru_cache(maxsize=1024)
def _row_rules(order_code: str) -> tuple[Mapping[str, ItemRule], bool, bool]:
    return item_rules(order_code), has_programme(order_code), has_report_template(order_code)


def _check_past(
    values: Mapping[str, str], tags: Sequence[str], place: str, today: str, findings: list[Finding]
) -> None:
    for tag in tags:
        day = values.get(tag, "")[:7]
        if day > today and is_roc_date(day):
            findings.append(Finding("future-date", tag, place, values[tag], Severity.WARNING))


def _missing(code: str, tag: str, place: str) -> Finding:
    measure = (("measure", "(0 < 1)"),) if code == "01" else ()
    return Finding(code, tag, place, parameters=measure)


def _expected(tag: str, place: str, count: int) -> Finding:
    parameters = (("count", str(count)),)
    return Finding("expected-field-empty", tag, place, "", Severity.WARNING, parameters)
