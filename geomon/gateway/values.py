"""Numbers, times and names as phones write them, or one clear refusal."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from geomon.decoding import parse_time
from geomon.errors import Refusal
from geomon.events import FIRST_S, LAST_S
from geomon.gateway.reports import AccessPoint, at

__all__ = [
    "KMH",
    "KNOTS",
    "access_point",
    "instant",
    "number",
    "number_or_none",
    "percent",
    "positive",
    "sign",
    "unsigned",
]

#: One of these in metres per second.
KNOTS, KMH = 1852 / 3600, 1 / 3.6

#: From here on a number is milliseconds: as seconds it would be the year 5138.
_FIRST_MS = 100_000_000_000
_NUMERIC = (int, float, str)
_NUMBER = re.compile(r"\s*[-+]?[\d.]+\s*")
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){5}")


def number(value: Any, field: str) -> float:
    """Give a number, which may be written as text. Raises `Refusal` (wrong_type, not_finite)."""
    if type(value) not in _NUMERIC:  # a bool is none, and there are a dozen in each upload
        raise Refusal("wrong_type", field)
    try:
        read = float(value)
    except (ValueError, OverflowError):
        raise Refusal("wrong_type", field) from None
    if not math.isfinite(read):
        raise Refusal("not_finite", field)
    return read


def number_or_none(value: Any) -> float | None:
    """Give a number, or None for what is none."""
    if value is None:
        return None
    try:
        return number(value, "")
    except Refusal:
        return None


def unsigned(value: Any, scale: float = 1.0) -> float | None:
    """Give a number times `scale`; None for what is none, or below 0: phones write -1 for "?"."""
    read = number_or_none(value)
    return read * scale if read is not None and read >= 0 else None


def positive(value: Any) -> float | None:
    """Give a number above 0, or None: an accuracy of 0 is one that the phone does not know."""
    return unsigned(value) or None


def percent(value: Any, whole: float = 100.0) -> float | None:
    """Give a battery level in percent, where `whole` is a full one; None for what is none."""
    read = unsigned(value, 100.0 / whole)
    return read if read is not None and read <= 100 else None


def instant(value: Any, field: str) -> datetime:
    """Give a time: seconds or milliseconds since 1970, or RFC 3339 with an offset.

    A time without an offset is refused: whether it is China's or Greenwich's nobody can tell.
    Raises `Refusal` (wrong_type, not_finite, bad_time, impossible_time).
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return parse_time(value.strip())
    posix_s = number(value, field)
    if posix_s >= _FIRST_MS:
        posix_s /= 1000
    if not FIRST_S <= posix_s < LAST_S:
        raise Refusal("impossible_time", field)
    return at(posix_s)


def access_point(bssid: Any, signal_dbm: Any = None) -> AccessPoint | None:
    """Give an access point, or None when that is no MAC address, or one that stands for none."""
    if not isinstance(bssid, str) or not _MAC.fullmatch(bssid):
        return None
    digits = re.sub(r"[:-]", "", bssid).lower()
    if digits in ("0" * 12, "f" * 12, "020000000000"):
        return None  # what Android and iOS say when they may not tell
    pairs = [digits[n : n + 2] for n in range(0, 12, 2)]
    return AccessPoint(":".join(pairs), number_or_none(signal_dbm))


def sign(name: str, value: Any) -> str:
    """Give what a device says besides, as `name=value`."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"{name}={value}"
