"""Search parameters → what is looked for, and pages of results → Bundles (R4 search.html).

Any parameter that is not known is refused: whoever asked for less would be given too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from adapters.fhir.identifiers import PERSON_SYSTEMS, bare_system
from adapters.fhir.merged_words import merged_lines
from adapters.fhir.negotiation import problem
from adapters.fhir.result_view import line_resource, line_time, report_resource, report_time
from adapters.ports.results import ResultQuery, StoredReport
from mapping.moment import TAIPEI, Moment

MAX_COUNT = 200
# One report may hold a whole page of Observations.
_READ_AT_ONCE = 20
DEFAULT_COUNT = 50
PATIENT_PARAMETERS = (
    "patient.identifier",
    "patient:identifier",
    "subject.identifier",
    "subject:identifier",
)
_TIME = re.compile(
    r"(eq|ge|gt|le|lt)?(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,6})", re.ASCII)
_INCLUDE = "DiagnosticReport:result"
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start``, which belongs to it, until ``end``, which does not; aware UTC."""

    start: datetime = _EARLIEST
    end: datetime = _LATEST

    def meets(self, moment: Moment | None) -> bool:
        """Whether a time lies in it; no time lies only in the span without bounds."""
        if moment is None:
            return self == Span()
        return self.start <= moment.at < self.end

    def within(self, other: Span) -> Span:
        return Span(max(self.start, other.start), min(self.end, other.end))


@dataclass(frozen=True, slots=True)
class Search:
    """A search of one type. ``skip`` Observations of the report after ``query.after`` are known
    already; ``nothing`` says that no result can fit."""

    type_name: str
    query: ResultQuery
    taken: Span
    parameters: tuple[tuple[str, str], ...]
    count: int
    skip: int = 0
    include: bool = False
    nothing: bool = False


