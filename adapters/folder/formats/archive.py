"""A ZIP of result files: each file in it is taken by itself, as if it had been dropped alone."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.folder.formats.errors import FileAmbiguous, FileUnidentified, ZipUnreadable
from adapters.folder.formats.identify import identify
from adapters.folder.formats.zip_members import ZipMembers
from adapters.ports.intake import Media

_FURNITURE = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Member:
    """``media`` is UNKNOWN where none of the formats fits: it is kept, and said to be so."""

    name: str
    raw: bytes
    media: Media


def archive_members(raw: bytes, text_media: Media | None = None) -> tuple[Member, ...]:
    """The files of a ZIP, in the order of its directory; what desktops leave there is passed over.

    A ZIP in a ZIP is not opened. Raises ZipUnreadable: encrypted, damaged, too many or too large;
    FileUnidentified where nothing in it is known.
    """
    archive = ZipMembers(raw)
    names = [name for name in archive.names if not _is_furniture(name)]
    members = []
    for name in names:
        body = archive.read(name)
        members.append(Member(name, body, _media(name, body, text_media)))
    if not members:
        raise ZipUnreadable(reason="it holds no files", reason_zh="內無檔案", place="ZIP")
    if all(member.media is Media.UNKNOWN for member in members):
        raise FileUnidentified(
            reason="no file in the ZIP matches a known format",
            reason_zh="ZIP 內沒有任何已知格式的檔案",
            place="ZIP",
        )
    return tuple(members)


def _is_furniture(name: str) -> bool:
    return name.startswith(_FURNITURE[0]) or name.rsplit("/", 1)[-1] in _FURNITURE


def _media(name: str, raw: bytes, text_media: Media | None) -> Media:
    try:
        media = identify(raw, name, text_media)
    except (FileUnidentified, FileAmbiguous, ZipUnreadable):
        return Media.UNKNOWN
    return Media.UNKNOWN if media is Media.ZIP else media
