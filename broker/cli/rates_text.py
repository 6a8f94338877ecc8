"""The rates as people read them in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal

from broker.rates.outlook import Expected
from broker.rates.view import SCORED, RatesView
from mapping.errors import Language
from mapping.moment import TAIPEI
from mapping.rates.benchmarks import benchmark
from mapping.rates.counted_order import CountedOrder, RateName
from mapping.rates.cuts import cut_title
from mapping.rates.plain_number import plain_number
from mapping.rates.rate import Rate, rate_formula, rate_title

_MOST_ORDERS = 200


def rates_to_text(view: RatesView, language: Language) -> str:
    """All that was asked for, a table after the other."""
    zh = language == "zh"
    found = view.found
    at = found.asked_at.astimezone(TAIPEI)
    whose = ", ".join(view.institutions) or ("全部院所" if zh else "all institutions")
    label = "資料時間" if zh else "as of"
    lines = [f"{whose}  {found.month}  {label} {at:%Y-%m-%d %H:%M}", ""]
    lines += _rates(view, language)
    lines += _score(view, zh)
    lines += _outlook(view, zh)
    lines += _beside(view, zh)
    lines += _differences(view, language)
    lines += _overview(view, language)
    lines += _cut(view, language)
    return "\n".join(lines) + "\n"


def _rates(view: RatesView, language: Language) -> Iterator[str]:
    zh = language == "zh"
    rows = [
        ("上傳率", "%", "已上傳", "應上傳", "自行", "交付", "資料至")
        if zh
        else ("rate", "%", "uploaded", "due", "own", "by lab", "knows until")
    ]
    for name, rate in view.found.rates.items():
        rows.append(
            (
                rate_title(name, language),
                _percent(rate),
                plain_number(rate.uploaded),
                plain_number(rate.due),
                plain_number(rate.own),
                plain_number(rate.commissioned),
                rate.data_on.isoformat(),
            )
        )
    yield from aligned(rows)
    yield ""
    for name in view.found.rates:
        yield f"  {rate_title(name, language)} = {rate_formula(name, language)}"
    opted_out = view.found.rates[SCORED].opted_out
    if opted_out:
        said = "依病人意願不上傳（另計）" if zh else "not uploaded at the patient's wish (apart)"
        yield f"  {said}: {plain_number(opted_out)}"


def _score(view: RatesView, zh: bool) -> Iterator[str]:
    found = view.found
    tier = found.tier(SCORED)
    if found.tiers is None or tier is None:
        return
    title = rate_title(SCORED, "zh" if zh else "en")
    yield ""
    if zh:
        yield f"得分 {tier.points}（{found.tiers.edition} 年指標，依{title}）"
    else:
        yield f"points {tier.points} (tiers of {found.tiers.edition}, by the {title})"
    way = view.way_up()
    if way is None:
        return
    share, needed = _share(way.tier.at_least), plain_number(way.needed)
    if not way.reachable:
        yield (
            f"  達 {share}（{way.tier.points} 分）尚缺 {needed}，本月未上傳醫令全數上傳亦不足"
            if zh
            else f"  {share} ({way.tier.points} points) lacks {needed}: all that is open would "
            "not do"
        )
        return
    count = len(way.orders)
    yield (
        f"  達 {share}（{way.tier.points} 分）尚缺 {needed}，最少再上傳 {count} 筆醫令"
        if zh
        else f"  {share} ({way.tier.points} points) lacks {needed}: "
        f"{counted_noun(count, 'more order', 'more orders')} at least"
    )
    if view.wants_orders:
        for each in way.orders[:_MOST_ORDERS]:
            yield f"    {_order(each.order)}  +{each.points} %"
        if count > _MOST_ORDERS:
            yield f"    … {count - _MOST_ORDERS} " + (
                "筆（--json 全列）" if zh else "more (--json)"
            )


def _outlook(view: RatesView, zh: bool) -> Iterator[str]:
    ends = (
        (view.outlook.month, "月底預估" if zh else "expected for the month"),
        (view.outlook.quarter, "季末預估" if zh else "expected for the quarter"),
    )
    told = [_end(expected, label, zh) for expected, label in ends if expected is not None]
    yield ""
    if told:
        yield from told
    else:
        yield "資料不足，暫無預估" if zh else "no forecast: too little to learn from"


def _end(expected: Expected, label: str, zh: bool) -> str:
    parts = [
        f"{'24 小時內' if zh else '24 hours'} {expected.within_24h} %",
        f"{'全月' if zh else 'in all'} {expected.whole_month} %",
    ]
    if expected.score is not None:
        parts.append(f"{'得分' if zh else 'points'} {expected.score}")
    return f"{label} ({expected.first}…{expected.last}): " + "  ".join(parts)


def _beside(view: RatesView, zh: bool) -> Iterator[str]:
    """What NHI published of the division and city, for one institution."""
    if len(view.institutions) != 1:
        return
    language: Language = "zh" if zh else "en"
    for table_id in ("division-24h-111q4", "city-month-111q4"):
        table = benchmark(table_id)
        row = table.row_for(view.institutions[0])
        if row is not None:
            label = "參考" if zh else "beside"
            date_label = "資料日期" if zh else "data of"
            yield (
                f"{label}: {table.name(language)} {table.period} {row.key} {row.percent} % "
                f"({date_label} {table.data_on})"
            )


def _differences(view: RatesView, language: Language) -> Iterator[str]:
    zh = language == "zh"
    for first, second, told in view.differences():
        yield ""
        names = f"{rate_title(first, language)} → {rate_title(second, language)}"
        if not told:
            yield f"{names}: " + ("無差異" if zh else "no difference")
            continue
        yield names
        for each in told:
            columns = ("已上傳", "應上傳") if zh else ("uploaded", "due")
            yield (
                f"  {each.text(language)}: {columns[0]} {signed(each.uploaded)}, "
                f"{columns[1]} {signed(each.due)}"
            )
            if view.explained is not None:
                yield from (f"    {_order(order)}" for order in each.orders[:_MOST_ORDERS])
                if len(each.orders) > _MOST_ORDERS:
                    more = len(each.orders) - _MOST_ORDERS
                    yield f"    … {more} " + ("筆（--json 全列）" if zh else "more (--json)")


def _overview(view: RatesView, language: Language) -> Iterator[str]:
    """Why our IC-card count of each day differs from NHI's overview."""
    overview, zh = view.found.overview, language == "zh"
    if overview is None:
        return
    titles = [rate_title(name, language) for name in (RateName.NHI, RateName.IC_CARD)]
    days = f"{overview.from_on}/{overview.until_on}"
    yield ""
    yield f"{titles[0]} → {titles[1]} ({days}, {'資料至' if zh else 'data of'} {overview.data_on})"
    found = view.found.overview_gaps()
    if not found:
        yield "  無差異" if zh else "  no day differs"
    columns = ("已上傳", "應上傳") if zh else ("uploaded", "due")
    for gap in found:
        yield (
            f"  {gap.visit_on} {gap.text(language)}: {columns[0]} {signed(gap.uploaded)}, "
            f"{columns[1]} {signed(gap.due)}"
        )
        if view.explained is not None:
            yield from (f"    {_order(order)}" for order in gap.orders[:_MOST_ORDERS])


