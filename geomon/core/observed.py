"""What `step` takes in: events that have been decoded, put in WGS-84 and placed.

Each carries `at_s`, the time of its arrival. Positions arrive weighed and graded, because that is
done for many people at once before the step: see `geomon.intake`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from geomon.core.person import Clue, Permit, Profile

__all__ = ["Announced", "ClockAt", "Event", "Heard", "Observed", "PermitSet", "ReportedBack"]


class Announced(NamedTuple):
    """A person was announced, or announced anew."""

    at_s: int
    profile: Profile


class PermitSet(NamedTuple):
    """A permit was granted, replaced or cancelled."""

    at_s: int
    permit: Permit
    cancelled: bool = False


class ReportedBack(NamedTuple):
    """The person reported back from a leave (销假)."""

    at_s: int
    permit_id: str
    time_s: int


class Heard(NamedTuple):
    """Something arrived that is no position: a heartbeat, a check-in, an officer's disposal."""

    at_s: int


class ClockAt(NamedTuple):
    """Time has come to here and nothing arrived."""

    at_s: int


class Observed(msgspec.Struct, frozen=True, gc=False):
    """An upload with at least one usable fix.

    `plain` has 2 * minute + (0 plain, 1 deep) of each of its `fixes` when all are plainly inside;
    `singles` is the number of those that are not. `clues()` gives all fixes with what is known of
    each, in the order of the upload; it is called only when something may have to be decided or
    explained.
    """

    at_s: int
    device: int  # 0 phone, 1 wristband
    plain: list[int]
    singles: int
    fixes: int
    oldest_s: int
    newest_s: int
    stored: bool
    clues: Callable[[], list[Clue]]


Event = Announced | PermitSet | ReportedBack | Heard | ClockAt | Observed
