"""Which passwords are taken and how they are kept."""

from __future__ import annotations

import pytest

from broker.access import passwords
from broker.access.passwords import Weakness, hash_password, is_password, weakness


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", Weakness.SHORT),
        ("x" * 257, Weakness.LONG),
        ("password1234", Weakness.COMMON),
        ("P@ssw0rd2026!", Weakness.COMMON),
        ("Labbroker2026!", Weakness.COMMON),
        ("qwertyuiop123", Weakness.COMMON),
        ("123456789012", Weakness.COMMON),
        ("aaaaaaaaaaaaaa", Weakness.COMMON),
        ("abcabcabcabc", Weakness.COMMON),
        ("welcome-to-taiwan", Weakness.COMMON),
        ("lab-of-wang2026", Weakness.ABOUT_YOU),
        ("JYVQ0000001234", Weakness.ABOUT_YOU),
        ("correct horse battery", None),
        ("四時行焉百物生焉天何言哉", None),
        ("tall pine near the gate", None),
        ("mT7#qWz9!kLp", None),
    ],
)
def test_a_password_is_refused_for_the_reason_that_holds(
    password: str, why: Weakness | None
) -> None:
    assert weakness(password, "lab-of-wang", "王小明", "JYVQ000000") is why


def test_only_the_password_itself_opens() -> None:
    kept = hash_password("tall pine near the gate")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password(kept, "tall pine near the gate")
    for other in ("tall pine near the gatE", "tall pine near the gate ", "", "\ud800"):
        assert not is_password(kept, other)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("tall pine near the gate") != hash_password("tall pine near the gate")


def test_where_nothing_was_kept_nothing_opens() -> None:
    for kept in ("", "no hash at all"):
        assert not is_password(kept, "nobody's password")


def test_letters_that_can_be_typed_in_two_ways_are_one() -> None:
    assert is_password(hash_password("caf\u00e9 du coin bleu"), "cafe\u0301 du coin bleu")


def test_an_account_that_does_not_exist_costs_as_much_as_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[str] = []

    class Counting:
        def verify(self, kept: str, password: bytes) -> bool:
            judged.append(kept)
            return False

    kept = hash_password("tall pine near the gate")
    monkeypatch.setattr(passwords, "_HASHER", Counting())
    assert not is_password("", "x")
    assert not is_password(kept, "x")
    nobodys, known = judged
    parameters = [each.rsplit("$", 2)[0] for each in (nobodys, known)]
    assert parameters == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2
