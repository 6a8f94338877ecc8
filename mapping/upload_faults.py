"""Which record of an upload file is not well formed, in which field, and why.

NHI does not publish what it answers to such a file: a whole file may be refused for one sign. So
each record's own fault is told, and the others are read on. Texts hold tags and bytes, no values.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from mapping.finding import Finding

MARK = "\ud800"
"""Stands in decoded text for bytes without a meaning: no encoder and no XML reader lets it by."""
_LEVELS = frozenset(("patient", "hdata", "rdata"))
_TOKEN = re.compile(
    r"(?P<skip><!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>)"
    r"|<(?P<end>/?)(?P<tag>[A-Za-z_][\w.-]*)(?:\s[^<>]*?)?(?P<empty>/?)>"
    r"|(?P<sign>[<&\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff])",
    re.DOTALL,
)
_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")
_OPENED = re.compile(r"<([A-Za-z_][\w.-]*)[^<>]*>[^<]*$")
_ORDER_CODE = re.compile(r"<h1[58]>\s*([0-9A-Z]{3,12})\s*</h1[58]>")
_FULL_WIDTH = {"<": "＜", "&": "＆"}


class Undecoded(NamedTuple):
    """Bytes without a meaning: where they begin in the file, which they are, in which encoding."""

    offset: int
    raw: bytes
    encoding: str


def byte_faults(text: str, number: int, undecoded: deque[Undecoded]) -> tuple[Finding, ...]:
    """A finding for each field of record ``number`` that holds a ``MARK``, the first of each;
    ``undecoded`` loses what stands behind the marks of ``text``."""
    findings: dict[str, Finding] = {}
    for place in (match.start() for match in re.finditer(MARK, text)):
        found = undecoded.popleft()
        opened = _OPENED.search(text, 0, place)
        tag = opened.group(1) if opened else ""
        field = "" if tag in _LEVELS else tag
        about = {
            "bytes": found.raw.hex(" ").upper(),
            "offset": str(found.offset),
            "encoding": found.encoding,
        }
        finding = _finding("record-undecodable", field, text, number, about)
        findings.setdefault(field, finding)
    return tuple(findings.values())


def unclosed_fault(text: str, number: int) -> Finding:
    """Record ``number`` has no end: another one begins, or the file ends."""
    return _finding("record-not-closed", "", text, number, {})


def form_fault(text: str, number: int, line: int = 0, column: int = 0) -> Finding:
    """What is wrong with ``text``, all of record ``number`` but its end tag, which an XML reader
    refused, at ``line`` and ``column``."""
    open_tags: list[str] = []
    seen: list[set[str]] = [set()]
    last = 0
    for token in _TOKEN.finditer(text):
        between = text[last : token.start()]
        last = token.end()
        inside = open_tags[-1] if open_tags else ""
        field = "" if inside in _LEVELS else inside
        if sign := token["sign"]:
            if sign == "&" and _REFERENCE.match(text, token.start()):
                continue
            return _sign_fault(sign, field, text, number)
        if not field and between.strip():
            return _finding("record-text-astray", "", text, number, {})
        if token["skip"]:
            continue
        tag = token["tag"]
        if token["end"]:
            if tag != inside and field:
                return _finding("record-field-open", field, text, number, {"tag": f"/{tag}"})
            if tag != inside:
                return _finding("record-element-astray", tag, text, number, {"tag": f"/{tag}"})
            open_tags.pop()
            if tag == "rdata":
                seen.pop()
            elif between and tag not in _LEVELS:
                if tag in seen[-1]:
                    return _finding("record-field-twice", tag, text, number, {})
                seen[-1].add(tag)
        elif field:
            return _finding("record-field-open", field, text, number, {"tag": tag})
        elif token["empty"]:
            continue
        elif (tag == "rdata" and inside != "hdata") or (not open_tags and tag != "hdata"):
            return _finding("record-element-astray", tag, text, number, {"tag": tag})
        else:
            open_tags.append(tag)
            if tag == "rdata":
                seen.append(set())
    if open_tags and open_tags[-1] not in _LEVELS:
        return _finding("record-field-open", open_tags[-1], text, number, {"tag": "/hdata"})
    if open_tags[-1:] == ["rdata"]:
        return _finding("record-field-open", "rdata", text, number, {"tag": "/hdata"})
    about = {"line": str(line), "column": str(column)}
    return _finding("record-malformed", "", text, number, about)


def _sign_fault(sign: str, field: str, text: str, number: int) -> Finding:
    if sign in _FULL_WIDTH:
        about = {"sign": sign, "full": _FULL_WIDTH[sign]}
        return _finding("record-bare-sign", field, text, number, about)
    about = {"sign": f"U+{ord(sign):04X}"}
    return _finding("record-control-character", field, text, number, about)


def _finding(code: str, field: str, text: str, number: int, about: dict[str, str]) -> Finding:
    order = _ORDER_CODE.search(text)
    about = {
        "order": f" {order.group(1)}" if order else "",
        "where": f"{field}: " if field else "",
        **about,
    }
    return Finding(code, field, f"hdata[{number}]", "", parameters=tuple(about.items()))
