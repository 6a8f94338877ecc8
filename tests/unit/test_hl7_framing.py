from __future__ import annotations

import pytest

from adapters.hl7.framing import FaultKind, Framed, FrameFault, MllpFramer, enclose


def fed(*reads: bytes, limit: int = 1000) -> list[Framed]:
    framer = MllpFramer(limit)
    return [item for data in reads for item in framer.feed(data)]


def fault(kind: FaultKind, size: int) -> FrameFault:
    return FrameFault(kind, size)


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ([b"\x0bMSH|A\x1c\r"], [b"MSH|A"]),
        ([b"\x0bMSH", b"|A\x1c\r"], [b"MSH|A"]),
        ([b"\x0bMSH|A\x1c", b"\r"], [b"MSH|A"]),
        ([b"\x0b", b"MSH|A", b"\x1c", b"\r"], [b"MSH|A"]),
        ([b"\x0bA\x1c\r\x0bB\x1c\r"], [b"A", b"B"]),
        ([b"\x0bA\x1c\r\x0bB", b"\x1c\r"], [b"A", b"B"]),
        ([b"\x0bA\x1c\r\r\n \x0bB\x1c\r"], [b"A", b"B"]),
        ([b"\x0bA\x1c\x0bB\x1c\r"], [b"A", b"B"]),
        ([b"\x0b\x1c\r"], [b""]),
        ([b"\x0bA"], []),
        ([b"\x0bA\x1c"], []),
        ([b""], []),
    ],
)
def test_blocks_become_frames(reads: list[bytes], expected: list[Framed]) -> None:
    assert fed(*reads) == expected


def test_a_second_vt_discards_the_first_part_and_says_so() -> None:
    assert fed(b"\x0bMSH|half", b"\x0bMSH|whole\x1c\r") == [
        fault(FaultKind.RESTARTED, 8),
        b"MSH|whole",
    ]


def test_bytes_outside_a_block_are_reported_before_the_frame() -> None:
    assert fed(b"GET / HTTP/1.1\r\n", b"\x0bA\x1c\r") == [fault(FaultKind.OUTSIDE, 12), b"A"]


def test_fs_in_the_middle_of_content_ends_nothing() -> None:
    assert fed(b"\x0bMSH|A\x1cB|C\x1c\r") == [b"MSH|A\x1cB|C"]
    assert fed(b"\x0bMSH|A\x1c", b"B\x1c\x1c", b"\r") == [b"MSH|A\x1cB\x1c"]


def test_a_frame_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert fed(b"\x0b" + b"x" * 10 + b"\x1c\r", limit=10) == [b"x" * 10]
    (too_large,) = fed(b"\x0b" + b"x" * 11 + b"\x1c\r", limit=10)
    assert too_large == FrameFault(FaultKind.TOO_LARGE, 10, b"x" * 10)


def test_a_frame_that_is_too_large_is_reported_before_its_end_and_kept_nowhere() -> None:
    framer = MllpFramer(10)
    assert framer.feed(b"\x0bMSH|^~\\&|") == []
    (too_large,) = framer.feed(b"123")
    assert isinstance(too_large, FrameFault)
    assert too_large.head == b"MSH|^~\\&|1"
    assert framer.feed(b"4" * 100_000) == []
    assert framer.feed(b"\x1c\r\x0bB\x1c\r") == [b"B"]


def test_the_head_of_a_large_frame_is_not_printed() -> None:
    assert "A123456789" not in repr(FrameFault(FaultKind.TOO_LARGE, 10, b"A123456789"))


def test_silence_after_fs_can_end_the_block() -> None:
    framer = MllpFramer()
    framer.feed(b"\x0bMSH|A\x1c")
    awaited = framer.awaiting_end
    assert framer.finish() == [b"MSH|A"]
    assert (awaited, framer.awaiting_end, framer.partial) == (True, False, False)
    assert framer.feed(b"\r\x0bB\x1c\r") == [b"B"]


def test_finish_ends_no_block_that_has_no_fs() -> None:
    framer = MllpFramer()
    framer.feed(b"\x0bMSH|A")
    assert framer.finish() == []
    assert framer.partial


@pytest.mark.parametrize(
    ("read", "left"),
    [
        (b"\x0bMSH|A", [fault(FaultKind.TRUNCATED, 5)]),
        (b"\x0bMSH|A\x1c", [b"MSH|A"]),
        (b"junk", [fault(FaultKind.OUTSIDE, 4)]),
        (b"\x0bA\x1c\r", []),
        (b"\r\n", []),
    ],
)
def test_closing_tells_what_was_left_over(read: bytes, left: list[Framed]) -> None:
    framer = MllpFramer()
    framer.feed(read)
    assert framer.close() == left
    assert not framer.partial


def test_content_that_would_break_the_frame_is_not_enclosed() -> None:
    assert enclose(b"MSH|A") == b"\x0bMSH|A\x1c\r"
    for content in (b"A\x0bB", b"A\x1c\rB"):
        with pytest.raises(ValueError, match="cannot hold"):
            enclose(content)
