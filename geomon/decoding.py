"""From bytes to the contract's events, or one clear reason why not.

`decode` turns the bytes of one message or line into a typed event and a list of refusals. A whole
event is refused when it cannot be understood; inside an upload only the fix that cannot be. The
quick way is one strict decode by msgspec; only input that fails it is looked at piece by piece, to
say what exactly is wrong and to save the fixes that are not.

What can only be judged for many fixes at once (ranges, times) is checked in `geomon.intake`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import msgspec

from geomon.errors import Refusal
from geomon.events import (
    CANARY_PREFIX,
    EPOCH,
    FIRST_S,
    LAST_S,
    MAX_BYTES,
    MAX_FIXES,
    TYPES,
    Authorisation,
    AwareTime,
    Canary,
    CheckIn,
    CheckInPlan,
    Device,
    Disposal,
    Event,
    Fix,
    Permit,
    Return,
    Sanction,
    Supervisee,
    Upload,
    Zone,
)

__all__ = ["RefusedFix", "decode", "parse_json", "parse_time", "posix_s"]

#: Past this depth a message is hostile; the contract's own events nest three deep.
_MAX_DEPTH = 32

_ID = re.compile(r"[^\s/#\x00-\x1f\x7f\ufffd]{1,64}")
_ADCODE = re.compile(r"[0-9]{6}")
_SECRET = re.compile(
    r"sha256:[0-9a-f]{64}|hmac:(?=[^=]{22,86}=*$)(?:[A-Za-z0-9+/]{4})*"
    r"(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)
#: Two while one takes the other's place, and as many again for keys beside tokens.
_MOST_SECRETS = 4
#: A string that does not end is one, too: to look from each of its quotes for the end of it would
#: take time by the square of its length.
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_FIRST = datetime.fromtimestamp(FIRST_S, timezone.utc)
_LAST = datetime.fromtimestamp(LAST_S, timezone.utc)

_decoder = msgspec.json.Decoder(Event)


class RefusedFix(NamedTuple):
    """A fix of an upload that was refused; `at` is its place in the upload."""

    at: int
    reason: str
    detail: str


def decode(raw: bytes) -> tuple[Event, list[RefusedFix]]:
    """Decode one event; give it with the fixes that had to be left out of it.

    Raises `Refusal` when the whole event cannot be accepted.
    """
    if len(raw) > MAX_BYTES:
        raise Refusal("too_large", f"{len(raw)} bytes")
    refused: list[RefusedFix] = []
    try:
        event = _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        event, refused = _decode_piecewise(raw)
    _check(event)
    return event, refused


def parse_json(raw: bytes) -> Any:
    """Parse JSON in which NaN and Infinity may stand: they are none, but they do get sent.

    So one such number can be refused alone. Half a character (an emoji that was cut in two) is
    U+FFFD, for a position is not to be lost by the words beside it. Raises `Refusal` (not_utf8,
    too_deep, broken_json).
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("not_utf8", f"at byte {error.start}") from None
    if _SURROGATE.search(text):
        text = _ESCAPE.sub(_whole, text)
    if _depth(text) > _MAX_DEPTH:
        raise Refusal("too_deep", f"more than {_MAX_DEPTH} levels")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal("broken_json", getattr(error, "msg", type(error).__name__)) from None


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time with an offset; 24:00:00 is the end of the day. Gives aware UTC.

    Raises `Refusal` (bad_time or impossible_time).
    """
    end_of_day = re.match(r"(\d{4}-\d\d-\d\d[Tt ])24:00(?::00(?:\.0+)?)?(?=[Zz+-])", text)
    if end_of_day:
        text = f"{end_of_day[1]}00:00:00{text[end_of_day.end() :]}"
    try:
        time: datetime = msgspec.convert(text, AwareTime)
    except msgspec.ValidationError:
        raise Refusal("bad_time", _short(text)) from None
    if end_of_day:
        try:
            time += timedelta(days=1)
        except OverflowError:  # the year 9999: who means "for ever" writes it
            raise Refusal("impossible_time", _short(text)) from None
    if not _is_possible(time):
        raise Refusal("impossible_time", _short(text))
    return time.astimezone(timezone.utc)


def posix_s(times: Iterable[datetime]) -> list[int]:
    """Give aware times as whole POSIX seconds, fractions cut off."""
    epoch = EPOCH
    return [(since := time - epoch).days * 86_400 + since.seconds for time in times]


def _check(event: Event) -> None:  # noqa: PLR0912  (a table of the kinds, read from above)
    """Check what types alone do not say; raises `Refusal`."""
    if _check_id("supervisee_id", event.supervisee_id) != (type(event) is Canary):
        raise Refusal("reserved_id", "supervisee_id")
    if event.received is not None and not _is_possible(event.received):
        raise Refusal("impossible_time", "received")
    if isinstance(event, Upload):
        _check_id("device_id", event.device_id)
        if len(event.fixes) > MAX_FIXES:
            raise Refusal("too_many_fixes", str(len(event.fixes)))
        return
    if isinstance(event, Device):
        _check_device(event)
        return
    if isinstance(event, Supervisee | Permit | Zone | CheckInPlan | Authorisation):
        if parse_time(event.until) <= parse_time(event.from_):
            raise Refusal("ends_before_it_begins")
    elif isinstance(event, Return | CheckIn | Disposal | Sanction) and not _is_possible(event.time):
        raise Refusal("impossible_time", "time")
    for name in ("permit_id", "zone_id", "authorisation_id", "sanction_id"):
        if hasattr(event, name):
            _check_id(name, getattr(event, name))
    if isinstance(event, Permit):
        for code in event.destinations:
            if not _ADCODE.fullmatch(code):
                raise Refusal("bad_destination", _short(code))


def _check_device(event: Device) -> None:
    _check_id("device_id", event.device_id)
    if len(event.secrets) > _MOST_SECRETS or not all(map(_SECRET.fullmatch, event.secrets)):
        raise Refusal("bad_secret", f"{len(event.secrets)} secrets")
    begin = None if event.from_ is None else parse_time(event.from_)
    end = None if event.until is None else parse_time(event.until)
    if begin and end and end <= begin:
        raise Refusal("ends_before_it_begins")


def _is_possible(time: datetime) -> bool:
    # Comparing aware times costs as much as decoding an upload: the year alone mostly decides.
    return _FIRST.year < time.year < _LAST.year - 1 or _FIRST <= time < _LAST


# The same few people and devices send all the time.
@lru_cache(maxsize=1 << 16)
def _check_id(field: str, value: str) -> bool:
    """Check an id, and say whether it is a canary's."""
    if not _ID.fullmatch(value):
        raise Refusal("bad_id", f"{field} of {len(value)} characters")
    return value.startswith(CANARY_PREFIX)


