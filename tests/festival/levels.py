"""What each level of supervision asks for, as the reference states it (not read from the
detector's settings: the truth must not move when those do)."""

from __future__ import annotations

from typing import NamedTuple

from geomon.core.plans import Plan

__all__ = ["LEVELS", "Level"]

_H, _MIN = 3600, 60


class Level(NamedTuple):
    """Pairs are (phone, wristband); times in seconds."""

    report_s: int
    silence_s: tuple[int, int]
    no_fix_s: tuple[int, int]
    battery_pct: tuple[int, int]
    apart_s: int
    check_ins: Plan  # the plan's check-in windows
    grace_s: int  # how late a check-in may arrive
    curfew_grace_s: int
    out_of_supervision_s: int


def _windows(number: int, length_min: int) -> Plan:
    return Plan(check_ins=number, check_in_window_s=length_min * _MIN)


LEVELS = {
    "loose": Level(
        3600, (24 * _H, _H), (12 * _H, _H), (5, 15), _H, _windows(1, 180), 900, 1800, 72 * _H
    ),
    "normal": Level(
        1800,
        (12 * _H, 1800),
        (6 * _H, 2700),
        (5, 20),
        1800,
        _windows(2, 90),
        600,
        900,
        48 * _H,
    ),
    "strict": Level(
        900, (4 * _H, 1200), (3 * _H, 1800), (10, 20), 900, _windows(3, 60), 300, 300, 24 * _H
    ),
}
