"""A profile laid over the header of one file: which cell of a row is which of our columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import cast

from adapters.folder.formats.csv_layout import read_header, refuse_table
from adapters.folder.formats.profile_dates import plain_date
from mapping.file_profile import DATE_COLUMNS, DateOrder, FileProfile, Place, Places, RowFilter

Getter = Callable[[list[str]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Computed:
    """A cell that is made of others: joined by a blank, or a date in the profile's order."""

    indices: tuple[int, ...]
    order: DateOrder | None

    def text(self, row: Sequence[str]) -> str:
        joined = " ".join(cell for index in self.indices if (cell := row[index].strip()))
        return joined if self.order is None else plain_date(joined, self.order)


@dataclass(frozen=True, slots=True)
class _Condition:
    index: int
    rule: RowFilter

    def leaves_out(self, row: Sequence[str]) -> bool:
        cell = row[self.index].strip()
        if self.rule.drop:
            return any(_means(text, cell) for text in self.rule.drop)
        return not any(_means(text, cell) for text in self.rule.keep)


class TableLayout:
    """Reads rows of ``width`` cells. ``ignored`` are the places of header texts without meaning.

    Raises CsvUnreadable where the header lacks what the profile names.
    """

    def __init__(
        self,
        profile: FileProfile,
        header: Sequence[str] | None,
        shared: tuple[str, ...],
        line: tuple[str, ...],
    ) -> None:
        self._profile = profile
        self._header = header
        self.ignored: tuple[int, ...] = ()
        numbers = [place for place in profile.places() if isinstance(place, int)]
        self.width = max([len(header or ()), *numbers])
        self.mark = profile.sections.mark if profile.sections is not None else ""
        raw = self._columns()
        self._computed: list[_Computed] = []
        self._in_section: list[_Computed] = []
        self._section: list[str] | None = None
        self._mark_index = 0
        self._constants = list(profile.constants.values())
        section_names: list[str] = []
        if profile.sections is not None:
            self._mark_index = self._index(profile.sections.column)
            for name, places in profile.sections.columns.items():
                section_names.append(name)
                self._in_section.append(self._cell(name, places))
        self._conditions = [_Condition(self._index(each.column), each) for each in profile.filters]
        for item in profile.items:
            self._constants += item.texts.values()
        at = self.width
        position: dict[str, int] = {}
        for name in section_names:
            position[name], at = at, at + 1
        first_constant = at
        for name in profile.constants:
            position[name], at = at, at + 1
        at = first_constant + len(self._constants)
        for name, places in raw.items():
            cell = self._cell(name, places)
            if len(cell.indices) == 1 and cell.order is None:
                position[name] = cell.indices[0]
            else:
                self._computed.append(cell)
                position[name], at = at, at + 1
        self._blank = at
        self.position: Mapping[str, int] = position
        self.getters = self._getters(shared, line, first_constant + len(profile.constants))
        """For each result in a row: the getters of what its report shares and of its line."""
        self.value_indices = [self._index(item.place) for item in profile.items]
        self._plain = not (section_names or self._constants or self._computed)

    @property
    def has_sections(self) -> bool:
        return bool(self.mark)

    @property
    def in_section(self) -> bool:
        """True where rows may be results: a section is open, or none is needed."""
        return not self.mark or self._section is not None

    def opens_section(self, row: list[str]) -> bool:
        """Whether ``row`` opens a section; what it says is then kept for the rows behind it."""
        if not row[self._mark_index].strip().startswith(self.mark):
            return False
        self._section = [each.text(row) for each in self._in_section]
        return True

    def leaves_out(self, row: list[str]) -> bool:
        """Whether a filter of the profile leaves the row out."""
        return any(each.leaves_out(row) for each in self._conditions)

    def extend(self, row: list[str]) -> None:
        """Lengthen a row of ``width`` cells by what is made of it, for the getters."""
        if not self._plain:
            computed = [each.text(row) for each in self._computed]
            row += self._section or [""] * len(self._in_section)
            row += self._constants
            row += computed
        row.append("")

    def _columns(self) -> Mapping[str, Places]:
        profile = self._profile
        if profile.only_named or self._header is None:
            return profile.columns
        named = {name: str(places[0]) for name, places in profile.columns.items()}
        header = read_header(self._header, named)
        self.ignored = header.ignored
        return {name: (index + 1,) for name, index in header.position.items()}

    def _cell(self, name: str, places: Places) -> _Computed:
        dates = name in DATE_COLUMNS and self._profile.only_named
        order = self._profile.dates if dates else None
        return _Computed(tuple(self._index(place) for place in places), order)

    def _index(self, place: Place) -> int:
        if isinstance(place, int):
            if self._header is not None and place > len(self._header) and not self.has_sections:
                raise refuse_table(
                    f"it has no column {place}, which the profile names",
                    f"缺少設定的第 {place} 欄",
                    f"row {self._profile.header_row}",
                )
            return place - 1
        wanted = place.strip().casefold()
        found = [
            n for n, cell in enumerate(self._header or ()) if cell.strip().casefold() == wanted
        ]
        if not found:
            raise refuse_table(
                f"the header “{place}” that the profile names is missing",
                f"缺少設定的標題「{place}」",
                f"row {self._profile.header_row}",
            )
        if len(found) > 1:
            raise refuse_table(
                f"the header “{place}” stands there {len(found)} times: give the column's number",
                f"標題「{place}」出現 {len(found)} 次：請改以欄號指定",
                f"row {self._profile.header_row}",
            )
        return found[0]

    def _getters(
        self, shared: tuple[str, ...], line: tuple[str, ...], first_text: int
    ) -> list[tuple[Getter, Getter]]:
        if not self._profile.items:
            return [(self._getter(shared, {}), self._getter(line, {}))]
        getters = []
        at = first_text
        for item in self._profile.items:
            own = {"value": self._index(item.place)}
            for name in item.texts:
                own[name], at = at, at + 1
            getters.append((self._getter(shared, own), self._getter(line, own)))
        return getters

    def _getter(self, columns: tuple[str, ...], own: Mapping[str, int]) -> Getter:
        places = (own.get(name, self.position.get(name, self._blank)) for name in columns)
        return cast("Getter", itemgetter(*places))


def _means(text: str, cell: str) -> bool:
    return cell.startswith(text[:-1]) if text.endswith("*") else cell == text