def _decode_piecewise(raw: bytes) -> tuple[Event, list[RefusedFix]]:
    """Find out what is wrong with an event, and save from it what can be saved."""
    parsed = parse_json(raw)
    if not isinstance(parsed, dict):
        raise Refusal("not_an_object", type(parsed).__name__)
    tag = parsed.get("type")
    if tag is None:
        raise Refusal("missing_field", "type")
    if not isinstance(tag, str) or tag not in TYPES:
        raise Refusal("unknown_type", _short(str(tag)))
    refused: list[RefusedFix] = []
    if tag == "upload" and isinstance(parsed.get("fixes"), list):
        fixes = parsed["fixes"]
        if len(fixes) > MAX_FIXES:
            raise Refusal("too_many_fixes", str(len(fixes)))
        parsed["fixes"] = _good_fixes(fixes, refused)
    try:
        event: Event = msgspec.convert(parsed, TYPES[tag])
    except msgspec.ValidationError as error:
        _refuse(error)
    return event, refused


def _good_fixes(fixes: list[Any], refused: list[RefusedFix]) -> list[Fix]:
    good = []
    for at, fix in enumerate(fixes):
        try:
            good.append(msgspec.convert(fix, Fix))
        except msgspec.ValidationError as error:
            try:
                _refuse(error)
            except Refusal as refusal:
                refused.append(RefusedFix(at, refusal.reason, refusal.detail))
    return good


def _refuse(error: msgspec.ValidationError) -> NoReturn:
    """Turn a validation error into a `Refusal` with its reason code."""
    text = str(error)
    if "missing required field" in text:
        reason = "missing_field"
    elif "RFC3339" in text or "timezone" in text:
        reason = "bad_time"
    elif "Invalid enum value" in text or "Expected `int` <=" in text or "Expected `int` >=" in text:
        reason = "bad_value"
    else:
        reason = "wrong_type"
    raise Refusal(reason, _short(re.sub(r"Invalid enum value .*? - ", "not allowed: ", text)))


def _whole(escape: re.Match[str]) -> str:
    """Give an escape as it is, but U+FFFD for half of a pair."""
    return "\\ufffd" if escape["half"] else escape[0]


def _depth(text: str) -> int:
    """Give how deeply brackets nest, strings left out: before a parser recurses into them."""
    depth = deepest = 0
    for found in _NESTING.finditer(text):
        char = found[0]
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
