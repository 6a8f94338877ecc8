"""What the service asks of the interpreter."""

from __future__ import annotations

import gc

from broker.cli.serve import spare_collections


def test_what_the_program_is_made_of_is_not_looked_through_for_garbage() -> None:
    before = gc.get_threshold()
    cycle: list[object] = []
    cycle.append(cycle)
    try:
        spare_collections()
        assert not any(kept is cycle for kept in gc.get_objects())
        later: list[object] = []
        later.append(later)
        assert any(kept is later for kept in gc.get_objects()), "garbage is still looked for"
        assert gc.isenabled()
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_threshold()[1:] == before[1:]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
