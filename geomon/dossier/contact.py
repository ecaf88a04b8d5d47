"""What was heard of a person's devices, day by day."""

from __future__ import annotations

from dataclasses import dataclass, field

from geomon.core.contact import PHONE, last_fix
from geomon.core.observed import (
    CHARGING,
    POWER_OFF,
    STRAP_OPEN,
    CheckedIn,
    Heard,
    Observed,
)
from geomon.core.person import Person
from geomon.core.plans import local_day
from geomon.dossier.chronicle import Seen
from geomon.dossier.entries import ContactDay, DeviceEntry

__all__ = ["ContactNotes"]

_DAY_S = 86_400
_NAMES = ("phone", "wristband")


@dataclass
class _Day:
    uploads: int = 0
    fixes: int = 0
    devices: set[str] = field(default_factory=set)
    first_s: int = 0
    last_s: int = 0
    fix_s: int = 0
    silence_s: int = 0


class ContactNotes:
    """Takes note of uploads by the day they arrived on, of fixes by the day they were taken on."""

    def __init__(self, utc_offset_s: int) -> None:
        self.fix_hours: set[int] = set()
        self._first_s: dict[int, int] = {}
        self._utc_offset_s = utc_offset_s
        self._days: dict[int, _Day] = {}
        self._known: set[int] = set()
        self._heard_s = 0

    def see(self, seen: Seen) -> None:
        """Look at one step."""
        event = seen.event
        if isinstance(event, Observed | Heard):
            day = self._hear(event.at_s, event.device)
            day.uploads += 1
        elif isinstance(event, CheckedIn):
            self._hear(event.at_s, PHONE)
        if isinstance(event, Observed):
            for clue in event.clues():
                self._fix(clue.time_s, event.device)

    def entries(self, end_s: int) -> list[ContactDay]:
        """Give the days from the first heard of to the end, silent ones together."""
        found: list[ContactDay] = []
        if not self._days:
            return found
        for number in range(min(self._days), self._day(end_s) + 1):
            midnight_s = number * _DAY_S - self._utc_offset_s
            day = self._days.get(number, _Day())
            silent = not day.uploads and not day.fixes and not day.first_s
            if silent and found and not found[-1].devices:
                begin_s, days = found.pop().time_s, number
                days = (midnight_s - begin_s) // _DAY_S + 1
            else:
                begin_s, days = midnight_s, 1
            entry = ContactDay(
                time_s=begin_s,
                until_s=midnight_s + _DAY_S,
                days=days,
                uploads=day.uploads,
                fixes=day.fixes,
                devices=sorted(day.devices),
                first_heard_s=day.first_s,
                last_heard_s=day.last_s,
                last_fix_s=day.fix_s,
                longest_silence_s=day.silence_s,
            )
            found.append(entry)
        return found

    def devices(self, person: Person) -> list[DeviceEntry]:
        """Give the person's devices as they were last heard of."""
        found = []
        for which, device in enumerate(person.devices):
            if which not in self._first_s:
                continue
            fix = last_fix(device)
            entry = DeviceEntry(
                time_s=self._first_s[which],
                device=_NAMES[which],
                heard_s=device.heard_s,
                fix_s=fix.time_s if fix else 0,
                battery_pct=device.battery_pct if device.battery_pct >= 0 else None,
                charging=bool(device.state & CHARGING),
                strap_open=bool(device.state & STRAP_OPEN),
                switched_off=bool(device.state & POWER_OFF),
            )
            found.append(entry)
        return found

    @property
    def fixes(self) -> int:
        """How many positions there were."""
        return len(self._known)

    def _hear(self, at_s: int, device: int) -> _Day:
        self._first_s.setdefault(device, at_s)
        day = self._days.setdefault(self._day(at_s), _Day())
        day.devices.add(_NAMES[device])
        day.first_s = min(day.first_s or at_s, at_s)
        day.last_s = max(day.last_s, at_s)
        if self._heard_s:
            day.silence_s = max(day.silence_s, at_s - self._heard_s)
        self._heard_s = max(self._heard_s, at_s)
        return day

    def _fix(self, time_s: int, device: int) -> None:
        # A device repeats what it got no answer to: one fix, counted once.
        key = 2 * time_s + device
        if key in self._known:
            return
        self._known.add(key)
        self.fix_hours.add(time_s // 3600)
        day = self._days.setdefault(self._day(time_s), _Day())
        day.devices.add(_NAMES[device])
        day.fixes += 1
        day.fix_s = max(day.fix_s, time_s)

    def _day(self, time_s: int) -> int:
        return local_day(time_s, self._utc_offset_s)
