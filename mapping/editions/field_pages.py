"""What the editions say of each field, in words: for the reference page and ``explain``."""

from __future__ import annotations

from collections.abc import Iterable

from mapping.catalogue.programmes import implant_methods, implant_operation, implant_orders
from mapping.catalogue.tables import code_table
from mapping.editions.edition import Case, Edition, FieldRule, Requirement, Variant, editions
from mapping.errors import Language

_REQUIRED = {
    Requirement.ALWAYS: ("required", "必填"),
    Requirement.WHEN: ("required in some cases", "部分情形必填"),
    Requirement.EXPECTED: ("expected where known", "請填寫"),
    Requirement.OPTIONAL: ("optional", "非必填"),
}
_LENGTHS = {
    5: ("year and month", "年月"),
    7: ("date", "年月日"),
    11: ("date, hour, minute", "年月日時分"),
    13: ("date, hour, minute, second", "年月日時分秒"),
}
_FORMS = {
    "": ("", ""),
    "identifier": ("capital letters and digits", "大寫英文字母與數字"),
    "letter": ("one letter", "一個英文字母"),
    "letters": ("letters, each one a code", "英文字母，每一字母為一代碼"),
    "visit-serial": ("one of the forms of a visit serial", "就醫序號格式之一"),
}
_MOST_LISTED = 40
_IMPLANT_TAG = "r3"
_PLACES = {1: ("side", "側別"), 2: ("operation", "手術"), 3: ("approach", "入路")}
_JOINTS = {"": ("", ""), "knee": ("knee", "膝"), "hip": ("hip", "髖")}


def field_page(tag: str, language: Language, variant: Variant = Variant.DAILY) -> str:
    """The newest edition's word on a field, for people. Raises :class:`KeyError`."""
    rule = editions(variant)[-1].rule(tag)
    if rule is None:
        raise KeyError(tag)
    zh = language == "zh"
    lines = [f"{rule.tag}  {rule.name_zh if zh else rule.name_en}", ""]
    if not zh:
        lines.insert(1, f"    {rule.name_zh}")
    words = (_size(rule, zh), _need(rule, zh), *_content(rule, zh))
    lines += [word[0].upper() + word[1:] + ("。" if zh else ".") for word in words]
    if rule.codes:
        names = code_table(rule.codes)
        if len(names) <= _MOST_LISTED:
            lines.append("")
            lines += [
                f"    {code}  {name.name_zh if zh else name.name_en}"
                for code, name in names.items()
            ]
    if rule.tag == _IMPLANT_TAG:
        lines += ["", *_implant_lines(zh)]
    return "\n".join(lines) + "\n"


def fields_reference() -> str:
    """The tables of ``docs/reference/nhi-fields.md``, one for each layout and part."""
    parts: list[str] = []
    for variant in Variant:
        edition = editions(variant)[-1]
        parts += [f"## {_TITLES[variant]} ({edition.name})", "", edition.document + ".", ""]
        parts += _table("The order (hdata)", edition.header)
        if variant is Variant.DAILY:
            parts += _table("Its rows (rdata)", edition.rows)
        else:
            parts += ["The rows (rdata) are those of the daily layout.", ""]
    parts += _code_tables(editions(Variant.DAILY)[-1])
    return "\n".join(parts).rstrip() + "\n"


_TITLES = {Variant.DAILY: "Daily layout", Variant.MONTHLY: "Monthly layout"}


def _table(title: str, rules: Iterable[FieldRule]) -> list[str]:
    lines = [f"### {title}", "", "| tag | 欄位 | field | size | required | content |"]
    lines.append("|---|---|---|---|---|---|")
    for rule in rules:
        content = "; ".join(_content(rule, zh=False))
        cells = (rule.tag, rule.name_zh, rule.name_en, _size(rule, False), _need(rule, False))
        lines.append("| " + " | ".join((f"`{cells[0]}`", *cells[1:], content)) + " |")
    return [*lines, ""]


