"""How far anybody gets in a time: what a position says of the one before it.

On the ground nothing here is faster than a train at 300 km/h. An aircraft is, and takes more than
an hour even from one terminal to the next, in which a phone on board says nothing. What lies beyond
is no journey: it is a wrong position, or a faked one.
"""

from __future__ import annotations

__all__ = ["reach_m"]

_SLACK_M = 2_000.0  # both ends may be off by so much
_TRAIN_MPS = 85.0
_BOARDING_S = 3600
_AIRCRAFT_MPS = 240.0


def reach_m(elapsed_s: float) -> float:
    """Give the distance that can lie between two positions taken so long after each other, m."""
    by_air_s = max(elapsed_s - _BOARDING_S, 0.0)
    return _SLACK_M + _TRAIN_MPS * (elapsed_s - by_air_s) + _AIRCRAFT_MPS * by_air_s
