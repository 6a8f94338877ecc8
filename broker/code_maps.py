"""The laboratories' code maps as they stand: decisions of people before the settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from broker.store.code_maps import CodeDecision, requeue_waiting, standing_decisions, waiting_lines
from mapping.catalogue.tables import has_programme, order_code, report_items
from mapping.code_map import LocalCode, build_code_map
from mapping.errors import LabbrokerError
from mapping.profile import CodeLink, SourceProfile


class UnknownSource(LabbrokerError):
    code = "unknown-source"
    en = ("There is no source {source} in the settings.", "Name one of: {nearest}.")
    zh = ("設定檔中沒有來源 {source}。", "請指定：{nearest}。")


class UnknownOrderCode(LabbrokerError):
    code = "unknown-order-code"
    en = (
        "{order_code} is no order code that NHI takes results for.",
        "Look for it with `labbroker codes suggest`, or say --never if the line is not uploaded.",
    )
    zh = (
        "{order_code} 不在檢驗（查）結果上傳的醫令清單內。",
        "請以 `labbroker codes suggest` 查詢；不上傳的項目請用 --never。",
    )


class NoSuchItem(LabbrokerError):
    code = "no-such-item"
    en = (
        "{order_code} has no result row {item}.",
        "Its rows are: {rows}.",
    )
    zh = ("{order_code} 沒有結果項次 {item}。", "可用項次：{rows}。")


class CodeMapIncomplete(LabbrokerError):
    code = "code-map-incomplete"
    en = ("{what} is missing.", "See `labbroker codes set --help`.")
    zh = ("缺少 {what}。", "請見 `labbroker codes set --help`。")


class MappedProfiles(Mapping[str, SourceProfile]):
    """The profiles of the settings with the code maps of the store. A profile whose map changed is
    another object: who drafted under the old one can tell."""

    def __init__(self, settings: Mapping[str, SourceProfile]) -> None:
        self._settings = settings
        self._mapped = dict(settings)

    def __getitem__(self, source_id: str) -> SourceProfile:
        return self._mapped[source_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapped)

    def __len__(self) -> int:
        return len(self._mapped)

    def load(self, connection: Connection) -> None:
        """Take the maps as the store has them now."""
        self._mapped = with_decisions(self._settings, standing_decisions(connection))


def with_decisions(
    profiles: Mapping[str, SourceProfile], decisions: Sequence[CodeDecision]
) -> dict[str, SourceProfile]:
    """``profiles``, each with the decisions about its source."""
    by_source: dict[str, list[tuple[LocalCode, CodeLink]]] = {}
    for each in decisions:
        link = CodeLink(each.order_code, each.item_number)
        by_source.setdefault(each.source_id, []).append((each.local, link))
    return {
        source_id: replace(profile, code_map=build_code_map(by_source[source_id]))
        if source_id in by_source
        else profile
        for source_id, profile in profiles.items()
    }


def require_usable(decision: CodeDecision, profiles: Mapping[str, SourceProfile]) -> None:
    """Raises :class:`UnknownSource`, :class:`UnknownOrderCode`, :class:`NoSuchItem` or
    :class:`CodeMapIncomplete`."""
    if decision.source_id not in profiles:
        near = difflib.get_close_matches(decision.source_id, profiles, n=3, cutoff=0.5)
        raise UnknownSource(
            source=decision.source_id, nearest=", ".join(near or sorted(profiles)) or "-"
        )
    for name, value in (("CODE", decision.local.code), ("--by", decision.decided_by)):
        if not value:
            raise CodeMapIncomplete(what=name)
    code, item = decision.order_code, decision.item_number
    if code and order_code(code) is None and not has_programme(code):
        raise UnknownOrderCode(order_code=code)
    rows = report_items(code)
    if item is not None and (item < 1 or (rows and item not in {row.number for row in rows})):
        named = ", ".join(f"{row.number} {row.name}" for row in rows)
        raise NoSuchItem(order_code=code, item=item, rows=named or "1, 2, 3 …")


def requeue_known(connection: Connection, profiles: Mapping[str, SourceProfile]) -> int:
    """Read the receipts again that wait for a code which is known by now, from whichever origin.
    How many."""
    waiting = {(line.source_id, line.code) for line in waiting_lines(connection)}
    known = frozenset(
        (source_id, code)
        for source_id, code in waiting
        if source_id in profiles and _is_linked(profiles[source_id], code)
    )
    return requeue_waiting(connection, known) if known else 0


def link_waiting(connection: Connection, settings: Mapping[str, SourceProfile]) -> int:
    """:func:`requeue_known` by the settings and what is decided in the store."""
    return requeue_known(connection, with_decisions(settings, standing_decisions(connection)))


def _is_linked(profile: SourceProfile, code: str) -> bool:
    return any(code_alone(name) == code for name in (*profile.codes, *profile.code_map.names()))


def code_alone(name: str) -> str:
    """The code of ``service/code`` or ``code|system``."""
    return name.rpartition("/")[2].partition("|")[0]


def decision_to_json(decision: CodeDecision) -> dict[str, Any]:
    """Plain values, the inverse of :func:`decision_from_json`, without version and time."""
    local = decision.local
    return {
        "source": decision.source_id,
        "code": local.code,
        "specimen": local.specimen,
        "unit": local.unit,
        "method": local.method,
        "order_code": decision.order_code,
        "item": decision.item_number,
        "withdrawn": decision.withdrawn,
        "name": decision.name,
        "by": decision.decided_by,
        "reason": decision.reason,
    }


def decision_from_json(plain: Mapping[str, Any]) -> CodeDecision:
    """The decision that :func:`decision_to_json` told."""
    local = LocalCode(plain["code"], plain["specimen"], plain["unit"], plain["method"])
    return CodeDecision(
        plain["source"],
        local,
        plain["order_code"],
        plain["item"],
        bool(plain["withdrawn"]),
        plain["name"],
        plain["by"],
        plain["reason"],
    )
