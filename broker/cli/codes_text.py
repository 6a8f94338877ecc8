"""How ``labbroker codes`` tells a person what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from broker.code_trial import Trial
from broker.code_validity import CodeValidity
from broker.store.code_maps import CodeDecision
from broker.store.line_habits import ChangedHabit
from broker.unmapped_codes import UnmappedCode
from mapping.code_suggestions import Reason, Suggestion
from mapping.errors import Language
from mapping.line_habits import HabitKind
from mapping.moment import TAIPEI

_KINDS = {
    HabitKind.UNIT: ("unit, held", "單位（暫停）"),
    HabitKind.RANGE: ("range", "參考值"),
}
_REASONS = {
    "name": ("name", "名稱"),
    "code": ("code", "代碼"),
    "row": ("names no row of the panel", "未指明項次"),
    "usual": ("a usual order", "常見醫令"),
    "unit": ("unit", "單位"),
    "specimen": ("specimen", "檢體"),
    "range": ("same range", "參考值相同"),
    "values": ("values", "結果值"),
    "ordered": ("ordered at the visit", "就醫有此醫令"),
    "together": ("in the same report", "同一報告"),
    "elsewhere": ("other map", "其他來源"),
    "loinc": ("NHI's LOINC link", "健保 LOINC 對應"),
}


def unmapped_text(codes: Sequence[UnmappedCode], language: Language) -> str:
    """One line a code, the most urgent first."""
    chinese = language == "zh"
    if not codes:
        return "沒有待對應的代碼\n" if chinese else "No code waits.\n"
    lines = []
    for each in codes:
        count = f"{each.count} 筆" if chinese else f"{each.count} result{'s'[: each.count > 1]}"
        until = "期限" if chinese else "due"
        row = f"  ({each.order_code} r1?)" if each.order_code else ""
        lines.append(
            f"{each.source_id}  {each.code}  {each.name}  {count}  "
            f"{until} {_time(each.due_at)}{row}"
        )
    hint = "建議：labbroker codes suggest" if chinese else "See `labbroker codes suggest`."
    return "\n".join([*lines, hint]) + "\n"


def suggestions_text(
    found: Iterable[tuple[UnmappedCode, tuple[Suggestion, ...]]],
    validity: CodeValidity,
    language: Language,
) -> str:
    """Each code with what it may mean, why, and the command that decides it."""
    chinese = language == "zh"
    lines = []
    for code, suggestions in found:
        lines.append(f"{code.source_id}  {code.code}  {code.name}  ×{code.count}")
        for place, each in enumerate(suggestions, start=1):
            item = f" r1={each.item_number}" if each.item_number is not None else ""
            lines.append(f"  {place}. {each.order_code}{item}  {each.name}  {each.score:.2f}")
            lines += [f"     {_reason(reason, chinese)}" for reason in each.reasons]
            known = validity.of(each.order_code)
            if known is not None and known[1] is not None:
                lines.append(
                    f"     {'有效期間' if chinese else 'in force'} {known[0]} – {known[1]}"
                )
            if each.identical:
                same = "與已確認者完全相同" if chinese else "identical to what is confirmed for"
                lines.append(f"     {same} {each.identical}")
        if not suggestions:
            lines.append("  無建議" if chinese else "  Nothing speaks for any order code.")
        else:
            best = suggestions[0]
            item = f" --item {best.item_number}" if best.item_number is not None else ""
            lines.append(
                f'  labbroker codes set {code.source_id} "{code.code}" {best.order_code}{item} '
                "--by NAME"
            )
    if not lines:
        return "沒有待對應的代碼\n" if chinese else "No code waits.\n"
    return "\n".join(lines) + "\n"


def _reason(reason: Reason, chinese: bool) -> str:
    label = _REASONS[reason.kind][chinese]
    detail = f" {reason.detail}" if reason.detail else ""
    return f"{reason.weight:+.2f} {label}{detail}"


def standing_text(decisions: Sequence[CodeDecision], language: Language) -> str:
    """One line a decision."""
    chinese = language == "zh"
    if not decisions:
        return "沒有對應紀錄\n" if chinese else "Nothing is decided.\n"
    lines = []
    for each in decisions:
        local = each.local
        narrowed = "".join(
            f" {key}={value}"
            for key, value in zip(
                ("specimen", "unit", "method"),
                (local.specimen, local.unit, local.method),
                strict=True,
            )
            if value
        )
        if each.withdrawn:
            means = "已收回" if chinese else "taken back"
        else:
            means = each.order_code or ("不上傳" if chinese else "never uploaded")
            means += f" r1={each.item_number}" if each.item_number is not None else ""
        why = f"  ({each.reason})" if each.reason else ""
        lines.append(
            f"v{each.version}  {each.source_id}  {local.code}{narrowed}  {each.name} → {means}  "
            f"{_time(each.decided_at, year=True)} {each.decided_by}{why}"
        )
    return "\n".join(lines) + "\n"


def outcome_text(told: Mapping[str, Any], language: Language) -> str:
    """What came of a decision."""
    if language == "zh":
        return (
            f"{told['decisions']} 筆對應，版本 {told['version']}；"
            f"{told['requeued']} 件收件重新處理\n"
        )
    return (
        f"{told['decisions']} decided, version {told['version']}; "
        f"{told['requeued']} receipts are read again\n"
    )


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial as plain values."""
    return {
        "receipts": trial.receipts,
        "unreadable": trial.unreadable,
        "changed": trial.changed,
        "have_left": trial.have_left,
        "counts": [
            {"order_code": code, "before": before, "after": after, "count": count}
            for (code, before, after), count in sorted(trial.counts.items())
        ],
        "records": [
            {
                "receipt_id": each.receipt_id,
                "place": each.place,
                "order_code": each.order_code,
                "before": each.before,
                "after": each.after,
                "has_left": each.has_left,
            }
            for each in trial.differences
        ],
    }


