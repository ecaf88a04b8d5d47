"""What is known of one supervised person: the state that `step` takes and gives back.

Everything in it is immutable or replaced, never changed in place, so that `step` is pure and a
state can be kept, compared and replayed. `freeze` and `thaw` turn it into bytes and back; the
bytes are the value of the person's record in the changelog.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

__all__ = [
    "INSIDE",
    "OUTSIDE",
    "UNKNOWN",
    "Asked",
    "Authorisation",
    "Belief",
    "Checks",
    "Clue",
    "Device",
    "Doubt",
    "Episode",
    "Fence",
    "LastFix",
    "Mark",
    "MissedRun",
    "Pairing",
    "Permit",
    "Person",
    "Profile",
    "Run",
    "Sanction",
    "Sighting",
    "Sign",
    "Stay",
    "Zone",
    "check_freezes",
    "freeze",
    "thaw",
]

#: The three values of belief about where a person is.
UNKNOWN, INSIDE, OUTSIDE = 0, 1, 2

#: Layout of the frozen state. A state of another layout is not guessed at: see `thaw`.
_LAYOUT = 3


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who is supervised where, how closely, and from when until when."""

    district: str
    street: str
    level: str
    from_s: int
    until_s: int


class Permit(msgspec.Struct, frozen=True, array_like=True):
    """A leave (外出) or a standing permit (经常性跨市县活动) as last announced."""

    permit_id: str
    kind: str  # leave | standing
    from_s: int
    until_s: int
    destinations: tuple[str, ...]
    cancelled_s: int = 0  # when a cancellation arrived; 0 = none
    returned_s: int = 0  # when the person reported back (销假); 0 = not yet
    approved_by: str = ""  # street, district, city; "" = not said


class Authorisation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order that the person wears a wristband (电子定位装置使用), as last announced."""

    authorisation_id: str
    ground: int
    from_s: int
    until_s: int
    span_s: int  # how long it was ordered or, by the same id again, prolonged for


class Sanction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A measure that was taken: an admonition (训诫) or a warning (警告)."""

    sanction_id: str
    kind: str  # admonition | warning
    time_s: int


class LastFix(NamedTuple):
    """A device's newest position (WGS-84), for comparing the next one with."""

    time_s: int
    lon: float
    lat: float
    accuracy_m: float
    source: int  # index into evidence.SOURCES
    distance_m: float  # to the city's boundary, positive outside


