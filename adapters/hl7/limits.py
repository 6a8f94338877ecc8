"""What an MLLP door takes: sizes, times, numbers. Each bound has a peer that would break it."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.hl7.framing import DEFAULT_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class MllpLimits:
    """Times are seconds."""

    frame_bytes: int = DEFAULT_FRAME_BYTES
    """Larger content is answered AR and the connection closed."""
    frame_seconds: float = 30.0
    """First byte to last byte of a frame, against peers that drip."""
    idle_seconds: float = 900.0
    """Silence between frames, against half-open connections."""
    end_grace_seconds: float = 1.0
    """After FS without CR and silence, the frame counts as ended."""
    linger_seconds: float = 2.0
    """How long a peer that is being closed may take to read its answer."""
    connections: int = 512
    connections_per_peer: int = 64
    unsettled_frames: int = 64
    """Frames of one connection that wait for their commit; beyond, reading pauses."""
    stop_seconds: float = 10.0
    """How long stop() waits for commits under way."""


@dataclass(slots=True)
class MllpStatistics:
    """Counts since start, for metrics; no content."""

    connections: int = 0
    turned_away: int = 0
    frames: int = 0
    accepted: int = 0
    refused: int = 0
    undelivered: int = 0
    """Stored, but the peer was gone before its answer."""
    timed_out: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    """By :class:`adapters.hl7.framing.FaultKind`."""
