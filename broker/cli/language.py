"""Which language the command line speaks."""

from __future__ import annotations

from collections.abc import Mapping

from mapping.errors import Language

_VARIABLES = ("LABBROKER_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def chosen_language(environ: Mapping[str, str]) -> Language:
    """``LABBROKER_LANG``, else the locale; English unless the first that is set begins ``zh``."""
    for name in _VARIABLES:
        value = environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
