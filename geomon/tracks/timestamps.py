"""The ways recorded tracks write a time, and one way to read them: aware UTC.

A time without an offset is refused unless a zone was declared: eight hours are the difference
between a curfew kept and a curfew broken.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo

from geomon.errors import UserError
from geomon.tracks.trackfix import Unusable

__all__ = ["ReadTime", "parse_iso", "time_reader", "zone_named"]

#: Reads the text of one time; raises `Unusable`.
ReadTime = Callable[[str], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Milliseconds since 1970 below this are seconds taken for milliseconds: the end of 1970.
_EPOCH_MS_LEAST = 365 * 86_400_000

# One pattern instead of datetime.fromisoformat: what that accepts differs between Python 3.10
# and 3.11, and a recording must mean the same everywhere.
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"\s?(?:([Zz])|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)
_TIME_OF_DAY = re.compile(r"(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
# strptime directives that say the year; without one of them it silently writes 1900.
_YEAR_DIRECTIVES = ("%Y", "%y", "%c", "%x", "%G")


def zone_named(name: str) -> tzinfo:
    """The zone of `+08:00`, `UTC` or a name like `Asia/Shanghai`; raises `UserError`."""
    if name.upper() in {"Z", "UTC"}:
        return timezone.utc
    if match := _OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset < timedelta(hours=24) and int(minutes) < 60:
            return timezone(-offset if sign == "-" else offset)
    else:
        try:
            return zoneinfo.ZoneInfo(name)
        except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
            pass
    raise UserError(f"no time zone {name!r}: write +08:00, UTC or a name like Asia/Shanghai")


def time_reader(form: str = "iso", zone: tzinfo | None = None, day: date | None = None) -> ReadTime:
    """A function that reads times of one form.

    `form` is `iso`, `epoch` (seconds since 1970), `epoch-ms` (milliseconds) or a strptime pattern.
    `zone` holds for times without an offset. `day` is the date of a time of day that has none; it
    needs a `zone`. Raises `UserError` where these cannot work together.
    """
    if day is not None and form not in {"epoch", "epoch-ms"} and zone is None:
        raise UserError("a time of day on a given day needs its time zone (--timezone +08:00)")
    if form in {"epoch", "epoch-ms"}:
        if day is not None:
            raise UserError(f"{form} times hold their date: a day makes no sense")
        return _read_epoch if form == "epoch" else _read_epoch_ms
    if form == "iso":
        if day is not None:
            return lambda text: _read_time_of_day(text, day, zone)
        return lambda text: parse_iso(text, zone)
    if "%" not in form:
        raise UserError(
            f"no time format {form!r}: write iso, epoch, epoch-ms or a strptime pattern"
        )
    if day is None and not any(directive in form for directive in _YEAR_DIRECTIVES):
        raise UserError(f"the time format {form!r} has no year: give the day (--day 2024-02-13)")
    return lambda text: _read_pattern(text, form, zone, day)


def parse_iso(text: str, zone: tzinfo | None = None) -> datetime:
    """An ISO 8601 / RFC 3339 date and time as aware UTC; `zone` holds where it has no offset.

    Digits beyond the microsecond are cut off. Raises `Unusable`.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        if _TIME_OF_DAY.fullmatch(text.strip()):
            raise Unusable("time has no date (--day)")
        raise Unusable("time is not ISO 8601" if text.strip() else "no time")
    year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = match.groups()
    if utc:
        zone = timezone.utc
    elif sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        if offset >= timedelta(hours=24):
            raise Unusable("time has an impossible offset")
        zone = timezone(-offset if sign == "-" else offset)
    elif zone is None:
        raise Unusable("time has no offset and no time zone was given (--timezone)")
    try:
        read = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            _microseconds(fraction),
            zone,
        )
        return read.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Unusable("time is impossible") from None


def _microseconds(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _read_time_of_day(text: str, day: date, zone: tzinfo | None) -> datetime:
    match = _TIME_OF_DAY.fullmatch(text.strip())
    if match is None:
        raise Unusable("time is not a time of day" if text.strip() else "no time")
    hour, minute, second, fraction = match.groups()
    try:
        clock = time(int(hour), int(minute), int(second or 0), _microseconds(fraction), zone)
        return datetime.combine(day, clock).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Unusable("time is impossible") from None


def _read_pattern(text: str, form: str, zone: tzinfo | None, day: date | None) -> datetime:
    if not text.strip():
        raise Unusable("no time")
    try:
        read = datetime.strptime(text.strip(), form)  # noqa: DTZ007  (the zone is set below)
        if day is not None:
            read = datetime.combine(day, read.timetz())
        if read.tzinfo is None:
            if zone is None:
                raise Unusable("time has no offset and no time zone was given (--timezone)")
            read = read.replace(tzinfo=zone)
        return read.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Unusable("time does not match the time format") from None


def _read_epoch(text: str) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=float(text))
    except OverflowError:
        raise Unusable(
            "time is beyond the year 9999 (milliseconds? --time-format epoch-ms)"
        ) from None
    except ValueError:
        raise Unusable("time is not a number of seconds" if text.strip() else "no time") from None


def _read_epoch_ms(text: str) -> datetime:
    try:
        milliseconds = float(text)
        if 0 <= milliseconds < _EPOCH_MS_LEAST:
            raise Unusable("time lies in 1970 (seconds? --time-format epoch)")
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        reason = "time is not a number of milliseconds" if text.strip() else "no time"
        raise Unusable(reason) from None
