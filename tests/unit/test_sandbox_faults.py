"""Which request meets which fault."""

from __future__ import annotations

from broker.sandbox.faults import FaultPlan, GatewayFault


def test_an_ordered_fault_is_met_by_its_kind_of_request_as_often_as_ordered() -> None:
    plan = FaultPlan()
    plan.order(GatewayFault.QUERY_DOWN, 2)
    assert plan.next_fault("submit") is None
    met = [plan.next_fault("query") for _ in range(3)]
    assert [entry and entry.fault for entry in met] == [
        GatewayFault.QUERY_DOWN,
        GatewayFault.QUERY_DOWN,
        None,
    ]


def test_zero_times_means_until_it_is_cleared() -> None:
    plan = FaultPlan()
    plan.order(GatewayFault.CLOSE_AT_HALF, 0)
    assert all(plan.next_fault("submit") for _ in range(5))
    plan.clear()
    assert plan.next_fault("submit") is None


def test_maintenance_stays_until_it_is_cleared() -> None:
    plan = FaultPlan()
    plan.order(GatewayFault.MAINTENANCE)
    assert plan.next_fault("submit") is None
    assert plan.maintenance()
    plan.clear()
    assert not plan.maintenance()


def test_drawn_faults_depend_on_seed_name_and_attempt_not_on_order() -> None:
    names = [f"{n}.zip" for n in range(200)]
    one, other = FaultPlan(0.3, 5), FaultPlan(0.3, 5)
    forward = {name: one.next_fault("submit", name) for name in names}
    backward = {name: other.next_fault("submit", name) for name in reversed(names)}
    assert forward == backward
    assert 30 < sum(entry is not None for entry in forward.values()) < 90
    assert {name: FaultPlan(0.3, 6).next_fault("submit", name) for name in names} != forward


def test_a_rate_of_zero_draws_nothing() -> None:
    assert FaultPlan(0.0, 1).next_fault("submit", "a") is None