class Device(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of the person's phone or wristband."""

    heard_s: int = 0  # newest arrival, position or not; 0 = never
    first_s: int = 0  # first arrival
    blind_s: int = 0  # for how long it has reported without a position
    battery_pct: float = -1.0  # -1 = never said
    state: int = 0  # bits of observed.py that stand: CHARGING, STRAP_OPEN, CASE_OPEN, POWER_OFF…
    read_s: int = 0  # time of the reading that `state` is from
    low_s: int = 0  # since when the battery is low; 0 = it is not
    speed_mps: float = 0.0  # between the last two positions, errors taken off
    fix: LastFix | None = None  # newest position that is not from cells
    cell: LastFix | None = None  # newest position from cells


class Sign(msgspec.Struct, frozen=True, array_like=True):
    """Something that only an officer settles: a strap or case opened, a position faked."""

    kind: str  # tamper | spoofing
    since_s: int
    reason: str  # the newest that was found
    found: tuple[str, ...]  # all that were found, in order
    device: int
    cleared_s: int = 0  # when it was undone by itself; 0 = not
    facts: tuple[tuple[str, float | str], ...] = ()
    disposed_s: int = 0


class Pairing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Phone and wristband compared: since when they are apart, when they were last together."""

    together_s: int = 0
    apart_s: int = 0  # first time found apart since; 0 = not
    last_s: int = 0  # last time found apart
    distance_m: float = 0.0
    parted_m: float = 0.0  # they parted faster than anybody can, by at least so much; 0 = not


class Doubt(msgspec.Struct, frozen=True, array_like=True):
    """What speaks against a device's positions, and is not enough yet."""

    frozen_s: int = 0  # since when satellite positions are the very same
    frozen: int = 0  # how many were
    jump: tuple[LastFix, LastFix] | None = None  # a jump that the next position may confirm
    cell_s: int = 0  # since when satellites and cells disagree
    cells: int = 0  # how often they did


class Zone(msgspec.Struct, frozen=True, array_like=True):
    """A place named for one person: not to be entered, or not to be left."""

    zone_id: str
    kind: str  # exclusion | curfew
    ring: tuple[tuple[float, float], ...]  # corners, WGS-84 lon and lat; one corner: a circle
    radius_m: float  # of the circle
    schedule: tuple[tuple[int, int, int], ...]  # (weekdays as bits, from, until) s of the local day
    from_s: int
    until_s: int


class MissedRun(msgspec.Struct, frozen=True, array_like=True):
    """Check-in windows missed one after the other: one episode."""

    since_s: int
    windows: tuple[tuple[int, int], ...]  # the newest of them
    missed: int
    late_s: int = 0  # a check-in after the newest window
    over: bool = False  # a later window was kept
    disposed_s: int = 0


class Checks(msgspec.Struct, frozen=True, array_like=True):
    """Check-ins: the window that is next to be judged, and what was missed."""

    window: tuple[int, int] | None = None
    due_s: int = 0  # when that window is judged: its end and the grace
    done: tuple[int, ...] = ()  # times of valid check-ins of late
    run: MissedRun | None = None
    earlier: tuple[MissedRun, ...] = ()  # those whose place it took, not dealt with yet
    own: tuple[tuple[int, int, int], ...] | None = None  # windows of the person's own plan
    own_from_s: int = 0
    own_until_s: int = 0


class Mark(NamedTuple):
    """One fix that is not plainly inside: kept singly, because it may decide something."""

    time_s: int
    weight: int  # hundredths of a nat, positive = outside
    source: int  # index into evidence.SOURCES
    device: int  # 0 phone, 1 wristband
    place: str  # adcode, "" when not known
    far_m: int = 0  # how far outside at least, in tens of metres; 0 inside


class Run(NamedTuple):
    """A stretch of time seen in one place outside the city."""

    place: str  # adcode, "" at sea or abroad
    first_s: int
    last_s: int


class Sighting(NamedTuple):
    """A position outside, as far as it matters whether it comes again."""

    source: int  # index into evidence.SOURCES
    far_m: int
    seen_s: int
    times: int = 1  # that it was seen and contradicted


class Belief(msgspec.Struct, array_like=True):
    """Where evidence up to `at_s` leads: a left fold over it, so it can go on from here."""

    log_odds: float = -3.0  # of being outside, within +-belief.CEILING; of a stranger, 5 %
    at_s: int = 0  # time of the last evidence that counted
    leaning: int = 0  # which way that evidence pointed: -1 inside, +1 outside
    label: int = UNKNOWN
    since_s: int = 0  # when the label's stay began
    turn_s: int = 0  # first evidence against the label, not yet enough to turn it; 0 = none
    peak: float = 0.0  # largest log odds of this stay outside, before the ceiling; 0 inside
    band_s: int = 0  # last evidence from a wristband
    inside_s: int = 0  # last evidence that pointed inside
    outside_s: int = 0  # last evidence that pointed outside beyond doubt
    wifi_s: int = 0  # last evidence by WiFi that pointed outside,
    wifi_far_m: int = 0  # and how far out it was
    last_s: int = 0  # last evidence of a device that was asked, whether it counted or not
    runs: tuple[Run, ...] = ()  # places seen since the person was last surely inside
    sightings: tuple[Sighting, ...] = ()  # outside, and nothing has contradicted them yet
    ghosts: tuple[Sighting, ...] = ()  # those that were contradicted, the last few


class Stay(NamedTuple):
    """A finished stretch of one belief."""

    label: int
    since_s: int
    until_s: int
    decided_s: int  # time of the evidence that ended it
    peak: float
    runs: tuple[Run, ...]
    outside_s: int = 0  # of a stay outside: the last evidence that pointed there


class Clue(NamedTuple):
    """A fix as received, kept to explain a decision."""

    time_s: int
    lon: float
    lat: float
    datum: str
    accuracy_m: float
    source: str
    device: str
    distance_m: float
    weight: float
    lon_wgs84: float
    lat_wgs84: float
    place: str


class Fence(msgspec.Struct, array_like=True):
    """A zone and what is known of the person with regard to it; see fences.py."""

    zone: Zone
    levels: tuple[bytes, ...] = ()
    base: Belief = msgspec.field(default_factory=Belief)
    tail: Belief = msgspec.field(default_factory=Belief)
    stays: tuple[Stay, ...] = ()
    clues: tuple[Clue, ...] = ()


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """An episode that has been spoken of: its alerts carry it to the outside."""

    kind: str
    since_s: int
    alerts: int  # how many alerts it has had; the next one is number alerts + 1
    until_s: int = 0  # 0 = open
    reason: str = ""  # of opening
    permit_id: str = ""
    closed_reason: str = ""
    severity: str = ""
    gone: bool = False  # closed because it is no longer wanted: withdrawn, or excused afterwards
    step: int = 0  # the last step told, of what comes by steps
    ripe_s: int = 0  # from when on its age counts: when it was more than the plan allows
    cause: str = ""  # the episode that it follows from: kind and since, as in its name
    proposal: str = ""  # the ground of the newest proposal


class Asked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest request to a device to report more often."""

    from_s: int
    until_s: int
    evidence_s: int  # the newest evidence there was then
    times: int  # how many requests there have been on its day, this one in it


class Person(msgspec.Struct, array_like=True):
    """All that is kept of one person."""

    supervisee_id: str
    profile: Profile | None = None
    permits: tuple[Permit, ...] = ()
    clock_s: int = 0  # this person's time: the newest arrival; never goes back
    due_s: int = 0  # when to look again though nothing arrives; 0 = never
    settle_s: int = 0  # late evidence is waiting to be judged until then; 0 = none
    newest_s: int = 0  # time of the newest evidence, counted or not
    origin_min: int = 0  # minute that bit 0 of `inside` stands for; older fixes are too late
    inside: tuple[int, int, int, int] = (0, 0, 0, 0)  # minutes plainly inside: see history.py
    marks: tuple[Mark, ...] = ()
    base: Belief = msgspec.field(default_factory=Belief)  # from all that is older than origin
    tail: Belief = msgspec.field(default_factory=Belief)  # from everything
    stays: tuple[Stay, ...] = ()  # stays that ended between base and tail
    episodes: tuple[Episode, ...] = ()
    clues: tuple[Clue, ...] = ()
    devices: tuple[Device, Device] = (Device(), Device())  # phone, wristband
    signs: tuple[Sign, ...] = ()
    settled: tuple[tuple[str, int], ...] = ()  # by kind: nothing before this is a sign any more
    pairing: Pairing = Pairing()
    doubts: tuple[Doubt, Doubt] = (Doubt(), Doubt())
    fences: tuple[Fence, ...] = ()
    checks: Checks = Checks()
    authorisations: tuple[Authorisation, ...] = ()
    sanctions: tuple[Sanction, ...] = ()
    haunts: tuple[tuple[int, int], ...] = ()  # (cell, first day): where they have been by the line
    asked: Asked | None = None  # states written before it was kept have none


def _to_wire(value: object) -> object:
    raise NotImplementedError(f"no wire form for {type(value)}")


class _Frozen(msgspec.Struct, array_like=True):
    layout: int
    inside: tuple[bytes, bytes, bytes, bytes]
    person: Person


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_wire)
_decoder = msgspec.msgpack.Decoder(_Frozen)
_NO_BITS = (0, 0, 0, 0)
_scratch = bytearray()


def _bits_to_bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def freeze(person: Person) -> bytes:
    """Give the bytes of a state, for `thaw`."""
    a, b, c, d = person.inside
    # MessagePack integers end at 64 bits; the minute sets are longer, so they travel as bytes.
    bare = msgspec.structs.replace(person, inside=_NO_BITS)
    return _encoder.encode(
        _Frozen(
            _LAYOUT,
            (_bits_to_bytes(a), _bits_to_bytes(b), _bits_to_bytes(c), _bits_to_bytes(d)),
            bare,
        )
    )


def check_freezes(person: Person) -> None:
    """Raise what `freeze` would raise of a state, at half its price: its bytes are not kept."""
    if min(person.inside) < 0:
        raise OverflowError("minutes that are none")
    _encoder.encode_into(msgspec.structs.replace(person, inside=_NO_BITS), _scratch)


def thaw(data: bytes) -> Person:
    """Give back the state that `freeze` made bytes of.

    Raises `msgspec.DecodeError` when the bytes are of another layout (or cut short): a worker must
    not go on with a state that it misreads.
    """
    frozen = _decoder.decode(data)
    if frozen.layout != _LAYOUT:
        raise msgspec.ValidationError(f"state of layout {frozen.layout}, expected {_LAYOUT}")
    a, b, c, d = (int.from_bytes(bits, "little") for bits in frozen.inside)
    person = frozen.person
    person.inside = (a, b, c, d)
    return person
