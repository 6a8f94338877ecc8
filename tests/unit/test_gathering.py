"""How long a commit waits for those who were just answered."""

from __future__ import annotations

from broker.store.gathering import Gathering

SLOW = 0.008


def on_a_slow_disk(receipts: int = 16, waiting: int = 0, seconds: float = SLOW) -> Gathering:
    gathering = Gathering()
    for _ in range(200):
        gathering.committed(seconds, receipts, waiting)
    return gathering


def test_a_quick_disk_lets_nobody_wait() -> None:
    gathering = Gathering()
    assert gathering.patience() == 0.0
    gathering.committed(0.001, receipts=8, waiting=8)
    assert gathering.patience() == 0.0


def test_a_slow_disk_makes_a_commit_wait_for_all_in_conversation() -> None:
    gathering = on_a_slow_disk(receipts=1, waiting=15)
    assert gathering.expected == 16
    assert gathering.patience() == SLOW / 4
    gathering.waited(came=True)
    assert gathering.patience() == SLOW / 4


def test_no_commit_waits_longer_than_four_milliseconds() -> None:
    gathering = on_a_slow_disk(seconds=30.0)
    assert gathering.patience() == 0.004


def test_a_disk_that_is_quick_again_lets_nobody_wait() -> None:
    gathering = on_a_slow_disk()
    gathering.committed(0.001, receipts=16, waiting=0)
    assert gathering.patience() == 0.0


def test_one_slow_commit_makes_no_slow_disk() -> None:
    gathering = Gathering()
    gathering.committed(0.001, receipts=16, waiting=0)
    gathering.committed(1.0, receipts=16, waiting=0)
    assert gathering.patience() == 0.0


def test_where_nobody_comes_fewer_and_fewer_commits_wait() -> None:
    gathering = on_a_slow_disk()
    without = []
    for _ in range(6):
        assert gathering.patience() > 0
        gathering.waited(came=False)
        left_out = 0
        while gathering._left_out:
            assert gathering.patience() == 0.0
            left_out += 1
        without.append(left_out)
    assert without == [1, 3, 7, 15, 15, 15]


def test_one_wait_that_was_worth_it_restores_the_patience() -> None:
    gathering = on_a_slow_disk()
    gathering.waited(came=False)
    gathering.waited(came=False)
    gathering.waited(came=True)
    assert gathering.patience() > 0
