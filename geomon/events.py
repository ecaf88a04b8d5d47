"""What comes in: the events of the contract, as types.

`geomon.decoding` makes them of bytes, and checks what types alone do not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

__all__ = [
    "CANARY_PREFIX",
    "EPOCH",
    "FIRST_S",
    "LAST_S",
    "MAX_BYTES",
    "MAX_FIXES",
    "TYPES",
    "Authorisation",
    "AwareTime",
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
    "Return",
    "Sanction",
    "SourceName",
    "Supervisee",
    "Upload",
    "Weekly",
    "Zone",
]

MAX_BYTES = 1 << 20
MAX_FIXES = 1_000
#: Ids that begin so belong to canaries; nobody under supervision may be called so.
CANARY_PREFIX = "geomon-canary-"
#: Times outside [FIRST_S, LAST_S) are a device's mistake (POSIX s): 2000-01-01 to 2100-01-01, UTC.
FIRST_S, LAST_S = 946_684_800, 4_102_444_800

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
