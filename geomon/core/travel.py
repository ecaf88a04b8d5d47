"""How far anybody gets in a time: what a position says of the one before it.

On the ground nothing here is faster than a train at 300 km/h. An aircraft is, and a phone on board
says nothing from the gate on. Two answers, for two questions:

likely_m     how far to believe: with an hour from one terminal to the next. What lies beyond does
             not count *yet*: a real departure is believed a little later
possible_m   how far at the very most: no flight takes less than forty minutes, and ten of these go
             by before it is on its way. What lies beyond is a wrong position, or a faked one
"""

from __future__ import annotations

__all__ = ["likely_m", "possible_m"]

_SLACK_M = 2_000.0  # both ends may be off by so much
_TRAIN_MPS = 85.0
_AIRCRAFT_MPS = 240.0
_TERMINALS_S = 3600
_SHORTEST_FLIGHT_S, _TAXIING_S = 2400, 600


def likely_m(elapsed_s: float, slack_m: float = _SLACK_M) -> float:
    """Give the distance to be believed between two positions taken so long after each other, m.

    `slack_m`: by how much both ends together may be off.
    """
    by_air_s = max(elapsed_s - _TERMINALS_S, 0.0)
    return slack_m + _TRAIN_MPS * (elapsed_s - by_air_s) + _AIRCRAFT_MPS * by_air_s


def possible_m(elapsed_s: float) -> float:
    """Give the longest distance that can lie between two such positions, m."""
    by_train_m = _SLACK_M + _TRAIN_MPS * elapsed_s
    if elapsed_s < _SHORTEST_FLIGHT_S:
        return by_train_m
    return max(by_train_m, _SLACK_M + _AIRCRAFT_MPS * (elapsed_s - _TAXIING_S))
