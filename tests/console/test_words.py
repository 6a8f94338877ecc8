"""Both languages say everything, and the pages say nothing that is not in the tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import broker.web.console as console
from broker.web.console.looks import PATIENT_TAGS
from broker.web.console.rendering import PAGES, environment
from broker.web.console.wording import all_words, say

FOLDER = Path(console.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
_NAMED = re.compile(
    r"""(?<![\w.])(?:t|t_or|say)\(\s*(?:language,\s*)?["']([a-z_0-9]+\.[a-z_0-9]*)["']"""
)
_CHINESE = re.compile("[一-鿿]")
_FIELDS = re.compile(r"{(\w+)}")


def test_every_text_is_there_in_both_languages_with_the_same_parameters() -> None:
    for name, texts in all_words().items():
        assert set(texts) - {"en_one"} == {"zh", "en"}, name
        assert all(text.strip() for text in texts.values()), name
        fields = [set(_FIELDS.findall(texts[each])) for each in ("zh", "en")]
        assert fields[0] == fields[1], name
        if "en_one" in texts:
            assert "{n}" in texts["en"], name
            assert set(_FIELDS.findall(texts["en_one"])) <= fields[0], name


def test_english_says_otherwise_of_one() -> None:
    said = [say("en", "today.alarm_records", n=n) for n in (1, "1", "2", "11", "1,001")]
    assert said == ["1 record", "1 record", "2 records", "11 records", "1,001 records"]
    assert say("zh", "today.alarm_records", n=1) == say("zh", "today.alarm_records", n=2).replace(
        "2", "1"
    )


def test_every_text_that_a_page_names_exists() -> None:
    named: set[str] = set()
    for path in [*TEMPLATES, *FOLDER.glob("*.py")]:
        named |= set(_NAMED.findall(path.read_text("utf-8")))
    assert len(named) > 150
    # A name that ends in _ is completed with a state or code.
    missing = {
        name
        for name in named
        if name not in all_words()
        and not (name.endswith("_") and any(each.startswith(name) for each in all_words()))
        and not name.endswith(".")
    }
    assert missing == set()


# Where an action is written into the audit trail: by its name, or as an order of a person.
_NOTED = re.compile(
    r"""\b(?:note_of_person|audit|_note(?=\(connection, by))\("""
    r"""(?:[^()"]|\([^()]*\)|"")*?"([a-z-]+)\""""
    r"""|action="([a-z-]+)",\s+kind="""
)


def test_every_action_of_the_audit_trail_is_told_in_words() -> None:
    room = FOLDER.parents[1]
    noted: set[str] = set()
    for path in room.rglob("*.py"):
        if path.is_relative_to(room / "web" / "api") or path.name == "notices.py":
            continue
        noted |= {first or second for first, second in _NOTED.findall(path.read_text("utf-8"))}
    orders = {"check-report", "fix", "opt-out", "decide", "codes", "codes-confirm", "uploaded"}
    orders |= {"list-begin", "nhi-overview", "visits", "cards", "retention"}
    assert {"sign-in-refused", "choose-password", "sign-out-everywhere", "revoke"} <= noted
    told = {name.removeprefix("audit.action_").replace("_", "-") for name in all_words()}
    assert (noted | orders) - told == set()


def test_every_page_has_a_name() -> None:
    for page in PAGES:
        assert say("zh", f"pages.{page.name}") != say("en", f"pages.{page.name}")
    assert len({page.key for page in PAGES}) == len(PAGES)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_hold_no_words_of_their_own(path: Path) -> None:
    text = path.read_text("utf-8").replace(">中文<", "><")
    assert _CHINESE.search(text) is None


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates_keep_to_the_content_security_policy(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|<style|https?://", text)
    assert "|safe" not in text.replace(" ", "")
    for script in re.findall(r"<script[^>]*>", text):
        assert 'src="/static/' in script


def test_values_are_escaped_and_a_missing_one_is_a_fault() -> None:
    made = environment().from_string("<p>{{ name }}</p>")
    assert made.render(name="<script>") == "<p>&lt;script&gt;</p>"
    with pytest.raises(Exception, match="undefined"):
        made.render()


def test_the_masked_fields_are_those_of_the_patient() -> None:
    assert {"h9", "h10"} <= PATIENT_TAGS
