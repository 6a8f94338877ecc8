"""``labbroker explain CODE``: what a code means, what raises it here, and how to put it right; and
``labbroker explain h25``: what the format says of a field."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from typing import TYPE_CHECKING

from mapping.catalogue.code_pages import CodePage, code_pages
from mapping.editions.field_pages import field_page
from mapping.errors import LabbrokerError, Language
from mapping.finding import finding_texts

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_PARAMETER = re.compile(r"\{(\w+)\}")


class UnknownCode(LabbrokerError):
    code = "unknown-code"
    en = ("There is no code {wanted}.", "Did you mean {nearest}? `labbroker explain` lists all.")
    zh = ("沒有代碼 {wanted}。", "是否為 {nearest}？`labbroker explain` 可列出所有代碼。")

    def __init__(self, wanted: str, nearest: str = "14") -> None:
        super().__init__(wanted=wanted, nearest=nearest)


class UnknownCodes(UnknownCode):
    en = ("There are no codes {wanted}.", UnknownCode.en[1])
    zh = ("沒有下列代碼：{wanted}。", UnknownCode.zh[1])


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "explain",
        description="Print the page of a code of NHI's check report, of a finding of ours, or of a "
        "field of the upload. Without CODE: list the codes of the check report.",
    )
    parser.add_argument("codes", nargs="*", metavar="CODE", help="14, A3, h25, unmapped-code …")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each code")


def run(arguments: argparse.Namespace) -> int:
    """0; prints what is known, then raises :class:`UnknownCode` for all that is not."""
    language: Language = arguments.language
    if not arguments.codes:
        for page in code_pages().values():
            sys.stdout.write(f"{page.code}  {page.name(language)}\n")
        return 0
    told: list[dict[str, str]] = []
    unknown: list[UnknownCode] = []
    for wanted in arguments.codes:
        try:
            told.append(_told(wanted, language))
        except UnknownCode as error:
            unknown.append(error)
    if arguments.json:
        for each in told:
            sys.stdout.write(json.dumps(each, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_text(each, language) for each in told))
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        wanted = ", ".join(str(each.parameters["wanted"]) for each in unknown)
        near = ", ".join(str(each.parameters["nearest"]) for each in unknown).split(", ")
        raise UnknownCodes(wanted, ", ".join(dict.fromkeys(near)))
    return 0


def _told(wanted: str, language: Language) -> dict[str, str]:
    """``code``, ``name``, ``official`` (the NHI's words or ``""``), ``raised`` and ``remedy``."""
    page = _page(wanted)
    if page is not None:
        return {
            "code": page.code,
            "name": page.name(language),
            "official": page.name_zh,
            "raised": page.raised(language),
            "remedy": page.remedy(language),
        }
    field = _field(wanted.lower(), language)
    if field is not None:
        return field
    texts = finding_texts().get(wanted.lower())
    if texts is None:
        known = list(dict.fromkeys((*code_pages(), *finding_texts())))
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
        raise UnknownCode(wanted=wanted, nearest=", ".join(near) or "14")
    text = {name: _PARAMETER.sub(r"‹\1›", each) for name, each in texts[language].items()}
    return {
        "code": wanted.lower(),
        "name": text["message"],
        "official": "",
        "raised": "",
        "remedy": text["remedy"],
    }


def _field(tag: str, language: Language) -> dict[str, str] | None:
    try:
        page = field_page(tag, language)
    except KeyError:
        return None
    head, _, body = page.partition("\n")
    name = head.split("  ", 1)[1]
    return {"code": tag, "name": name, "official": "", "raised": "", "remedy": "", "field": body}


def _page(wanted: str) -> CodePage | None:
    """``14``, ``a3`` and ``1`` are codes."""
    code = wanted.upper()
    return code_pages().get(code.zfill(2) if code.isascii() and code.isdigit() else code)


def _text(page: dict[str, str], language: Language) -> str:
    zh = language == "zh"
    lines = [f"{page['code']}  {page['name']}"]
    if page["official"] and not zh:
        lines.append(f"    {page['official']}")
    if page["raised"]:
        lines += ["", f"檢出條件：{page['raised']}" if zh else f"Raised here: {page['raised']}"]
    if "field" in page:
        return f"{lines[0]}\n{page['field']}"
    lines += ["", f"更正方式：{page['remedy']}" if zh else f"Remedy: {page['remedy']}"]
    return "\n".join(lines) + "\n"