def _code_tables(edition: Edition) -> list[str]:
    names = {rule.codes for rule in (*edition.header, *edition.rows) if rule.codes}
    lines = ["## Codes", ""]
    for name in sorted(names):
        table = code_table(name)
        lines += [f"### {name}", ""]
        if len(table) > _MOST_LISTED:
            lines += [f"{len(table)} codes, in `mapping/catalogue/{name}.csv`.", ""]
            continue
        lines += ["| code | 名稱 | name |", "|---|---|---|"]
        lines += [f"| `{code}` | {one.name_zh} | {one.name_en} |" for code, one in table.items()]
        lines.append("")
    return [*lines, *_implant_tables()]


def _implant_lines(zh: bool) -> list[str]:
    """What r3 says in rows 4 and 5 of joint implants (h1 = 4)."""
    lines = [
        "人工關節植入物（h1 = 4）r1 = 4、5：3 碼，依序為側別、手術、入路。"
        if zh
        else "Joint implants (h1 = 4), r1 = 4 and 5: three characters, side, operation, approach."
    ]
    for each in implant_methods():
        name = each.name_zh if zh else each.name_en
        kind = " ".join(part for part in (_PLACES[each.place][zh], _JOINTS[each.joint][zh]) if part)
        lines.append(f"    {each.place}  {each.code}  {name} ({kind})")
    for code in implant_orders():
        lines.append(f"    {code}: {_implant_form(code)}")
    return lines


def _implant_form(code: str) -> str:
    allowed = implant_operation(code)
    assert allowed is not None  # noqa: S101 - the code comes from the table
    parts = ("LR", allowed.operations, allowed.approaches)
    return " + ".join("/".join(sorted(each)) for each in parts)


def _implant_tables() -> list[str]:
    lines = ["### r3 of joint implants", ""]
    lines += ["h1 = 4, r1 = 4 and 5: side, operation, approach, one character each (p. 10).", ""]
    lines += ["| place | joint | code | 名稱 | name |", "|---|---|---|---|---|"]
    lines += [
        f"| {_PLACES[each.place][0]} | {each.joint} | `{each.code}` | {each.name_zh} "
        f"| {each.name_en} |"
        for each in implant_methods()
    ]
    lines += ["", "| order code | r3 |", "|---|---|"]
    lines += [f"| `{code}` | {_implant_form(code)} |" for code in implant_orders()]
    return [*lines, ""]


def _size(rule: FieldRule, zh: bool) -> str:
    kind = {"X": ("characters", "字元"), "9": ("digits", "位數字")}[rule.type][zh]
    if rule.length == 1 and not zh:
        kind = kind.removesuffix("s")
    if rule.exact:
        return f"{rule.length} {kind}"
    return f"最多 {rule.length} {kind}" if zh else f"up to {rule.length} {kind}"


def _need(rule: FieldRule, zh: bool) -> str:
    said = _REQUIRED[rule.required][zh]
    if not rule.when:
        return said
    cases = ("；或" if zh else ", or ").join(_case(case, zh) for case in rule.when)
    return f"{said}：{cases}" if zh else f"{said}: {cases}"


def _content(rule: FieldRule, zh: bool) -> list[str]:
    said: list[str] = []
    if rule.dates:
        kinds = ("、" if zh else " or ").join(_LENGTHS[length][zh] for length in rule.dates)
        said.append(f"民國{kinds}" if zh else f"ROC {kinds}")
    if rule.zero_time:
        said.append("時分不明時可填 0" if zh else "the time may be zeros where it is not known")
    if rule.form:
        said.append(_FORMS[rule.form][zh])
    if rule.codes:
        said.append(f"代碼表 {rule.codes}" if zh else f"a code of {rule.codes}")
    for case, codes in rule.narrowed:
        listed = ", ".join(sorted(codes))
        given = _case(case, zh)
        said.append(f"{given} 時僅能為 {listed}" if zh else f"only {listed} where {given}")
    for case in rule.blank:
        given = _case(case, zh)
        said.append(f"{given} 時不可填" if zh else f"left out where {given}")
    return said


def _case(case: Case, zh: bool) -> str:
    parts = [f"{tag} = {' / '.join(sorted(values))}" for tag, values in case]
    return ("且 " if zh else " and ").join(parts)
