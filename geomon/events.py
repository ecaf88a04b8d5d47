"""What comes in: the contract's events, decoded, or refused with one clear reason.

`decode` turns the bytes of one message or line into a typed event and a list of refusals. A whole
event is refused when it cannot be understood; inside an upload only the fix that cannot be. The
quick way is one strict decode by msgspec; only input that fails it is looked at piece by piece, to
say what exactly is wrong and to save the fixes that are not.

What can only be judged for many fixes at once (ranges, times) is checked in `geomon.intake`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

import msgspec

from geomon.errors import Refusal

__all__ = [
    "CANARY_PREFIX",
    "EPOCH",
    "FIRST_S",
    "LAST_S",
    "MAX_BYTES",
    "MAX_FIXES",
    "REASONS",
    "TYPES",
    "Authorisation",
    "Canary",
    "CheckIn",
    "CheckInPlan",
    "Circle",
    "Clock",
    "DatumName",
    "Device",
    "DeviceName",
    "Disposal",
    "Event",
    "Fix",
    "Permit",
    "RefusedFix",
    "Return",
    "Sanction",
    "SourceName",
    "Supervisee",
    "Upload",
    "Weekly",
    "Zone",
    "decode",
    "parse_json",
    "parse_time",
    "posix_s",
]

#: Why an event or a fix is refused. Code: (English, 中文).
REASONS: Mapping[str, tuple[str, str]] = {
    "too_large": ("the message is larger than 1 MiB", "消息超过1MiB"),
    "not_utf8": ("the bytes are not UTF-8", "不是UTF-8编码"),
    "broken_json": ("the text is not JSON", "不是合法JSON"),
    "too_deep": ("objects are nested too deeply", "嵌套过深"),
    "not_an_object": ("the JSON value is not an object", "不是JSON对象"),
    "unknown_type": ("`type` is not one of the contract's", "未知事件类型"),
    "missing_field": ("a required field is missing", "缺少必填字段"),
    "wrong_type": ("a field has a value of the wrong type", "字段类型错误"),
    "bad_value": ("a field has a value that is not allowed", "字段取值不允许"),
    "bad_id": ("an id is empty, longer than 64 or has spaces, slashes or #", "标识不合法"),
    "reserved_id": (
        "ids that begin with geomon-canary- are for canaries, and only those",
        "标识前缀为系统保留",
    ),
    "bad_time": ("a time is not RFC 3339 with an offset", "时间格式错误或缺少时区"),
    "impossible_time": ("a time lies before 2000 or after 2099", "时间不在2000至2099年之间"),
    "fix_in_future": (
        "the fix is over 5 minutes later than its arrival",
        "定位时间晚于到达时间",
    ),
    "arrival_in_future": (
        "it says it arrived a day after the broker had it",
        "到达时间晚于当前时间",
    ),
    "not_finite": ("a number is NaN or infinite", "数值非有限数"),
    "lat_out_of_range": ("latitude beyond 90 degrees", "纬度超出范围"),
    "lon_out_of_range": ("longitude beyond 180 degrees", "经度超出范围"),
    "swapped_lon_lat": ("longitude and latitude look swapped", "经纬度疑似颠倒"),
    "null_island": ("position 0, 0: the device had none", "坐标为0,0"),
    "accuracy_not_positive": ("accuracy_m is zero or negative", "精度不为正数"),
    "datum_undeclared": ("no datum declared: the position cannot be judged", "未声明坐标系"),
    "datum_unknown": ("the datum is not wgs84, gcj02 or bd09", "未知坐标系"),
    "too_many_fixes": ("more than 1,000 fixes in one upload", "单次上传定位超过1000个"),
    "ends_before_it_begins": ("`until` is not after `from`", "结束时间不晚于开始时间"),
    "bad_destination": ("a destination is not a six-digit adcode", "目的地不是六位区划代码"),
    "key_mismatch": ("the message's key is not its supervisee_id", "消息键与人员标识不一致"),
    "too_late": ("the fix is older than the horizon", "定位早于补报时限"),
    "internal_error": ("a defect of geomon: please report it", "系统内部错误，请上报"),
    "unknown_permit": ("a return from a leave that was never announced", "销假对应的请假不存在"),
    "faked_position": (
        "the device says that the position is faked: not judged",
        "设备标明为模拟定位，不予研判",
    ),
    "bad_episode": ("`episode` does not name an episode of this person", "告警标识不合法"),
    "unknown_episode": (
        "an officer dealt with an episode that is not open",
        "处置对应的告警不存在或已解除",
    ),
    "bad_zone": (
        "a zone is not one circle, or one polygon of 3 to 500 corners, of a sensible size",
        "区域形状不合法",
    ),
    "bad_secret": (
        "a secret is not sha256: and 64 hex digits, nor hmac: and 16 to 64 bytes in base64",
        "设备密钥格式不合法",
    ),
    "not_of_protocol": ("the bytes are no message of the device's protocol", "不符合设备协议"),
    "bad_checksum": ("the checksum of a device's message is wrong", "校验码错误"),
    "bad_length": ("a device's message is shorter or longer than it says", "报文长度错误"),
    "bad_schedule": (
        "a schedule has a day that is not 1 to 7 or a time that is not HH:MM",
        "时间表不合法",
    ),
}

MAX_BYTES = 1 << 20
MAX_FIXES = 1_000
#: Ids that begin so belong to canaries; nobody under supervision may be called so.
CANARY_PREFIX = "geomon-canary-"
#: Past this depth a message is hostile; the contract's own events nest three deep.
_MAX_DEPTH = 32

_ID = re.compile(r"[^\s/#\x00-\x1f\x7f]{1,64}")
_ADCODE = re.compile(r"[0-9]{6}")
_SECRET = re.compile(
    r"sha256:[0-9a-f]{64}|hmac:(?=[^=]{22,86}=*$)(?:[A-Za-z0-9+/]{4})*"
    r"(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)
#: Two while one takes the other's place, and as many again for keys beside tokens.
_MOST_SECRETS = 4
#: Times outside [FIRST_S, LAST_S) are a device's mistake (POSIX s): 2000-01-01 to 2100-01-01, UTC.
FIRST_S, LAST_S = 946_684_800, 4_102_444_800
_FIRST = datetime.fromtimestamp(FIRST_S, timezone.utc)
_LAST = datetime.fromtimestamp(LAST_S, timezone.utc)

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
SourceName = Literal["gnss", "wifi", "cell", "unknown"]
DeviceName = Literal["phone", "wristband"]
DatumName = Literal["wgs84", "gcj02", "bd09"]

#: 1970-01-01T00:00:00Z as the decoder gives it for a text in China's time: with the very object
#: for the time zone that other such texts get, which makes `time - EPOCH` six times as fast.
EPOCH = msgspec.convert("1970-01-01T08:00:00+08:00", AwareTime)


class Fix(msgspec.Struct, gc=False):
    """One position as sent, in the upload's datum; `accuracy_m` is the radius at 68 %."""

    time: AwareTime
    lon: float
    lat: float
    accuracy_m: float | None = None
    source: SourceName = "unknown"
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None
    mock: bool | None = None


