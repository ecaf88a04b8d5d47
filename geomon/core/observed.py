"""What `step` takes in: events that have been decoded, put in WGS-84 and placed.

Each carries `at_s`, the time of its arrival. Positions arrive weighed and graded, because that is
done for many people at once before the step: see `geomon.intake`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from geomon.core.person import (
    Authorisation,
    Clue,
    LastFix,
    Permit,
    Profile,
    Sanction,
    Zone,
)

__all__ = [
    "CASE_CLOSED",
    "CASE_OPEN",
    "CHARGING",
    "MOCK",
    "NOTABLE",
    "ODD",
    "POWER_OFF",
    "STRAP_CLOSED",
    "STRAP_OPEN",
    "Announced",
    "Authorised",
    "CheckedIn",
    "ClockAt",
    "Disposed",
    "Event",
    "Heard",
    "Observed",
    "PermitSet",
    "PlanSet",
    "ReportedBack",
    "Sanctioned",
    "ZoneSet",
]

#: What an upload says of its device besides positions, as bits of `flags`.
CHARGING, STRAP_CLOSED, STRAP_OPEN, CASE_CLOSED, CASE_OPEN, POWER_OFF = 1, 2, 4, 8, 16, 32
#: A position said to be faked; positions further apart than anybody travels between them.
MOCK, ODD = 64, 128
#: What has to be looked at more closely.
NOTABLE = STRAP_OPEN | CASE_OPEN | POWER_OFF | MOCK | ODD


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


class CheckedIn(NamedTuple):
    """The person checked in (签到) by phone; `verified` = it was the person, as far as known."""

    at_s: int
    time_s: int
    verified: bool


class Disposed(NamedTuple):
    """An officer dealt with an episode (处置), named by its kind and when it began."""

    at_s: int
    kind: str
    since_s: int
    time_s: int


class ZoneSet(NamedTuple):
    """A place was named for the person, replaced, or (`removed`) is not in force any more."""

    at_s: int
    zone: Zone
    removed: bool = False


class PlanSet(NamedTuple):
    """Check-in windows of the person's own, in place of the level's; `windows` as in `Zone`."""

    at_s: int
    windows: tuple[tuple[int, int, int], ...]
    from_s: int
    until_s: int


class Authorised(NamedTuple):
    """Wearing a wristband was ordered, prolonged or (`cancelled`) ended."""

    at_s: int
    authorisation: Authorisation
    cancelled: bool = False


class Sanctioned(NamedTuple):
    """A measure was taken: an admonition or a warning."""

    at_s: int
    sanction: Sanction


class Heard(NamedTuple):
    """A device was heard from and gave no position; `read_s` is when it read its state."""

    at_s: int
    device: int  # 0 phone, 1 wristband
    read_s: int
    battery_pct: float = -1.0  # -1 = not said
    flags: int = 0


class ClockAt(NamedTuple):
    """Time has come to here and nothing arrived."""

    at_s: int


class Observed(msgspec.Struct, frozen=True, gc=False):
    """An upload with at least one usable fix.

    `plain` has 2 * minute + (0 plain, 1 deep) of each of its `fixes` when all are plainly inside;
    `singles` is the number of those that are not. `last` is the newest. `clues()` gives all fixes
    with what is known of each, in the order of the upload; it is called only when something may
    have to be decided or explained.
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
    last: LastFix
    read_s: int  # when the device read the state that it tells of
    battery_pct: float = -1.0  # -1 = not said
    flags: int = 0


Event = (
    Announced
    | Authorised
    | CheckedIn
    | ClockAt
    | Disposed
    | Heard
    | Observed
    | PermitSet
    | PlanSet
    | ReportedBack
    | Sanctioned
    | ZoneSet
)
