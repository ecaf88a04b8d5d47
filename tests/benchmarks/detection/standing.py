"""Who beats whom: worse in none of false alarms, misses and median delay, and better in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Point", "Standing", "beats", "standing"]


class Point(NamedTuple):
    """A detector on the plane of false alarms and delay; where nobody left, only the first."""

    detector: str
    false_a_year: float
    share_missed: float = 0.0
    median_s: float = 0.0


class Standing(NamedTuple):
    """How one family of detectors stands among others."""

    beaten: list[str]  # by any of the family
    equalled: list[str]  # in all three, and beaten by none of them
    ahead: list[str]  # neither
    beaten_by: list[str]  # those that beat the family's standard member


def beats(one: Point, other: Point) -> bool:
    """Say whether one is worse in nothing, and better in something."""
    pairs = list(zip(one[1:], other[1:], strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def standing(ours: Sequence[Point], others: Sequence[Point], standard: Point) -> Standing:
    """Compare a family with others, and its standard member with them."""
    beaten = [other for other in others if any(beats(one, other) for one in ours)]
    rest = [other for other in others if other not in beaten]
    equalled = [other for other in rest if any(one[1:] == other[1:] for one in ours)]
    return Standing(
        [other.detector for other in beaten],
        [other.detector for other in equalled],
        [other.detector for other in rest if other not in equalled],
        [other.detector for other in others if beats(other, standard)],
    )
