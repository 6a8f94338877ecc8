"""XML that nobody vouches for."""

from __future__ import annotations

import pytest

from adapters.folder.formats.errors import TextUndecodable, XmlUnreadable
from adapters.folder.formats.safe_xml import XmlRoot, decode_xml, elements, peek_root


def texts(xml: str) -> list[str | None]:
    return [element.text for element in elements(xml, "a")]


def test_elements_right_under_the_root_are_given_in_order() -> None:
    assert texts("<r> <a>1</a><!-- x --><b/><a>2</a>\n</r>") == ["1", "2"]


def test_elements_of_that_name_deeper_down_are_not() -> None:
    xml = "<r><b><a>1</a></b><a><a>2</a>3</a></r>"
    found = [[child.text for child in element] for element in elements(xml, "a")]
    assert found == [["2"]]


def test_elements_of_a_large_file_cross_the_pieces_it_is_fed_in() -> None:
    xml = "<r>" + "".join(f"<a>功{number:09}</a>" for number in range(20_000)) + "</r>"
    assert texts(xml) == [f"功{number:09}" for number in range(20_000)]


@pytest.mark.parametrize(
    "xml",
    [
        "<!DOCTYPE r><r><a>1</a></r>",
        "<!-- x --><!DOCTYPE r [<!ENTITY b 'c'>]><r><a>&b;</a></r>",
        "<r><a>&lt;&undefined;</a></r>",
        "<r><a>1</a>",
        "<r><a>1</a></r><r/>",
        "<r><a>1</b></r>",
        "<r><a>\x01</a></r>",
        "",
        "   ",
    ],
)
def test_what_is_not_well_formed_or_declares_a_doctype_is_refused(xml: str) -> None:
    with pytest.raises(XmlUnreadable):
        texts(xml)


def test_what_libxml2_says_of_the_content_is_not_repeated() -> None:
    with pytest.raises(XmlUnreadable) as caught:
        texts("<r>\n<a>1</a>\n<A123456789>\n</r>")
    assert "A123456789" not in caught.value.sentence()
    assert caught.value.parameters["place"] == "line 4"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('<?xml version="1.0" encoding="Big5"?><a>碁</a>'.encode("cp950"), "碁"),
        ("<?xml version='1.0' encoding='utf-8'?><a>碁</a>".encode(), "碁"),
        ("\ufeff<?xml version='1.0' encoding='Big5'?><a>碁</a>".encode(), "碁"),
        ("<a>碁</a>".encode("utf-16"), "碁"),
    ],
)
def test_a_byte_order_mark_goes_before_the_declaration(raw: bytes, text: str) -> None:
    assert text in decode_xml(raw, "ascii")


def test_the_line_of_the_first_byte_that_is_no_text_is_told() -> None:
    with pytest.raises(TextUndecodable) as caught:
        decode_xml(b"<a>\n\n\xff</a>", "utf-8")
    assert caught.value.parameters["place"] == "line 3"


@pytest.mark.parametrize(
    ("raw", "root"),
    [
        (b"<?xml version='1.0'?>\n<!-- <b> -->\n<a:r xmlns='x' xmlns:a='y'>", XmlRoot("r", "y")),
        (b"<r xmlns='x'/>", XmlRoot("r", "x", is_empty=True)),
        (b"<r", None),
        (b"r>", None),
        (b"<!DOCTYPE r><r/>", None),
        (b"", None),
    ],
)
def test_the_root_is_seen_without_parsing(raw: bytes, root: XmlRoot | None) -> None:
    assert peek_root(raw) == root
