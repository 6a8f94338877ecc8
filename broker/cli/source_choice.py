"""Which source of the settings sent the files that a person names."""

from __future__ import annotations

from broker.config import Settings
from mapping.errors import LabbrokerError
from mapping.profile import SourceProfile


class NoSuchSource(LabbrokerError):
    code = "no-such-source"
    en = ("There is no source {source} in the settings.", "The settings know: {known}.")
    zh = ("設定中沒有來源 {source}。", "設定中的來源：{known}。")


class SourceNotNamed(LabbrokerError):
    code = "source-not-named"
    en = (
        "The settings have several sources, and each reads files in its own way.",
        "Say which one sent the files: --source {known}.",
    )
    zh = ("設定中有多個來源，各有不同的讀取方式。", "請指定檔案的來源：--source {known}。")


def source_profile(settings: Settings, wanted: str, needed: bool = False) -> SourceProfile:
    """The profile of source ``wanted``, or of the only one there is; an empty one where the
    choice is open, or with ``needed`` :class:`SourceNotNamed`. Raises :class:`NoSuchSource`."""
    profiles = settings.profiles
    if wanted:
        if wanted not in profiles:
            raise NoSuchSource(source=wanted, known=", ".join(profiles))
        return profiles[wanted]
    if len(profiles) == 1:
        return next(iter(profiles.values()))
    if needed and profiles:
        raise SourceNotNamed(known=" | ".join(profiles))
    return SourceProfile(source_id="files")
