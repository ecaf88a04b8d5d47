"""What a protocol's module and a listener say to each other; nothing in here knows a socket.

A `Talk` is the gateway's side of one connection: it takes bytes as they come, in any pieces, and
gives a `Turn` for each message found in them. It keeps who is speaking, never what was said. To add
a protocol is to write a class with these six names and to list it in `geomon.gateway.tcp`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import Report

__all__ = [
    "BadFrame",
    "Find",
    "Quirks",
    "Talk",
    "Turn",
    "find_unproven",
    "quirks_of",
    "turned_away",
]

#: Gives the device that calls itself so, or raises `NotAdmitted` or `NotReady`.
Find = Callable[[str], Device]


class Turn(msgspec.Struct, kw_only=True):
    """What came of one message, and what is to be said to it.

    `answer` is given when Kafka has the reports, and not sooner. Where `later`, `away` or
    `unreadable` is set there are no reports.
    """

    device: Device | None = None
    reports: list[Report] = []
    answer: bytes = b""
    raw: bytes = b""  # the message, in hex if it is no text, to be kept with what is refused of it
    close: bool = False  # when the answer has been given
    later: bool = False  # the registry is not read yet: come again
    away: str = ""  # why who sent it was turned away: a code of `geomon.gateway.registry.ADMISSION`
    unreadable: str = ""  # why it cannot be read: a code of `geomon.refusals.REASONS`


class BadFrame(NamedTuple):
    """Bytes between messages, or no message; `reason` is of `geomon.refusals.REASONS`."""

    reason: str
    detail: str = ""


class Talk(Protocol):
    """The gateway's side of one connection in one protocol. Times are POSIX seconds."""

    device: Device | None  # who has made itself known, if anybody
    answers: bool  # whether the device is told what arrived, so that it sends the rest again

    @property
    def due_s(self) -> float:
        """When `tick` has something to say; inf while it waits for nothing."""
        ...

    def receive(self, data: bytes, now_s: float) -> list[Turn]:
        """Take bytes; give the turns of the messages that they completed, in order."""
        ...

    def tick(self, now_s: float) -> list[Turn]:
        """Give what is to be said because something did not come in time."""
        ...

    def ask(self, interval_s: int, for_s: int) -> bytes:
        """Write a request to report so often for so long; nothing where the protocol has none."""
        ...


class Quirks(NamedTuple):
    """In what a model departs from its protocol, by words in the registry's `model`."""

    offset_s: int | None = None  # `utc+8`, `utc-3:30`: its clock's time zone
    strap_bit: int | None = None  # `strap=17`: the alarm bit that says its strap was opened
    case_bit: int | None = None  # `case=16`: likewise its case


_QUIRK = re.compile(
    r"(?<!\S)(?:utc([+-])(\d{1,2})(?::?([0-5]\d))?|(strap|case)=(\d{1,2}))(?!\S)", re.IGNORECASE
)
_MOST_OFFSET_H, _BITS = 14, 32


@lru_cache(maxsize=1024)
def quirks_of(model: str) -> Quirks:
    """Read a model's quirks; what is no quirk is its name.

    >>> quirks_of("GT06N utc+8").offset_s, quirks_of("B5 strap=17").strap_bit, quirks_of("GT06N")
    (28800, 17, Quirks(offset_s=None, strap_bit=None, case_bit=None))
    """
    offset_s = strap_bit = case_bit = None
    for sign, hours, minutes, what, bit in _QUIRK.findall(model):
        if sign and int(hours) <= _MOST_OFFSET_H:
            offset_s = (int(hours) * 60 + int(minutes or 0)) * (60 if sign == "+" else -60)
        elif what.lower() == "strap" and int(bit) < _BITS:
            strap_bit = int(bit)
        elif what.lower() == "case" and int(bit) < _BITS:
            case_bit = int(bit)
    return Quirks(offset_s, strap_bit, case_bit)


def find_unproven(find: Find, device_id: str) -> Device:
    """Find a device for a protocol in which it cannot prove who it is.

    One that has a secret must come by a protocol that asks for it, or whoever knows its number
    could speak for it here. Raises what `find` does, and `NotAdmitted` (no_secret).
    """
    device = find(device_id)
    if device.token_hashes or device.keys or device.auth_code is not None:
        raise NotAdmitted("no_secret")
    return device


def turned_away(error: NotAdmitted | NotReady, answer: bytes = b"") -> Turn:
    """Give the turn of somebody who is not let in; the connection ends with it."""
    if isinstance(error, NotAdmitted):
        return Turn(away=error.reason, answer=answer, close=True)
    # Nothing is said: a refusal might make a device give up, and it is not known to be wrong.
    return Turn(later=True, close=True)
