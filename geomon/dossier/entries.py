"""What a dossier is made of: entries, each of one section.

`SECTIONS` names the sections in their order. Every entry has `time_s`, when it happened or began
(POSIX s; 0 = not said), and where something lasts `until_s` (0 = it goes on). Fields that end in
`_s` are times, except the lengths named in `LENGTHS`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = [
    "LENGTHS",
    "MARKS",
    "SECTIONS",
    "AlertTold",
    "CheckInEntry",
    "CheckInPlanSet",
    "ContactDay",
    "DeviceEntry",
    "DisposalEntry",
    "Dossier",
    "Due",
    "Entry",
    "EpisodeEntry",
    "Order",
    "PermitChange",
    "PersonEntry",
    "SanctionEntry",
    "Stretch",
    "Supervision",
    "ZoneChange",
]

#: Fields that end in `_s` and are lengths of time, not times.
LENGTHS = frozenset({"age_s", "left_s", "longest_silence_s"})

#: How an alert stands to the record in Redis. Code: (English, 中文).
MARKS: Mapping[str, tuple[str, str]] = {
    "on_record": ("on record", "已记录"),
    "not_delivered": ("not yet delivered", "尚未送达"),
    "beyond_retention": ("beyond the topic's retention", "超出消息保留期"),
    "not_reproduced": ("on record, but not judged so from the topic", "按现有消息不能重现"),
}


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    time_s: int


class PersonEntry(_Entry, frozen=True, kw_only=True):
    """Who it is about, over which time, and from how much."""

    until_s: int  # the person's clock at the end
    supervisee_id: str
    level: str | None
    district: str | None
    street: str | None
    events: int
    fixes: int
    alerts: int
    episodes: int
    open: int
    refused: dict[str, int]  # by reason
    sources: list[str]


class Supervision(_Entry, frozen=True, kw_only=True):
    """The person was announced, or announced anew."""

    from_s: int
    until_s: int
    level: str
    district: str
    street: str


class PermitChange(_Entry, frozen=True, kw_only=True):
    """A leave (外出) or a standing permit (经常性跨市县活动): granted, changed, or ended."""

    change: str  # granted | extended | shortened | changed | cancelled | returned
    permit_id: str
    from_s: int
    until_s: int
    days: int
    destinations: list[str]  # adcodes
    approved_by: str | None
    approver: str  # who must approve one of this length
    late: bool  # told after the time it was to end before


class Order(_Entry, frozen=True, kw_only=True):
    """An order to wear a wristband (电子定位): granted, prolonged, or ended."""

    change: str  # granted | extended | shortened | changed | cancelled
    authorisation_id: str
    ground: int
    from_s: int
    until_s: int


class ZoneChange(_Entry, frozen=True, kw_only=True):
    """A place named for the person: set, replaced, or removed."""

    change: str  # set | replaced | removed
    zone_id: str
    kind: str  # exclusion | curfew
    from_s: int
    until_s: int
    place: str | None  # adcode of its middle
    radius_m: float | None  # of a circle
    schedule: list[str]  # "1-7 22:00-06:00", weekdays from Monday; none = always


class CheckInPlanSet(_Entry, frozen=True, kw_only=True):
    """Check-in windows of the person's own; none: exempt."""

    from_s: int
    until_s: int
    windows: list[str]


class SanctionEntry(_Entry, frozen=True, kw_only=True):
    """A measure was taken."""

    sanction_id: str
    kind: str  # admonition | warning
    episode: str | None


class DisposalEntry(_Entry, frozen=True, kw_only=True):
    """An officer dealt with an episode (处置)."""

    episode: str
    officer: str
    reason: str
    result: str
    taken: bool  # false: no such episode was open


class CheckInEntry(_Entry, frozen=True, kw_only=True):
    """A check-in window, or a check-in that belongs to none."""

    until_s: int
    state: str  # kept | late | missed | open | extra | unverified
    checked_in_s: int  # 0 = nobody did


