"""Workers that are killed, stand still, are restarted, or become more and fewer."""

from __future__ import annotations

import random

import pytest

from .night import Night


@pytest.mark.parametrize("checkpoint_s", [0, 60])
def test_workers_killed_at_random_moments_lose_nothing_and_repeat_nothing(
    night: Night, checkpoint_s: int
) -> None:
    """Whether states are written at once or much later."""
    chance = random.Random(checkpoint_s)  # noqa: S311
    working = night.workers(2, checkpoint_s=checkpoint_s)
    for kill in (1, 2):
        night.send(1 / 3, in_s=3)
        night.until_told(kill / 3 - chance.uniform(0.05, 0.3))
        working.pop(chance.randrange(2)).kill()
        working.append(night.worker(checkpoint_s=checkpoint_s).until_running())
    night.send()
    night.ends_as_replayed()


def test_the_only_worker_is_killed_and_the_next_one_goes_on(night: Night) -> None:
    [only] = night.workers(1)
    night.send(in_s=3)
    night.until_told(0.4)
    only.kill()
    night.worker()
    night.ends_as_replayed()


def test_a_worker_that_stood_still_past_its_session_does_no_harm_when_it_goes_on(
    night: Night,
) -> None:
    """Another has its people by then, and has told more of them."""
    zombie, _ = night.workers(2)
    night.send(0.6, in_s=3)
    night.until_told(0.2)
    zombie.pause()
    night.until_shared_by(1)
    night.until_told(0.55)
    zombie.resume()
    night.send(0.4, in_s=3)
    night.until_shared_by(2)
    night.ends_as_replayed()


def test_a_worker_alone_that_stood_still_past_its_session_goes_on(night: Night) -> None:
    [zombie] = night.workers(1)
    night.send(in_s=4)
    night.until_told(0.3)
    zombie.pause()
    night.until_shared_by(0)
    zombie.resume()
    night.ends_as_replayed()


def test_workers_are_restarted_one_after_the_other(night: Night) -> None:
    for turn, worker in enumerate(night.workers(2), 1):
        night.send(1 / 2, in_s=2)
        night.until_told(turn / 2 - 0.3)
        worker.stop()
        night.worker().until_running()
    night.ends_as_replayed()


def test_one_worker_becomes_three_and_then_two(night: Night) -> None:
    night.workers(1)
    night.send(0.5, in_s=3)
    night.until_told(0.2)
    second, _ = night.worker(), night.worker()
    night.until_shared_by(3)
    night.send(0.5, in_s=3)
    night.until_told(0.6)
    second.stop()
    night.until_shared_by(2)
    night.ends_as_replayed()
