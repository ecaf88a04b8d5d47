"""The days of the festival, and times as numbers and texts.

Everything is computed in whole POSIX seconds; a text is looked up by its day and its second of the
day, which makes writing millions of times cheap.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

__all__ = [
    "BEGIN_S",
    "CHINA",
    "CLOCK_TEXT",
    "DAYS",
    "DAY_S",
    "DAY_TEXT",
    "END_S",
    "NIGHT_OF_NEW_YEAR",
    "OFFICIAL_WORKDAYS",
    "day_start",
    "local_day_number",
    "local_text",
    "moment",
    "utc_text",
]

CHINA = timezone(timedelta(hours=8))
DAY_S = 86_400

#: The period: 2024-02-02 to 2024-02-24 inclusive, China time.
BEGIN_S = int(datetime(2024, 2, 2, tzinfo=CHINA).timestamp())
DAYS = 23
END_S = BEGIN_S + DAYS * DAY_S

#: Index of New Year's Eve (9 February) among the days.
NIGHT_OF_NEW_YEAR = 7

#: Days of February 2024 that are workdays by the State Council's notice: the holiday is 10 to 17
#: February, and the Sundays 4 and 18 February are worked instead.
OFFICIAL_WORKDAYS = frozenset({2, 4, 5, 6, 7, 8, 9, 18, 19, 20, 21, 22, 23})

_OFFSET_S = 8 * 3600
# Supervision began up to so many days before the period; texts are kept for three such spans.
_BEFORE = 500
_FIRST_DAY = (BEGIN_S + _OFFSET_S) // DAY_S - _BEFORE

#: `DAY_TEXT[n]`: the date of the n-th day from 500 days before the period on, with its "T".
DAY_TEXT = [
    (datetime(2024, 2, 2, tzinfo=CHINA) + timedelta(days=n - _BEFORE)).strftime("%Y-%m-%dT")
    for n in range(3 * _BEFORE)
]
#: The time of day and the offset, for each second of a day.
CLOCK_TEXT = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}+08:00" for s in range(DAY_S)]


def day_start(day: int) -> int:
    """POSIX second at which the `day`-th day of the period begins (0 is 2 February)."""
    return BEGIN_S + day * DAY_S


def local_day_number(time_s: int) -> int:
    """Number of the local day since 1970-01-01, as check-in windows count it."""
    return (time_s + _OFFSET_S) // DAY_S


def moment(day_of_february: int, hour: float) -> int:
    """POSIX second of a time of February 2024, China time; `hour` may exceed 24."""
    return BEGIN_S + (day_of_february - 2) * DAY_S + round(hour * 3600)


def local_text(time_s: int) -> str:
    """RFC 3339 in China time, whole seconds."""
    day, second = divmod(int(time_s) + _OFFSET_S, DAY_S)
    return DAY_TEXT[day - _FIRST_DAY] + CLOCK_TEXT[second]


def local_index(time_s: int) -> tuple[int, int]:
    """Indices into `DAY_TEXT` and `CLOCK_TEXT`."""
    day, second = divmod(int(time_s) + _OFFSET_S, DAY_S)
    return day - _FIRST_DAY, second


def utc_text(time_s: int | None) -> str | None:
    """RFC 3339 UTC; None stays None."""
    if time_s is None:
        return None
    return datetime.fromtimestamp(int(time_s), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
