"""How closely a person is watched: the plan that a level of supervision stands for.

A plan holds reporting intervals, check-in windows, grace times and thresholds. There is one for
each level; whoever was never announced is watched under the normal one. A pair of values is for
(phone, wristband).

Check-in windows move: a day is cut into as many parts as there are check-ins, and in each part a
window opens at a moment drawn from the person, the day and a secret seed. So nobody can check in
at five past midnight and be free until the next evening, and yet a replay finds the same windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

__all__ = ["LEVELS", "Plan", "Window", "check_in_windows", "local_day"]

#: Levels of supervision, least close first.
LEVELS = ("loose", "normal", "strict")

_DAY_S = 86_400


class Plan(msgspec.Struct, frozen=True):
    """What one level asks for; times in seconds, pairs are (phone, wristband)."""

    report_s: tuple[int, int] = (1800, 120)  # how often a device is to report
    silence_s: tuple[int, int] = (12 * 3600, 30 * 60)  # nothing heard for longer: lost contact
    no_fix_s: tuple[int, int] = (6 * 3600, 45 * 60)  # heard, but no usable position for longer
    battery_pct: tuple[float, float] = (5.0, 20.0)  # below: low battery
    apart_m: float = 500.0  # phone and wristband further apart than this, errors taken off,
    apart_s: int = 30 * 60  # for longer than this: separation
    check_ins: int = 2  # check-in windows a day
    check_in_from_s: int = 7 * 3600  # time of day at which the first may open
    check_in_until_s: int = 22 * 3600  # and at which the last has closed
    check_in_window_s: int = 90 * 60  # how long each is open
    check_in_grace_s: int = 10 * 60  # how late a check-in may arrive and still be in time
    curfew_grace_s: int = 15 * 60  # away from the named place for longer: curfew
    overdue_grace_s: int = 3600  # after the end of a leave before a return is overdue
    out_of_supervision_s: int = 48 * 3600  # lost contact for longer: out of supervision (脱管)
    ask_interval_s: int = 0  # how often a device near the line is asked to report; 0 = not asked
    ask_for_s: int = 30 * 60  # for how long, from when it next reports by itself
    asks: int = 6  # requests a day to one person, at most


class Window(NamedTuple):
    """A time [from_s, until_s) in which the person has to check in."""

    from_s: int
    until_s: int


def local_day(time_s: int, utc_offset_s: int) -> int:
    """Number of the local day that holds a time, counted from 1970-01-01."""
    return (time_s + utc_offset_s) // _DAY_S


def check_in_windows(
    supervisee_id: str, day: int, plan: Plan, *, seed: str, utc_offset_s: int
) -> Iterator[Window]:
    """Give the check-in windows of one person on one local day (see `local_day`), in time order.

    The same person, day, plan and seed give the same windows on any machine; without the seed they
    cannot be told beforehand.
    """
    if not plan.check_ins:
        return
    midnight_s = day * _DAY_S - utc_offset_s
    part_s = (plan.check_in_until_s - plan.check_in_from_s) // plan.check_ins
    length_s = min(plan.check_in_window_s, part_s)
    if length_s < 1:
        return  # a day has no room for them; the settings' check refuses such plans
    digest = hashlib.sha256(f"{seed}/{supervisee_id}/{day}".encode()).digest()
    for number in range(plan.check_ins):
        drawn = int.from_bytes(digest[4 * number % 28 : 4 * number % 28 + 4], "big")
        # Whole minutes: people read these times on a phone.
        minutes = drawn % ((part_s - length_s) // 60 + 1)
        from_s = midnight_s + plan.check_in_from_s + number * part_s + minutes * 60
        yield Window(from_s, from_s + length_s)
