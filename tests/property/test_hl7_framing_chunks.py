from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7.framing import Framed, FrameFault, MllpFramer, enclose

# Marks are frequent, so that VT, FS and CR meet each other in every order.
streams = st.lists(
    st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"A", b"bc", b"MSH|", b"x" * 9]), max_size=40
).map(b"".join)
contents = st.lists(
    st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\x0b\x1c")), max_size=8
)


def everything(chunks: list[bytes], limit: int) -> list[Framed]:
    framer = MllpFramer(limit)
    out = [item for chunk in chunks for item in framer.feed(chunk)]
    return out + framer.close()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges)]


@given(streams, st.lists(st.integers(0, 1000), max_size=12), st.integers(1, 12))
def test_any_chunking_gives_the_same_frames_and_faults(
    stream: bytes, places: list[int], limit: int
) -> None:
    whole = everything([stream], limit)
    assert everything(cut(stream, places), limit) == whole
    assert everything([stream[at : at + 1] for at in range(len(stream))], limit) == whole


@given(contents, st.lists(st.integers(0, 1000), max_size=12))
def test_what_was_enclosed_comes_out_again(frames: list[bytes], places: list[int]) -> None:
    stream = b"".join(map(enclose, frames))
    assert everything(cut(stream, places), 1000) == frames


@given(streams, st.integers(1, 12))
def test_no_frame_is_larger_than_the_limit(stream: bytes, limit: int) -> None:
    frames = [item for item in everything([stream], limit) if isinstance(item, bytes)]
    assert all(len(frame) <= limit for frame in frames)


@given(streams)
def test_no_byte_of_content_is_lost_unsaid(stream: bytes) -> None:
    """Every byte is a frame's, a mark, a blank line end between blocks, or counted in a fault."""
    blanks_and_marks = b"\x0b\x1c\r\n"
    told = sum(
        item.size if isinstance(item, FrameFault) else len(item)
        for item in everything([stream], 10_000)
    )
    assert told >= len(stream.translate(None, blanks_and_marks))
