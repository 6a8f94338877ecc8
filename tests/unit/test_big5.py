from __future__ import annotations

import pytest

from mapping.big5 import (
    cp950_length,
    encode,
    fit_text,
    is_encodable,
    official_length,
    unencodable,
)
from mapping.catalogue.tables import order_codes, read_table, report_items


def test_the_five_xml_specials_go_full_width_in_free_texts_only() -> None:
    assert fit_text("<5 & >\"a' ", "r4") == ("＜5 ＆ ＞”a’ ", ())
    assert fit_text("<5", "r1") == ("<5", ())


@pytest.mark.parametrize(
    ("text", "tag", "written"),
    [
        ("白血球酯酶", "r2", "白血球酯脢"),
        ("≤5", "r6-2", "≦5"),
        ("10³/µL", "r5", "10^3/μL"),
        ("mL/min/1.73m²", "r5", "mL/min/1.73m2"),
        ("−0.5", "r4", "-0.5"),
        ("K\u212a", "r4", "KK"),
        ("a\r\nb", "r11", "a\nb"),
    ],
)
def test_known_substitutes_are_used(text: str, tag: str, written: str) -> None:
    assert fit_text(text, tag) == (written, ())


@pytest.mark.parametrize(
    "text", ["10³", "10²", "½", "\ue000", "😀", "\x00", "\u200b", "\r", "\ud800"]
)
def test_what_cannot_be_written_stays_and_is_named(text: str) -> None:
    fitted, findings = fit_text(text, "r4")
    assert fitted == text
    assert [finding.code for finding in findings] == ["unencodable-character"]
    assert findings[0].field == "r4"
    assert dict(findings[0].parameters)["character"] == f"U+{ord(text[-1]):04X}"
    assert f"U+{ord(text[-1]):04X}" in findings[0].message("zh")


def test_each_unencodable_character_is_named_once() -> None:
    assert unencodable("½a½😀") == ("½", "😀")


def test_the_euro_sign_is_encodable_and_private_use_is_not() -> None:
    assert encode("€") == b"\xa3\xe1"
    assert not is_encodable("\uf6b0")


@pytest.mark.parametrize("folded", "¢£¥•‾∼☉♁､")
def test_characters_that_the_codec_would_change_silently_are_refused(folded: str) -> None:
    assert folded.encode("cp950").decode("cp950") != folded
    with pytest.raises(ValueError, match=f"U\\+{ord(folded):04X}"):
        encode(folded)


def test_every_substitute_is_needed_and_can_be_written() -> None:
    for row in read_table("substitutions"):
        tag = row["fields"] or "r4"
        written = "".join(
            chr(int(part[2:], 16)) if part.startswith("U+") else part
            for part in row["written"].split(" ")
        )
        assert unencodable(written), row
        fitted, findings = fit_text(written, tag)
        assert not findings, row
        assert fitted != written, row
        assert row["reason"], row


def test_every_official_name_can_be_written() -> None:
    for code in order_codes():
        for item in report_items(code):
            assert fit_text(item.name, "r2")[1] == ()
        official = order_codes()[code]
        assert fit_text(official.name_zh, "r2")[1] == ()


def test_lengths_by_both_counts() -> None:
    assert (cp950_length("a血"), official_length("a血")) == (3, 5)
    assert (cp950_length("abc"), official_length("abc")) == (3, 3)
