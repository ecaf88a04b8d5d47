"""Brokers that are killed, stopped or stand still; there are three of them."""

from __future__ import annotations

import time

import pytest

from .night import SESSION_S, Night


def test_two_brokers_of_three_are_killed_one_after_the_other(long_night: Night) -> None:
    """With each go the leaders of some partitions, and with one of them the group's coordinator."""
    night = long_night
    night.workers(2)
    for turn, number in enumerate(night.cluster.numbers[:2], 1):
        night.send(1 / 2, in_s=2)
        night.until_told(turn / 2 - 0.3)
        night.cluster.kill(number)
        night.until_told(turn / 2 - 0.05)
        night.cluster.start_broker(number)
    night.ends_as_replayed()


def test_all_brokers_are_stopped_and_started(long_night: Night) -> None:
    night = long_night
    night.workers(2)
    night.send(in_s=4)
    night.until_told(0.3)
    for number in night.cluster.numbers:
        night.cluster.kill(number)
    night.start_brokers()
    night.ends_as_replayed()


@pytest.mark.parametrize("count", [1, 3])
def test_brokers_that_stand_still_for_longer_than_a_session(long_night: Night, count: int) -> None:
    night = long_night
    night.workers(2)
    night.send(in_s=4)
    night.until_told(0.3)
    for number in night.cluster.numbers[:count]:
        night.cluster.pause(number)
    time.sleep(SESSION_S + 2)  # there is nobody to ask whether it has been long enough
    for number in night.cluster.numbers[:count]:
        night.cluster.resume(number)
    night.ends_as_replayed()