def trial_text(trial: Trial, decisions: int, language: Language) -> str:
    """What would have been another, by order code."""
    chinese = language == "zh"
    lines = [
        f"{decisions} 筆對應，比對 {trial.receipts} 件收件；未做任何變更"
        if chinese
        else f"{decisions} decisions tried on {trial.receipts} receipts; nothing was changed"
    ]
    none = "無" if chinese else "none"
    for (code, before, after), count in sorted(trial.counts.items()):
        lines.append(f"  {code or '-':<10} {before or none} → {after or none}  ×{count}")
    if not trial.changed:
        lines.append("  無差異" if chinese else "  no difference")
    if trial.have_left:
        lines.append(
            f"  {trial.have_left} 筆已封裝或送出，不會收回"
            if chinese
            else f"  {trial.have_left} are in a package or were sent, and are not called back"
        )
    if trial.unreadable:
        lines.append(
            f"  {trial.unreadable} 件無法讀取"
            if chinese
            else f"  {trial.unreadable} receipts could not be read"
        )
    return "\n".join(lines) + "\n"


def drift_text(changed: Sequence[ChangedHabit], language: Language) -> str:
    """One line a change; units hold results, ranges do not."""
    chinese = language == "zh"
    if not changed:
        return "單位與參考值無變更\n" if chinese else "No unit and no range has changed.\n"
    lines = []
    for each in changed:
        habit = each.habit
        kind = _KINDS[habit.kind][chinese]
        whose = f" ({habit.group})" if habit.group else ""
        before = ", ".join(each.before) or "-"
        lines.append(
            f"{habit.source_id}  {habit.code}  {habit.specimen}  {kind}{whose}: {before} → "
            f"{habit.value}  {_time(each.seen_at)}  #{each.receipt_id}"
        )
    return "\n".join(lines) + "\n"


def _time(at: datetime | None, *, year: bool = False) -> str:
    if at is None:
        return "-"
    return f"{at.astimezone(TAIPEI):{'%Y-%m-%d' if year else '%m-%d'} %H:%M}"
