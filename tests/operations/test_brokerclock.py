"""Whose clock is gone by, told as timelines: the machine's own, or the brokers'."""

from __future__ import annotations

import pytest

from geomon.operations.brokerclock import BrokerClock, steady_s

NOON_S = 1_707_796_800.0  # 2024-02-13T12:00:00+08:00
HOUR_S = 3_600.0


class Machine:
    """A machine whose wall clock is `ahead_s` of the brokers', and the clock under test."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.up_s = 500.0  # the steady clock
        self.ahead_s = ahead_s
        self.clock = BrokerClock(60.0, steady=lambda: self.up_s)

    @property
    def true_s(self) -> float:
        return NOON_S + self.up_s - 500.0

    @property
    def own_s(self) -> float:
        return self.true_s + self.ahead_s

    def pass_time(self, seconds: float) -> None:
        self.up_s += seconds

    def ask(self, round_trip_s: float = 0.0, brokers_ahead_s: float = 0.0) -> None:
        """Send, and have the answer; the broker stamps it in the middle of that time."""
        sent_s = self.up_s
        self.pass_time(round_trip_s / 2)
        stamped_s = self.true_s + brokers_ahead_s
        self.pass_time(round_trip_s / 2)
        self.clock.observe(sent_s, stamped_s, self.up_s)


def test_before_any_answer_the_own_clock_is_all_there_is() -> None:
    machine = Machine(ahead_s=3 * HOUR_S)
    assert machine.clock.skew_s(machine.own_s) is None
    assert machine.clock.brokers_now_s() is None
    assert machine.clock.now_s(machine.own_s) == machine.own_s
    assert not machine.clock.is_off(machine.own_s)


@pytest.mark.parametrize("ahead_s", [0.0, 59.0, -59.0])
def test_a_clock_that_is_a_little_off_is_gone_by(ahead_s: float) -> None:
    machine = Machine(ahead_s)
    machine.ask()
    machine.pass_time(30)
    assert machine.clock.skew_s(machine.own_s) == pytest.approx(ahead_s)
    assert machine.clock.now_s(machine.own_s) == machine.own_s
    assert not machine.clock.is_off(machine.own_s)


@pytest.mark.parametrize("ahead_s", [61.0, -61.0, 3 * HOUR_S, -8 * HOUR_S])
def test_a_clock_that_is_off_gives_way_to_the_brokers(ahead_s: float) -> None:
    machine = Machine(ahead_s)
    machine.ask(round_trip_s=0.4)
    machine.pass_time(HOUR_S)  # no answer for an hour: the steady clock carries on
    assert machine.clock.is_off(machine.own_s)
    assert machine.clock.skew_s(machine.own_s) == pytest.approx(ahead_s)
    assert machine.clock.now_s(machine.own_s) == pytest.approx(machine.true_s)


def test_a_clock_put_forward_in_between_is_found_out_at_once() -> None:
    machine = Machine()
    for _ in range(5):
        machine.ask()
        machine.pass_time(30)
    assert machine.clock.now_s(machine.own_s) == machine.own_s
    machine.ahead_s = 2 * HOUR_S  # no answer has come since
    assert machine.clock.is_off(machine.own_s)
    assert machine.clock.now_s(machine.own_s) == pytest.approx(machine.true_s)
    machine.ahead_s = 0.0  # and is put right again
    assert machine.clock.now_s(machine.own_s) == machine.own_s


def test_one_broker_with_a_wrong_clock_among_three_does_not_decide() -> None:
    machine = Machine()
    for turn in range(15):
        machine.ask(brokers_ahead_s=5 * HOUR_S if turn % 3 == 0 else 0.0)
        machine.pass_time(10)
        if turn >= 2:  # of two answers one is as good as the other
            assert machine.clock.skew_s(machine.own_s) == pytest.approx(0.0)
            assert machine.clock.now_s(machine.own_s) == machine.own_s


def test_slow_answers_are_not_looked_at() -> None:
    machine = Machine()
    machine.ask(round_trip_s=0.2)
    sent_s = machine.up_s
    machine.pass_time(40)
    # Stamped at the end of a stall: the middle would be 20 s off.
    machine.clock.observe(sent_s, machine.true_s, machine.up_s)
    machine.clock.observe(machine.up_s + 1, machine.true_s, machine.up_s)  # answered before asked
    assert machine.clock.skew_s(machine.own_s) == pytest.approx(0.0)


def test_brokers_that_are_all_put_right_are_followed() -> None:
    machine = Machine()
    for _ in range(5):
        machine.ask(brokers_ahead_s=HOUR_S)
    assert machine.clock.now_s(machine.own_s) == pytest.approx(machine.true_s + HOUR_S)
    for _ in range(3):
        machine.ask()
    assert machine.clock.now_s(machine.own_s) == machine.own_s


def test_the_steady_clock_does_not_go_back() -> None:
    readings = [steady_s() for _ in range(100)]
    assert readings == sorted(readings)
