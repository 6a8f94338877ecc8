"""Any code map goes into a spreadsheet and comes back, and no cell can run there."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from broker.code_map_file import read_code_map, write_code_map
from broker.store.code_maps import CodeDecision
from mapping.code_map import LocalCode

# What a laboratory's code or a person's reason may hold; a spreadsheet keeps no NUL.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(["=1+1", "'=x", "''-", "@", "+886", "-", "\t=", '"', "a,b", "飯前", "'"])
DECISIONS = st.builds(
    CodeDecision,
    source_id=st.sampled_from(["lab", "other"]),
    local=st.builds(LocalCode, TEXTS, TEXTS, TEXTS, TEXTS),
    order_code=st.sampled_from(["", "09015C", "08011C"]),
    name=TEXTS,
    decided_by=st.just("Wang"),
    reason=TEXTS,
    decided_at=st.just(datetime(2026, 11, 20, tzinfo=UTC)),
)


@given(st.lists(DECISIONS, max_size=5))
def test_a_code_map_comes_back_as_it_was_and_no_cell_is_a_formula(
    decisions: list[CodeDecision],
) -> None:
    raw = write_code_map(decisions)
    back = read_code_map(raw, "Wang")
    assert [
        (each.source_id, each.local, each.order_code, each.name, each.reason) for each in back
    ] == [(e.source_id, e.local, e.order_code, e.name, e.reason) for e in decisions]
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    for row in rows[1:]:
        # The one cell of ours that is a bare minus says that a code is never uploaded.
        cells = [cell for place, cell in enumerate(row) if place != 6]
        assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]
