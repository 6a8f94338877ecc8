"""What is set for one watched folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adapters.ports.intake import Media


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """Times are seconds. ``media`` is set where a folder holds one format; else content decides.

    ``patience_seconds``: how long a file that is quiet but looks unfinished (empty, or without
    the end of its format) is waited for. ``polling`` is for network shares, where the file system
    announces nothing. ``needs_marker``: only files with a ``name.done`` beside them are taken.
    """

    path: Path
    source_id: str
    quiet_seconds: float = 2.0
    scan_seconds: float = 10.0
    patience_seconds: float = 60.0
    stale_seconds: float = 3600.0
    max_bytes: int = 20 * 1024 * 1024
    media: Media | None = None
    text_media: Media | None = None
    """What a text is here whose content does not tell."""
    polling: bool = False
    needs_marker: bool = False
    done_name: str = "done"
    refused_name: str = "refused"
    duplicate_name: str = "duplicate"
    failed_name: str = "failed"

    @property
    def done(self) -> Path:
        """Where files go that were taken."""
        return self.path / self.done_name

    @property
    def refused(self) -> Path:
        """Where files go that cannot be taken, each with a note."""
        return self.path / self.refused_name

    @property
    def duplicate(self) -> Path:
        """Where files go whose very bytes are in ``done`` already, each with a note; it is made
        with the first of them."""
        return self.path / self.duplicate_name

    @property
    def failed(self) -> Path:
        """Where taken files go that could not be read afterwards, each with a note; it is made
        with the first of them."""
        return self.path / self.failed_name