@dataclass(slots=True)
class Page:
    """``resources`` that match, ``included`` ones beside them, and where the next page begins."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    included: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str = ""


def read_search(type_name: str, parameters: Sequence[tuple[str, str]]) -> Search:
    """The search that the parameters describe. Raises ``Refused`` (400) with the parameter."""
    query, taken, stored = ResultQuery(), Span(), Span()
    count, skip, include, nothing = DEFAULT_COUNT, 0, False, False
    for name, value in parameters:
        if name in PATIENT_PARAMETERS:
            system, bar, number = value.rpartition("|")
            number = number.strip()
            if not number or "," in value:
                raise _wrong(name, "one identifier, as system|value")
            known = query.national_id or query.chart_number
            if bar and system:
                if bare_system(system) in PERSON_SYSTEMS:
                    query = replace(query, national_id=number.upper())
                else:
                    nothing = True
            elif _looks_like_person(number):
                query = replace(query, national_id=number.upper())
            else:
                query = replace(query, chart_number=number)
            if known:
                raise _wrong(name, "one identifier")
        elif name == "date":
            taken = taken.within(_span(name, value))
        elif name in ("_lastUpdated", "_since"):
            asked = value if name == "_lastUpdated" else f"ge{value}"
            stored = stored.within(_span(name, asked))
        elif name == "_count":
            if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) < 10**9):
                raise _wrong(name, "a number from 1")
            count = min(int(value[:9]), MAX_COUNT)
        elif name == "_page":
            match = _CURSOR.fullmatch(value)
            if match is None:
                raise _wrong(name, "the value of a next link")
            query, skip = replace(query, after=int(match[1])), int(match[2])
        elif name == "_include" and type_name == "DiagnosticReport" and value == _INCLUDE:
            include = True
        elif name != "_format":
            raise _wrong(name, "")
    if taken != Span():
        query = replace(query, taken_from=taken.start, taken_until=taken.end)
    if stored != Span():
        query = replace(query, stored_from=stored.start, stored_until=stored.end)
    kept = tuple(pair for pair in parameters if pair[0] != "_page")
    return Search(type_name, query, taken, kept, count, skip, include, nothing)


def find_page(search: Search, look: Callable[[ResultQuery], Sequence[StoredReport]]) -> Page:
    """The page of ``search``; ``look`` blocks and gives reports by their cursor."""
    page = Page()
    after, skip = search.query.after, search.skip
    while not search.nothing:
        wanted = min(search.count - len(page.resources) + 1, _READ_AT_ONCE)
        found = look(replace(search.query, after=after - (1 if skip else 0), count=wanted))
        for stored in found:
            rest = skip if stored.cursor == after else 0
            for number, make in enumerate(_matches(search, stored)):
                if number < rest:
                    continue
                if len(page.resources) == search.count:
                    at = (stored.cursor, number) if number else (after, 0)
                    page.next_cursor = f"{at[0]}.{at[1]}"
                    return page
                page.resources.append(make())
                if search.include:
                    page.included += [line_resource(stored, it) for it in merged_lines(stored)]
            after, skip = stored.cursor, 0
        if len(found) < wanted:
            break
    return page


def searchset(
    search: Search, page: Page, base: str, now: datetime, self_is_private: bool
) -> dict[str, Any]:
    """The Bundle of one page. Of a search by POST no link repeats the patient's number but the
    next one, which the asker follows himself."""
    links = []
    if not self_is_private:
        links.append({"relation": "self", "url": _url(search, base, "")})
    if page.next_cursor:
        links.append({"relation": "next", "url": _url(search, base, page.next_cursor)})
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": now.astimezone(TAIPEI).isoformat(timespec="seconds"),
    }
    if links:
        bundle["link"] = links
    entries = [*_entries(page.resources, base, "match"), *_entries(page.included, base, "include")]
    if entries:
        bundle["entry"] = entries
    return bundle


def _matches(search: Search, stored: StoredReport) -> Iterator[Callable[[], dict[str, Any]]]:
    if not stored.words:
        return
    if search.type_name == "DiagnosticReport":
        if search.taken.meets(report_time(stored)):
            yield lambda: report_resource(stored)
        return
    for line in merged_lines(stored):
        if search.taken.meets(line_time(stored, line)):
            yield lambda line=line: line_resource(stored, line)  # type: ignore[misc]


def _entries(resources: Iterable[dict[str, Any]], base: str, mode: str) -> list[dict[str, Any]]:
    return [
        {
            "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": mode},
        }
        for resource in resources
    ]


def _url(search: Search, base: str, cursor: str) -> str:
    parameters = [*search.parameters, *([("_page", cursor)] if cursor else [])]
    query = urlencode(parameters, safe="|:", quote_via=quote)
    return f"{base}/{search.type_name}" + (f"?{query}" if query else "")


def _span(name: str, value: str) -> Span:
    match = _TIME.fullmatch(value.strip().replace(" ", "+"))
    try:
        if match is None:
            raise ValueError
        start, end = _bounds(*match.groups()[1:])
    except (ValueError, OverflowError):
        raise _wrong(name, "a FHIR date or dateTime, after eq, ge, gt, le, lt or nothing") from None
    return {
        "ge": Span(start=start),
        "gt": Span(start=end),
        "le": Span(end=end),
        "lt": Span(end=start),
    }.get(match[1], Span(start, end))


def _bounds(*parts: str | None) -> tuple[datetime, datetime]:
    """The span that a date means: of a day, month or year in Taipei all of it."""
    year, month, day, hour, minute, second, zone = parts
    if hour is None:
        start = datetime(int(year or 0), int(month or 1), int(day or 1), tzinfo=TAIPEI)
        if day is not None:
            return start, start + timedelta(days=1)
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        return start, following if month else start.replace(year=start.year + 1)
    text = f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}"
    start = datetime.fromisoformat(text + (zone or "+08:00").replace("Z", "+00:00"))
    return start, start + timedelta(seconds=1 if second else 60)


def _looks_like_person(value: str) -> bool:
    return len(value) == 10 and value.isascii() and value[0].isalpha() and value[2:].isdigit()


def _wrong(name: str, wanted: str) -> Exception:
    shown = name if len(name) <= 40 and re.fullmatch(r"[A-Za-z_.:\-]+", name) else "a parameter"
    text = f"{shown} takes {wanted}." if wanted else f"{shown} is not supported for a search."
    return problem(400, "invalid" if wanted else "not-supported", text)
