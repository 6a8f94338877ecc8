"""The page of the channels says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from adapters.nhi.eii_codes import EII_CODES, UNLISTED, Outcome, eii_code
from broker.config.channel_sections import CREDENTIAL_OF_CHANNEL

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "channels.md").read_text("utf-8")


def test_every_code_of_the_library_is_on_the_page_with_what_is_concluded_from_it() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) · (.+) \| (\w+) \| (\w+) \| (.+) \|$", PAGE, re.M)
    assert rows == [
        (str(row.code), row.zh, row.en, row.on_send, row.on_ask, row.source)
        for row in EII_CODES.values()
    ]


def test_every_channel_is_on_the_page_with_its_credential() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| `(\w+)`, .+ \| .+ \|$", PAGE, re.M))
    assert rows == CREDENTIAL_OF_CHANNEL


def test_a_code_that_may_mean_a_file_was_taken_is_unknown_after_a_send() -> None:
    # 5027 says so itself; 5021 and 9999 tell nothing of when; 5022 and 5023 are of a taken file.
    for code in (5021, 5022, 5023, 5024, 5025, 5026, 5027, 8218, 9999):
        assert eii_code(code).on_send is Outcome.UNKNOWN


def test_a_code_that_nobody_has_listed_is_unknown_after_a_send() -> None:
    assert eii_code(4711) is UNLISTED
    assert UNLISTED.on_send is Outcome.UNKNOWN


def test_no_question_is_ever_answered_as_final() -> None:
    assert {row.on_ask for row in EII_CODES.values()} <= {
        Outcome.DONE,
        Outcome.RETRY,
        Outcome.SETUP,
        Outcome.CREDENTIAL,
        Outcome.WAIT,
    }