def counted_noun(count: int, one: str, several: str) -> str:
    """``1 order``, ``2 orders``."""
    return f"{count} {one if count == 1 else several}"


def _cut(view: RatesView, language: Language) -> Iterator[str]:
    if view.cut is None:
        return
    names = view.found.by_order
    rows = [(cut_title(view.cut, language), *(rate_title(name, language) for name in names))]
    for row in view.cut_rows():
        label = row.label(view.cut, language, view.groups)
        cells = (
            f"{_percent(row.rates[name])} {plain_number(row.rates[name].uploaded)}"
            f"/{plain_number(row.rates[name].due)}"
            for name in names
        )
        rows.append((label, *cells))
    yield ""
    yield from aligned(rows)


def _order(order: CountedOrder) -> str:
    """An order without its patient: what a person finds again in the worklist or the console."""
    record = f"record {order.record_id}" if order.record_id is not None else "-"
    return (
        f"{order.institution_code} {order.visit_on} visit {order.visit_id} {order.order_code} "
        f"x{plain_number(order.quantity)} {order.progress} {record}"
    )


def _percent(rate: Rate) -> str:
    return "-" if rate.percent is None else str(rate.percent)


def _share(at_least: Decimal) -> str:
    return f"{plain_number(100 * at_least)} %"


def signed(value: Decimal) -> str:
    """``+3``, ``-1.5`` or ``0``."""
    return f"+{plain_number(value)}" if value > 0 else plain_number(value)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows with their first column to the left and the others to the right; Chinese characters
    are two columns wide."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell + " " * (width - _width(cell))
            if place == 0
            else " " * (width - _width(cell)) + cell
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(cells)).rstrip()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