class _Event(msgspec.Struct, tag_field="type", kw_only=True, gc=False):
    supervisee_id: str
    received: AwareTime | None = None


class Upload(_Event, tag="upload"):
    """Positions from one device, or a heartbeat when `fixes` is empty."""

    device_id: str
    device: DeviceName
    fixes: list[Fix]
    datum: Any = None  # any value that is not a known datum refuses the fixes, not the upload
    battery_pct: float | None = None
    charging: bool | None = None
    strap: Literal["closed", "open"] | None = None
    case: Literal["closed", "open"] | None = None
    power: Literal["on", "off"] | None = None
    stored: bool = False
    seq: int | None = None


class Supervisee(_Event, tag="supervisee"):
    """A person under supervision is announced, or announced anew."""

    from_: str = msgspec.field(name="from")
    until: str
    district: str = ""
    street: str = ""
    level: Literal["loose", "normal", "strict"] = "normal"


class Permit(_Event, tag="permit"):
    """A leave or a standing permit: granted, replaced or cancelled."""

    permit_id: str
    kind: Literal["leave", "standing"]
    from_: str = msgspec.field(name="from")
    until: str
    destinations: list[str]
    status: Literal["granted", "cancelled"] = "granted"
    approved_by: Literal["street", "district", "city"] | None = None