class DeviceEntry(_Entry, frozen=True, kw_only=True):
    """A phone or wristband; `time_s` is when it was heard first."""

    device: str
    heard_s: int
    fix_s: int  # newest position
    battery_pct: float | None
    charging: bool
    strap_open: bool
    switched_off: bool


class ContactDay(_Entry, frozen=True, kw_only=True):
    """What was heard on a local day; days of silence one after the other are one entry."""

    until_s: int
    days: int
    uploads: int
    fixes: int
    devices: list[str]
    first_heard_s: int
    last_heard_s: int
    last_fix_s: int
    longest_silence_s: int  # that ended on this day


class Stretch(_Entry, frozen=True, kw_only=True):
    """Where the person was believed to be for a time."""

    until_s: int
    where: str  # inside | outside | unknown
    permit_id: str | None  # outside: under this one
    places: list[str]  # adcodes, in order


class AlertTold(_Entry, frozen=True, kw_only=True):
    """One alert; `time_s` is when it was decided."""

    id: str
    episode: str
    number: int
    kind: str
    phase: str
    severity: str
    reason: str
    since_s: int
    place: str | None
    record: str | None  # one of MARKS; none = no record was looked at


class EpisodeEntry(_Entry, frozen=True, kw_only=True):
    """One episode as it stands at the end; `time_s` is when it began."""

    until_s: int
    episode: str
    kind: str
    notice: bool
    state: str  # open | closed | excused | withdrawn
    severity: str
    detected_s: int
    reason: str  # of opening, or the newest that was told while it was open
    closed_reason: str | None
    place: str | None
    permit_id: str | None
    evidence: int  # deciding fixes kept with its alerts
    cause: str | None  # the episode that it follows from
    out_of_supervision_since_s: int
    proposal: dict[str, object] | None
    disposal: dict[str, object] | None
    alerts: int
    record: str | None  # the worst mark of its alerts


class Due(_Entry, frozen=True, kw_only=True):
    """A clock that runs at the end; `time_s` is since when."""

    clock: str
    about: str  # an episode, a permit, an order, a device, a level
    due_s: int  # when the next thing falls due; 0 = nothing further does
    age_s: int
    left_s: int | None  # until due
    kind: str | None
    severity: str | None
    action: str | None  # what may be proposed then, or is
    ground: str | None


Entry = (
    PersonEntry
    | Supervision
    | PermitChange
    | Order
    | ZoneChange
    | CheckInPlanSet
    | SanctionEntry
    | DisposalEntry
    | CheckInEntry
    | DeviceEntry
    | ContactDay
    | Stretch
    | AlertTold
    | EpisodeEntry
    | Due
)

#: Section: (English, 中文), in the order of a dossier.
SECTIONS: Mapping[str, tuple[str, str]] = {
    "person": ("Person", "人员"),
    "clock": ("Running at the end", "当前时限"),
    "supervision": ("Supervision", "监管"),
    "leave": ("Leaves", "外出请假"),
    "standing_permit": ("Standing permits", "经常性跨市县活动"),
    "authorisation": ("Wristband orders", "电子定位决定"),
    "zone": ("Zones", "限制区域"),
    "check_in_plan": ("Check-in plans", "签到安排"),
    "sanction": ("Sanctions", "处分"),
    "disposal": ("Disposals", "处置"),
    "episode": ("Episodes", "告警事件"),
    "alert": ("Alerts", "告警记录"),
    "presence": ("Where", "位置状态"),
    "check_in": ("Check-ins", "签到"),
    "device": ("Devices", "设备"),
    "contact": ("Contact", "联系情况"),
}


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """One person's dossier: entries by section, in the order of `SECTIONS`, each in time order.

    Shown are the entries that touch [from_s, end_s]; `from_s` 0 = from the beginning.
    """

    supervisee_id: str
    from_s: int
    end_s: int
    sections: dict[str, list[Entry]]

    @property
    def person(self) -> PersonEntry:
        """Who it is about."""
        (entry,) = self.sections["person"]
        assert isinstance(entry, PersonEntry)  # noqa: S101
        return entry
