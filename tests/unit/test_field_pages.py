"""The page of the fields is what the editions say, and every field can be explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.cli.main import main
from mapping.editions.edition import Variant, editions
from mapping.editions.field_pages import field_page, fields_reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "nhi-fields.md"
TAGS = [rule.tag for rule in (*editions()[-1].header, *editions()[-1].rows)]


def test_the_page_is_what_the_editions_say() -> None:
    text = PAGE.read_text("utf-8")
    assert text[text.index("## ") :] == fields_reference()


def test_all_fields_of_both_layouts_stand_on_the_page() -> None:
    rows = [line for line in fields_reference().splitlines() if line.startswith("| `")]
    for variant in Variant:
        for rule in editions(variant)[-1].header:
            assert any(f"`{rule.tag}` | {rule.name_zh} |" in row for row in rows)
    assert {"h1", "h30", "r1", "r4-1", "r6-2", "r8-9", "r14"} <= set(TAGS)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("tag", TAGS)
def test_every_field_is_explained(tag: str, language: str) -> None:
    page = field_page(tag, "zh" if language == "zh" else "en")
    assert page.startswith(f"{tag}  ")
    assert len(page.splitlines()) >= 4


def test_the_command_tells_a_field(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABBROKER_LANG", "zh-TW")
    assert main(["explain", "H25"]) == 0
    out = capsys.readouterr().out
    assert "診療部位" in out
    assert "33070B" in out
    assert main(["explain", "r4-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "r4-1"


def test_a_tag_that_no_edition_has_is_no_field() -> None:
    with pytest.raises(KeyError):
        field_page("h99", "en")
