"""Weekly schedules in local time: a window is (weekdays as bits, from, until), seconds of the day.

Bit 0 is Monday. A window that ends at or before it begins ends on the next day; its weekday is that
of its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator

from geomon.core.plans import Window, local_day

__all__ = ["EVERY_DAY", "windows_between", "windows_of_day"]

EVERY_DAY = 0b111_1111
_DAY_S = 86_400
#: 1970-01-01 was a Thursday.
_FIRST_WEEKDAY = 3


def windows_of_day(
    schedule: tuple[tuple[int, int, int], ...], day: int, utc_offset_s: int
) -> Iterator[Window]:
    """Give the windows that begin on a local day (see `local_day`), in the schedule's order."""
    midnight_s = day * _DAY_S - utc_offset_s
    weekday = 1 << ((day + _FIRST_WEEKDAY) % 7)
    for days, from_s, until_s in schedule:
        if days & weekday:
            end_s = until_s if until_s > from_s else until_s + _DAY_S
            yield Window(midnight_s + from_s, midnight_s + end_s)


def windows_between(
    schedule: tuple[tuple[int, int, int], ...], begin_s: int, end_s: int, utc_offset_s: int
) -> Iterator[Window]:
    """Give the windows that touch [begin_s, end_s), by their beginning.

    Windows that overlap are given one by one. A schedule without windows is always in force.
    """
    if not schedule:
        yield Window(begin_s, end_s)
        return
    first = local_day(begin_s, utc_offset_s) - 1
    for day in range(first, local_day(end_s, utc_offset_s) + 1):
        for window in sorted(windows_of_day(schedule, day, utc_offset_s)):
            if window.until_s > begin_s and window.from_s < end_s:
                yield window
