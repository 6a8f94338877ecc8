"""XML that nobody vouches for: decoded once and strictly, no DOCTYPE, bounded, streamed.

Big5 is read as CP950, the code page that Taiwanese software means by it. libxml2 never sees the
original bytes: its own Big5 lacks characters, and its messages may quote content.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from adapters.folder.formats.errors import TextUndecodable, XmlUnreadable

MAX_BYTES = 64 * 1024 * 1024
_MAX_MARKS = 2_000_000
_CHUNK = 1 << 16
_HEAD_BYTES = 64 * 1024

_ENCODINGS = {
    "big5": "cp950",
    "big-5": "cp950",
    "cp950": "cp950",
    "ms950": "cp950",
    "windows-950": "cp950",
    "x-windows-950": "cp950",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "us-ascii": "ascii",
    "ascii": "ascii",
}
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]*?\?>")
_ENCODING = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"'][^>]*?\?>")
_SKIPPED = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)+", re.DOTALL)
_ROOT = re.compile(r"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)((?:\s[^<>]*)?)/?>")
_NAMESPACE = re.compile(r"\sxmlns(?::([\w.-]+))?\s*=\s*[\"']([^\"']*)[\"']")


@dataclass(frozen=True, slots=True)
class XmlRoot:
    """The root element as its start tag shows it."""

    name: str
    namespace: str = ""
    is_empty: bool = False
    """Closed by its own start tag."""


def peek_root(raw: bytes) -> XmlRoot | None:
    """The root of what looks like XML, read from its first bytes only; None where it is none."""
    head = raw[:_HEAD_BYTES]
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = codecs.getincrementaldecoder("utf-16")().decode(head)
        except UnicodeDecodeError:
            return None
    else:
        # Markup is ASCII in all the other encodings: "<" and ">" are no Big5 trail bytes.
        text = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    skipped = _SKIPPED.match(text)
    root = _ROOT.match(text, skipped.end() if skipped else 0)
    if root is None:
        return None
    prefix = (root.group(1) or "")[:-1]
    namespaces = dict(_NAMESPACE.findall(root.group(3)))
    return XmlRoot(root.group(2), namespaces.get(prefix, ""), root.group().endswith("/>"))


def xml_encoding(raw: bytes, charset: str) -> str:
    """The Python codec for ``raw``: byte order mark, else declaration, else ``charset``.

    Raises TextUndecodable for an encoding that is not read here.
    """
    for mark, codec in _BOMS:
        if raw.startswith(mark):
            return codec
    declared = _ENCODING.match(raw)
    name = declared.group(1).decode("ascii") if declared else charset or "utf-8"
    codec = _ENCODINGS.get(name.lower(), "")
    if not codec:
        raise TextUndecodable(
            reason="this encoding is not supported",
            reason_zh="不支援此編碼",
            place="line 1",
        )
    return codec


def decode_xml(raw: bytes, charset: str) -> str:
    """The whole text. Raises TextUndecodable with the line, XmlUnreadable when it is too large."""
    if len(raw) > MAX_BYTES:
        raise _unreadable("the file is too large", "檔案過大", f"byte {MAX_BYTES}")
    codec = xml_encoding(raw, charset)
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        raise TextUndecodable(
            reason=f"not {codec} text",
            reason_zh=f"並非 {codec} 編碼",
            place=f"line {raw.count(b'%c' % 10, 0, error.start) + 1}",
        ) from None


def elements(text: str, tag: str) -> Iterator[etree._Element]:
    """Each complete ``tag`` element right under the root, in order; freed when the next is asked.

    Raises XmlUnreadable for anything that is not well-formed, declares a DOCTYPE, or is larger or
    (libxml2's own limit of 256) deeper than any file of these formats.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _unreadable("it declares a DOCTYPE", "含有 DOCTYPE 宣告", "line 1")
    if text.count("<") + text.count("=") > _MAX_MARKS:
        raise _unreadable("it has too many elements", "元素過多", "line 1")
    declaration = _DECLARATION.match(text)
    body = (text[declaration.end() :] if declaration else text).lstrip()
    parser = etree.XMLPullParser(
        events=("end",),
        tag=tag,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for start in range(0, len(body), _CHUNK):
            # Fed as UTF-8 bytes: lxml reads a str by the platform's internal form.
            parser.feed(body[start : start + _CHUNK].encode("utf-8"))
            for _, element in parser.read_events():
                parent = element.getparent()
                if parent is not None and parent.getparent() is None:
                    yield element
                    _free(element, parent)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _unreadable(
            "it is not well-formed", "格式不完整或不正確", f"line {error.lineno or 1}"
        ) from None
    except UnicodeEncodeError:
        raise _unreadable("it holds lone surrogates", "含有不成對的代理字元", "line 1") from None


def _free(element: etree._Element, parent: etree._Element) -> None:
    element.clear(keep_tail=False)
    while element.getprevious() is not None:
        del parent[0]


def _unreadable(reason: str, reason_zh: str, place: str) -> XmlUnreadable:
    return XmlUnreadable(reason=reason, reason_zh=reason_zh, place=place)
