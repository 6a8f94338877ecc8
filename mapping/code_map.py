"""What a laboratory's own codes mean, as a person decided it: the code with, where one code has
several meanings, its specimen, unit and method. Pure; the decisions themselves are kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mapping.item_lookup import name_key
from mapping.profile import CodeLink, CodeMap
from mapping.units import unit_key

__all__ = ["LocalCode", "build_code_map"]


@dataclass(frozen=True, slots=True)
class LocalCode:
    """``code`` is as sent (the name where a line has no code), or ``service/code`` or
    ``code|system`` as in the settings. An empty ``specimen``, ``unit`` or ``method`` holds for
    any."""

    code: str
    specimen: str = ""
    unit: str = ""
    method: str = ""

    def key(self) -> LocalCode:
        """The form under which two writings of one local code are equal."""
        return replace(
            self,
            specimen=name_key(self.specimen),
            unit=unit_key(self.unit),
            method=name_key(self.method),
        )


def build_code_map(entries: Iterable[tuple[LocalCode, CodeLink]]) -> CodeMap:
    """The map of one source; of two entries for one local code the later stands."""
    by_code: dict[str, dict[LocalCode, CodeLink]] = {}
    for local, link in entries:
        by_code.setdefault(local.code, {})[local.key()] = link
    return _LocalCodeMap(by_code)


class _LocalCodeMap(CodeMap):
    __slots__ = ("_by_code",)

    def __init__(self, by_code: dict[str, dict[LocalCode, CodeLink]]) -> None:
        self._by_code = by_code

    def __bool__(self) -> bool:
        return bool(self._by_code)

    def names(self) -> Iterable[str]:
        return self._by_code.keys()

    def find(self, name: str, specimen: str, unit: str, method: str) -> CodeLink | None:
        entries = self._by_code.get(name)
        if not entries:
            return None
        line = LocalCode(name, specimen, unit, method).key()
        fitting = [
            ((entry.specimen != "") + (entry.unit != "") + (entry.method != ""), link)
            for entry, link in entries.items()
            if entry.specimen in ("", line.specimen)
            and entry.unit in ("", line.unit)
            and entry.method in ("", line.method)
        ]
        closest = max((count for count, _ in fitting), default=0)
        links = {link for count, link in fitting if count == closest}
        # Two that fit equally well and disagree decide nothing: a person must say more.
        return links.pop() if len(links) == 1 else None