class Circle(msgspec.Struct, gc=False):
    """A round zone."""

    lon: float
    lat: float
    radius_m: float


class Weekly(msgspec.Struct, gc=False):
    """A window that comes every week, or every day; local time, HH:MM."""

    from_: str = msgspec.field(name="from")
    until: str
    days: list[int] = msgspec.field(default_factory=lambda: [1, 2, 3, 4, 5, 6, 7])


class Zone(_Event, tag="zone"):
    """A place named for one person: forbidden (禁止令), or to be at by schedule."""

    zone_id: str
    kind: Literal["exclusion", "curfew"]
    from_: str = msgspec.field(name="from")
    until: str
    datum: Any = None
    circle: Circle | None = None
    polygon: list[tuple[float, float]] | None = None
    schedule: list[Weekly] = msgspec.field(default_factory=list)
    status: Literal["set", "removed"] = "set"


class CheckInPlan(_Event, tag="check_in_plan"):
    """Check-in windows of a person's own, in place of the level's; none: exempt."""

    from_: str = msgspec.field(name="from")
    until: str
    windows: list[Weekly] = msgspec.field(default_factory=list)


class Authorisation(_Event, tag="authorisation"):
    """Wearing a wristband was ordered (电子定位装置), prolonged, or ended."""

    authorisation_id: str
    ground: Annotated[int, msgspec.Meta(ge=1, le=5)]
    from_: str = msgspec.field(name="from")
    until: str
    status: Literal["granted", "cancelled"] = "granted"


class Sanction(_Event, tag="sanction"):
    """A measure was taken: an admonition (训诫) or a warning (警告)."""

    sanction_id: str
    kind: Literal["admonition", "warning"]
    time: AwareTime
    episode: str | None = None


class Return(_Event, tag="return"):
    """The person reported back from a leave (销假)."""

    permit_id: str
    time: AwareTime


class CheckIn(_Event, tag="check_in"):
    """A check-in (签到)."""

    device_id: str
    time: AwareTime
    verified: bool = False


class Disposal(_Event, tag="disposal"):
    """An officer dealt with an episode (处置)."""

    episode: str
    officer: str
    time: AwareTime
    reason: str = ""
    result: str = ""


class Clock(_Event, tag="clock"):
    """The person's clock has come to `received`, and nothing was heard."""


class Canary(_Event, tag="canary"):
    """A worker's own, sent at `received` to see that events are still judged; about nobody."""


class Device(_Event, tag="device"):
    """A device is announced to the gateways, or anew: whom it speaks for, and its secrets.

    It goes to a topic of its own, under `device_id`; among other events nobody heeds it.
    """

    device_id: str
    device: DeviceName
    datum: DatumName | None = None  # of its positions; None = it must say so itself
    model: str = ""
    secrets: list[str] = msgspec.field(default_factory=list)  # sha256:<hex> or hmac:<base64>
    auth_code: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None
    status: Literal["active", "withdrawn"] = "active"


Event = (
    Upload
    | Supervisee
    | Permit
    | Return
    | CheckIn
    | Disposal
    | Zone
    | CheckInPlan
    | Authorisation
    | Sanction
    | Clock
    | Canary
    | Device
)


class RefusedFix(NamedTuple):
    """A fix of an upload that was refused; `at` is its place in the upload."""

    at: int
    reason: str
    detail: str


_decoder = msgspec.json.Decoder(Event)
#: The type as it is written -> the struct.
TYPES: Mapping[str, type[Event]] = {
    "upload": Upload,
    "supervisee": Supervisee,
    "permit": Permit,
    "return": Return,
    "check_in": CheckIn,
    "disposal": Disposal,
    "zone": Zone,
    "check_in_plan": CheckInPlan,
    "authorisation": Authorisation,
    "sanction": Sanction,
    "clock": Clock,
    "canary": Canary,
    "device": Device,
}


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

    So one such number can be refused alone. Raises `Refusal` (not_utf8, too_deep, broken_json).
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("not_utf8", f"at byte {error.start}") from None
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
        time += timedelta(days=1)
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


def _depth(text: str) -> int:
    """Give how deeply brackets nest, strings left out: before a parser recurses into them."""
    depth = deepest = 0
    for char in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
