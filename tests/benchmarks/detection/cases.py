"""What a detector is given, what it answers, and what is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["SOURCES", "Absence", "Case", "Detector", "Fixes", "Leave", "Spell"]

#: `Fixes.source` is an index into this.
SOURCES = ("gnss", "wifi", "cell", "unknown")


class Fixes(NamedTuple):
    """Fixes of one person in order of arrival, each column one array."""

    arrival_s: NDArray[np.int64]  # POSIX
    time_s: NDArray[np.int64]  # POSIX, when it was measured
    lon: NDArray[np.float64]  # WGS-84
    lat: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]  # radius at 68 % as claimed; nan = none claimed
    source: NDArray[np.int64]
    device: NDArray[np.int64]  # 0 phone, 1 wristband
    distance_m: NDArray[np.float64]  # from the boundary, positive outside


class Absence(NamedTuple):
    """A true time outside without leave; `until_s` infinite while it lasts."""

    since_s: float
    until_s: float


class Leave(NamedTuple):
    """A time in which being outside is no breach."""

    from_s: float
    until_s: float


class Spell(NamedTuple):
    """A time that a detector calls outside.

    It began with the fix measured at `since_s` and was said when the one that arrived at `told_s`
    did; it ended with the one at `until_s`; both infinite while it lasts or was not said.
    """

    since_s: float
    told_s: float
    until_s: float
    withdrawn: bool = False  # taken back by the detector itself: said all the same


@dataclass(frozen=True)
class Case:
    """One person's fixes with the truth about them."""

    fixes: Fixes
    absences: Sequence[Absence]
    leaves: Sequence[Leave]
    days: float  # of watching
    factors: Mapping[str, str | float] = field(default_factory=dict)  # what the case stands for


class Detector(Protocol):
    """Something that tells from fixes when a person is outside."""

    name: str  # of the family: "point in polygon", "consecutive", ..., "geomon"
    setting: str  # which member of it: "3", "300 m", ...

    def spells(self, fixes: Fixes) -> Iterator[Spell]:
        """Give the times outside, in order of telling. Leaves are not its business."""
