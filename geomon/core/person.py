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
    "Belief",
    "Clue",
    "Episode",
    "Mark",
    "Permit",
    "Person",
    "Profile",
    "Run",
    "Stay",
    "freeze",
    "thaw",
]

#: The three values of belief about where a person is.
UNKNOWN, INSIDE, OUTSIDE = 0, 1, 2

#: Layout of the frozen state. A state of another layout is not guessed at: see `thaw`.
_LAYOUT = 1


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


class Mark(NamedTuple):
    """One fix that is not plainly inside: kept singly, because it may decide something."""

    time_s: int
    weight: int  # hundredths of a nat, positive = outside
    source: int  # index into evidence.SOURCES
    device: int  # 0 phone, 1 wristband
    place: str  # adcode, "" when not known


class Run(NamedTuple):
    """A stretch of time seen in one place outside the city."""

    place: str  # adcode, "" at sea or abroad
    first_s: int
    last_s: int


class Belief(msgspec.Struct, array_like=True):
    """Where evidence up to `at_s` leads: a left fold over it, so it can go on from here."""

    log_odds: float = -2.0  # of being outside, within +-belief.CEILING; of a stranger, 12 %
    at_s: int = 0  # time of the last evidence that counted
    leaning: int = 0  # which way that evidence pointed: -1 inside, +1 outside
    label: int = UNKNOWN
    since_s: int = 0  # when the label's stay began
    turn_s: int = 0  # first evidence against the label, not yet enough to turn it; 0 = none
    peak: float = 0.0  # largest log odds of this stay outside, before the ceiling; 0 inside
    band_s: int = 0  # last evidence from a wristband
    runs: tuple[Run, ...] = ()  # places seen since the person was last surely inside


class Stay(NamedTuple):
    """A finished stretch of one belief."""

    label: int
    since_s: int
    until_s: int
    decided_s: int  # time of the evidence that ended it
    peak: float
    runs: tuple[Run, ...]


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


class Person(msgspec.Struct, array_like=True):
    """All that is kept of one person."""

    supervisee_id: str
    profile: Profile | None = None
    permits: tuple[Permit, ...] = ()
    clock_s: int = 0  # this person's time: the newest arrival; never goes back
    heard_s: int = 0  # newest arrival from any device, position or not
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


def _to_wire(value: object) -> object:
    raise NotImplementedError(f"no wire form for {type(value)}")


class _Frozen(msgspec.Struct, array_like=True):
    layout: int
    inside: tuple[bytes, bytes, bytes, bytes]
    person: Person


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_wire)
_decoder = msgspec.msgpack.Decoder(_Frozen)
_NO_BITS = (0, 0, 0, 0)


def _bits_to_bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def freeze(person: Person) -> bytes:
    """Give the bytes of a state. Equal states give equal bytes."""
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


def thaw(data: bytes) -> Person:
    """Give back the state that `freeze` made bytes of.

    Raises `msgspec.ValidationError` when the bytes are of another layout: a worker must not go on
    with a state that it misreads.
    """
    frozen = _decoder.decode(data)
    if frozen.layout != _LAYOUT:
        raise msgspec.ValidationError(f"state of layout {frozen.layout}, expected {_LAYOUT}")
    a, b, c, d = (int.from_bytes(bits, "little") for bits in frozen.inside)
    person = frozen.person
    person.inside = (a, b, c, d)
    return person
