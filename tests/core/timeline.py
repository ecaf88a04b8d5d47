"""The words of these tests: what devices send and officers enter, on a timeline of one person.

Times are China time. "09:30" is on 2024-02-13, "15 09:30" in the same month; "01-31 09:30" is in
2024. A `Story` takes events one after the other through `step` and holds, after each of them, to
what must be true always: the state given in is unchanged, at most one episode of a kind is open,
alerts of an episode count 1, 2, 3… and none closes before it opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from places import CHINA, HOME_M, Fix, circle, clue, fixes, moment, of_day, text, weight, where

from geomon.core.episodes import OF_CITY, Alert
from geomon.core.evidence import DEEP, SINGLE, grade
from geomon.core.observed import (
    Announced,
    Authorised,
    CheckedIn,
    ClockAt,
    Disposed,
    Event,
    Heard,
    Observed,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.person import Authorisation, Permit, Person, Profile, Sanction, Zone, freeze
from geomon.core.rules import Rules
from geomon.core.schedules import EVERY_DAY
from geomon.core.spoofing import fix_of
from geomon.core.step import Outcome, step

__all__ = [
    "CHINA",
    "HOME_M",
    "Fix",
    "Story",
    "circle",
    "fixes",
    "moment",
    "observed",
    "of_day",
    "text",
    "weight",
    "where",
]


def observed(
    at_s: int,
    seen: Sequence[Fix],
    *,
    stored: bool = False,
    device: str = "wristband",
    battery_pct: float = -1.0,
    flags: int = 0,
) -> Observed:
    """An upload of fixes, as `step` takes it."""
    weights = np.array([weight(fix) for fix in seen])
    grades = grade(weights)
    singles = int((grades == SINGLE).sum())
    codes = [f.time_s // 60 * 2 + int(g == DEEP) for f, g in zip(seen, grades, strict=True)]
    times = [fix.time_s for fix in seen]
    newest = clue(max(seen, key=lambda fix: fix.time_s), device)
    return Observed(
        at_s=at_s,
        device=int(device == "wristband"),
        plain=[] if singles else codes,
        singles=singles,
        fixes=len(seen),
        oldest_s=min(times),
        newest_s=max(times),
        stored=stored,
        clues=lambda: [clue(fix, device) for fix in seen],
        last=fix_of(newest),
        read_s=max(times) if stored else at_s,
        battery_pct=battery_pct,
        flags=flags,
    )


class Story:
    """One person's timeline. Every method that is an event has its arrival first.

    It listens to some kinds of alert: where a person is, unless others are named.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        device: str = "wristband",
        kinds: Iterable[str] = OF_CITY,
    ) -> None:
        self.rules = rules or Rules()
        self.person = Person("SZ-0001")
        self.device = device
        self.kinds = frozenset(kinds)
        self.alerts: list[Alert] = []
        self.others: list[Outcome] = []
        self._latest: dict[tuple[str, int], Alert] = {}

    def take(self, event: Event) -> None:
        """Take one event, and check what must always be true."""
        before = self.person
        frozen = freeze(before)
        self.person, outcomes = step(before, event, self.rules)
        assert freeze(before) == frozen, "step changed the state it was given"
        for outcome in outcomes:
            if isinstance(outcome, Alert):
                self._check(outcome)
                if outcome.kind in self.kinds:
                    self.alerts.append(outcome)
            else:
                self.others.append(outcome)
        open_kinds = [e.kind for e in self.person.episodes if not e.until_s]
        assert len(open_kinds) == len(set(open_kinds)), f"two open of a kind: {open_kinds}"

    def _check(self, alert: Alert) -> None:
        key = (alert.kind, alert.since_s)
        last = self._latest.get(key)
        assert alert.number == (last.number + 1 if last else 1)
        assert last or alert.phase == "opened"
        assert (alert.phase == "closed") == bool(alert.until_s)
        assert alert.since_s <= alert.detected_s
        self._latest[key] = alert

    # What devices send.

    def upload(
        self,
        when: str | int,
        seen: Sequence[Fix],
        *,
        stored: bool = False,
        device: str = "",
        battery_pct: float = -1.0,
        flags: int = 0,
    ) -> None:
        """An upload of fixes arrives."""
        at_s = when if isinstance(when, int) else moment(when)
        self.take(
            observed(
                at_s,
                seen,
                stored=stored,
                device=device or self.device,
                battery_pct=battery_pct,
                flags=flags,
            )
        )

    def live(self, seen: Iterable[Fix], *, delay_s: int = 5, device: str = "") -> None:
        """Fixes arrive one by one, a few seconds after they were taken."""
        for fix in seen:
            self.upload(fix.time_s + delay_s, [fix], device=device)

    def fix(
        self,
        when: str,
        outside_m: float,
        source: str = "gnss",
        *,
        accuracy_m: float | None = None,
        place: str = "441900",
        device: str = "",
    ) -> None:
        """One position arrives, 5 s after it was taken."""
        self.live([Fix(moment(when), outside_m, source, accuracy_m, place)], device=device)

    def stay(
        self,
        begin: str,
        end: str,
        outside_m: float = HOME_M,
        *,
        every_s: float = 60,
        source: str = "gnss",
        place: str = "441900",
        device: str = "",
        east_m: float = 0.0,
    ) -> None:
        """Fixes from `begin` to before `end` arrive live."""
        seen = fixes(
            begin, end, outside_m, every_s=every_s, source=source, place=place, east_m=east_m
        )
        self.live(seen, device=device)

    def heartbeat(
        self,
        when: str,
        *,
        device: str = "",
        read: str = "",
        battery_pct: float = -1.0,
        flags: int = 0,
    ) -> None:
        """Something without a position arrives; what it tells was read then, or earlier."""
        which = int((device or self.device) == "wristband")
        self.take(Heard(moment(when), which, moment(read or when), battery_pct, flags))

    def heartbeats(self, begin: str, end: str, *, every_s: int = 600, device: str = "") -> None:
        """Something without a position arrives every so often, from `begin` to before `end`."""
        which = int((device or self.device) == "wristband")
        for time_s in range(moment(begin), moment(end), every_s):
            self.take(Heard(time_s, which, time_s))

    def check_in(self, when: str, *, at: str = "", verified: bool = True) -> None:
        """The person checks in; it arrives at `when`, made then or at an earlier time."""
        self.take(CheckedIn(moment(when), moment(at or when), verified))

    # What officers enter, and time.

    def supervised(self, when: str, begin: str, end: str, *, level: str = "normal") -> None:
        """The person is announced."""
        profile = Profile("440304", "莲花街道", level, moment(begin), moment(end))
        self.take(Announced(moment(when), profile))

    def zone(self, when: str, zone: Zone, *, removed: bool = False) -> None:
        """A place is named for the person, or taken back."""
        self.take(ZoneSet(moment(when), zone, removed))

    def plan(
        self,
        when: str,
        *windows: tuple[str, str],
        begin: str = "01-01 00:00",
        end: str = "12-31 00:00",
        days: int = EVERY_DAY,
    ) -> None:
        """The person is given check-in windows of their own; none: exempt."""
        own = tuple((days, of_day(a), of_day(b)) for a, b in windows)
        self.take(PlanSet(moment(when), own, moment(begin), moment(end)))

    def dispose(self, when: str, alert: Alert) -> None:
        """An officer deals with the episode that an alert told of."""
        self.take(Disposed(moment(when), alert.kind, alert.since_s, moment(when)))

    def authorise(
        self, when: str, begin: str, end: str, *, paper: str = "A-1", cancelled: bool = False
    ) -> None:
        """Wearing a wristband is ordered, prolonged or ended."""
        span = (moment(begin), moment(end))
        authorisation = Authorisation(paper, 1, *span, span[1] - span[0])
        self.take(Authorised(moment(when), authorisation, cancelled))

    def sanction(self, when: str, kind: str, sanction_id: str) -> None:
        """A measure is taken."""
        self.take(Sanctioned(moment(when), Sanction(sanction_id, kind, moment(when))))

    def leave(
        self,
        when: str,
        begin: str,
        end: str,
        *,
        to: Sequence[str] = ("410000",),
        permit_id: str = "L-1",
        kind: str = "leave",
        cancelled: bool = False,
        approved_by: str = "",
    ) -> None:
        """A leave is granted, replaced or cancelled."""
        span = (moment(begin), moment(end))
        permit = Permit(permit_id, kind, *span, tuple(to), approved_by=approved_by)
        self.take(PermitSet(moment(when), permit, cancelled))

    def back(self, when: str, permit_id: str = "L-1") -> None:
        """The person reports back from a leave."""
        self.take(ReportedBack(moment(when), permit_id, moment(when)))

    def clock(self, when: str) -> None:
        """Time comes to here and nothing arrives."""
        self.take(ClockAt(moment(when)))

    # What was told.

    def told(self) -> list[str]:
        """Every alert: "opened leave_city since 13 09:31 (outside_without_leave)"."""
        return [
            f"{a.phase} {a.kind} since {text(a.since_s)}"
            + (f" until {text(a.until_s)}" if a.until_s else "")
            + f" ({a.reason})"
            for a in self.alerts
        ]

    def episodes(self) -> list[tuple[str, str, str]]:
        """What stands in the end: kind, since, until ("" = open); withdrawn ones left out."""
        return sorted(
            (kind, text(since_s), text(last.until_s))
            for (kind, since_s), last in self._latest.items()
            if last.reason != "withdrawn" and kind in self.kinds
        )

    def reasons(self) -> list[str]:
        """How each episode stands: the reason of its last alert, by kind and beginning."""
        stand = sorted(self._latest.items())
        return [last.reason for (kind, _), last in stand if kind in self.kinds]
