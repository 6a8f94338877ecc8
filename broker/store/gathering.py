"""How long a commit waits for those who were answered with the last one.

Where the disk is slow, senders that wait for their answer fall apart into two groups whose commits
hold up each other: the first to send again takes a whole commit for itself, and the others wait
for two. So a commit waits a part of the time that commits take for as many as are in conversation.
Where commits are quick, the loop serves one group while the other is committed, and nobody waits.
"""

from __future__ import annotations

from typing import Final

_QUICK_COMMIT_SECONDS: Final = 0.0005
_SLOW_COMMIT_SECONDS: Final = 0.002
# One slow commit says nothing of the disk, one quick commit does.
_RISE: Final = 1.1
_PART: Final = 0.25
_MOST_SECONDS: Final = 0.004
_MOST_LEFT_OUT: Final = 15


class Gathering:
    """Belongs to the writer's thread; ``expected`` may be read by others."""

    def __init__(self) -> None:
        self.expected = 0
        """So many receipts were in conversation when the last commit ended."""
        self._usual = _QUICK_COMMIT_SECONDS
        self._seconds = 0.0
        self._in_vain = 0
        self._left_out = 0

    def committed(self, seconds: float, receipts: int, waiting: int) -> None:
        """A commit of ``receipts`` took so long, and ``waiting`` more have come meanwhile."""
        self.expected = receipts + waiting
        self._usual = min(max(seconds, _QUICK_COMMIT_SECONDS), self._usual * _RISE)
        slow = self._usual > _SLOW_COMMIT_SECONDS
        self._seconds = min(self._usual * _PART, _MOST_SECONDS) if slow else 0.0

    def patience(self) -> float:
        """Seconds that the next commit waits at most; asked once for each commit.

        After a wait in vain one commit goes without, after the next three, and so on.
        """
        if self._left_out:
            self._left_out -= 1
            return 0.0
        return self._seconds

    def waited(self, came: bool) -> None:
        """``came``: as many as expected."""
        self._in_vain = 0 if came else min(2 * self._in_vain + 1, _MOST_LEFT_OUT)
        self._left_out = self._in_vain
