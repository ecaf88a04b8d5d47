"""All kinds at once: whatever comes in whatever order, nothing breaks, nothing is told twice.

Events of every type are drawn at random, with all that can be wrong about their times: readings
from memory, clocks ahead, papers that arrive after what they are about, papers without a time.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from test_orders import BEGIN_S, SPAN_S, Sighting, lives
from timeline import HOME_M, Fix, Story, circle, moment, observed

from geomon.alerts import KINDS, REASONS, SEVERITIES
from geomon.core.observed import (
    Announced,
    Authorised,
    CheckedIn,
    ClockAt,
    Disposed,
    Event,
    Heard,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.person import Authorisation, Permit, Profile, Sanction, freeze, thaw
from geomon.core.plans import LEVELS
from geomon.core.schedules import EVERY_DAY
from geomon.settings import Settings, rules_from

RULES = rules_from(Settings())
HOUR_S, DAY_S = 3_600, 86_400
#: Episodes that a disposal may name: those told of, and one that never was.
_DISPOSABLE = ("tamper", "spoofing", "missed_check_in", "leave_city")


class Doing(NamedTuple):
    """What comes next, so long after the last thing; `seed` draws all that belongs to it."""

    what: str
    gap_s: int
    seed: int


_WHAT = [
    *("home", "home", "out", "out", "drive", "apart", "apart", "memory", "heard", "heard", "pings"),
    *(
        "check_in",
        "leave",
        "leave",
        "leave",
        "back",
        "announce",
        "zone",
        "zone",
        "plan",
        "order",
        "sanction",
    ),
    *("dispose", "dispose", "time"),
]
DOINGS = st.lists(
    st.builds(
        Doing,
        what=st.sampled_from(_WHAT),
        gap_s=st.sampled_from([1, 30, 60, 60, 600, 1_800, HOUR_S, 5 * HOUR_S, 30 * HOUR_S]),
        seed=st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=40,
)


class Life:
    """Somebody to whom all this happens; every event comes `times` times over."""

    def __init__(
        self, *, times: int = 1, thaws: bool = False, ticks: bool = False, timed: bool = False
    ) -> None:
        self.story = Story(RULES, kinds=KINDS)
        self.times, self.thaws, self.ticks, self.timed = times, thaws, ticks, timed

    def live(self, doings: Sequence[Doing]) -> Life:
        now_s = moment("08:00")
        if len(doings) % 3:
            self.take(now_s, Announced(now_s, Profile("440304", "", "normal", 1, 2**40)))
        for doing in doings:
            now_s = self.do(doing, now_s + doing.gap_s)
        self.take(now_s, ClockAt(now_s + 3 * DAY_S))
        return self

    def take(self, now_s: int, event: Event) -> None:
        story = self.story
        if self.ticks:
            clock_s = story.person.clock_s or now_s
            for tick_s in range(clock_s + 7, now_s, max((now_s - clock_s) // 3, 1)):
                story.take(ClockAt(tick_s))
        for _ in range(self.times):
            story.take(event)
        if self.thaws:
            story.person = thaw(freeze(story.person))
        assert story.person.due_s == 0 or story.person.due_s > story.person.clock_s

    def do(self, doing: Doing, now_s: int) -> int:
        """Let it happen; give the time at which it is over."""
        rng = random.Random(doing.seed)  # noqa: S311
        device = rng.choice(["phone", "wristband"])
        if doing.what in {"home", "out", "drive", "apart", "pings"}:
            return self._stretch(doing.what, now_s, device, rng)
        if doing.what == "memory":
            old_s = rng.choice([600, HOUR_S, 20 * HOUR_S, 60 * HOUR_S])
            outside_m = rng.choice([HOME_M, 4_000.0, 4_000.0])
            seen = [Fix(now_s - old_s - 60 * n, outside_m) for n in range(rng.choice([1, 3, 30]))]
            self.take(now_s, observed(now_s, seen, stored=True, device=device))
        elif doing.what == "dispose":
            told = [a for a in self.story.alerts if a.kind in _DISPOSABLE]
            kind, since_s = "tamper", moment("01 00:00")
            if told:
                alert = told[doing.seed % len(told)]
                kind, since_s = alert.kind, alert.since_s
            done_s = now_s - rng.choice([0, 0, 600, DAY_S])
            self.take(now_s, Disposed(now_s, kind, since_s, done_s))
        else:
            event = _paper(doing.what, now_s, rng, timed=self.timed)
            self.take(now_s, event or _heard(now_s, device, rng))
        return now_s

    def _stretch(self, what: str, now_s: int, device: str, rng: random.Random) -> int:
        """Let some live reports arrive, one after the other."""
        pace_s, reports = rng.choice([(20, 3), (60, 5), (60, 12), (600, 8), (1_800, 3)])
        source, ahead_s = rng.choice(["gnss", "gnss", "wifi", "cell"]), rng.choice([0, 0, 0, 240])
        outside_m = {"home": HOME_M, "out": 4_000.0}.get(what, HOME_M) + rng.choice([0, 0, 150])
        east_m = rng.choice([0, 0, 0, 2_000, 60_000])
        flags, battery_pct = rng.choice([0, 0, 0, 3, 2, 4, 8, 16, 64]), rng.choice([-1, 3, 50])
        for n in range(4 if what == "drive" else reports):
            now_s += 60 if what == "drive" else pace_s
            if what == "pings":
                self.take(now_s, Heard(now_s, int(device == "wristband"), now_s))
                continue
            fix = Fix(now_s + ahead_s, outside_m, source, east_m=east_m)
            if what == "drive":
                fix = Fix(now_s, -4_000.0 + 1_000 * n)
            elif what == "apart":
                device = "phone" if n % 2 else "wristband"
                fix = Fix(now_s, HOME_M, east_m=3_000 * (n % 2))
            self.take(
                now_s,
                observed(now_s, [fix], device=device, battery_pct=battery_pct, flags=flags),
            )
        return now_s


def _heard(now_s: int, device: str, rng: random.Random) -> Heard:
    return Heard(
        now_s,
        int(device == "wristband"),
        now_s - rng.choice([0, 0, 0, 900, 9_000]),
        rng.choice([-1, -1, 2, 15, 25, 90]),
        rng.choice([0, 0, 1, 2, 4, 2 | 8, 2 | 16, 32, 64]),
    )


def _paper(what: str, now_s: int, rng: random.Random, *, timed: bool) -> Any:
    begin_s = now_s + rng.choice([-20, -3, -1, 0, 0, 1, 12]) * HOUR_S
    end_s = begin_s + rng.choice([1, 3, 12, 24, 24 * 9, 24 * 40, 24 * 90]) * HOUR_S
    # Without a time of arrival the person's clock stands still.
    at_s = now_s if rng.random() < 0.8 or timed else 0
    name = rng.choice("ab")
    if what == "check_in":
        made_s = now_s - rng.choice([0, 0, 300, 4_000, -200, -9_000])
        return CheckedIn(now_s, made_s, rng.random() < 0.9)
    if what == "leave":
        kind = rng.choice(["leave", "leave", "standing"])
        to = (rng.choice(["000000", "441900", "410000"]),)
        by = rng.choice(["", "street", "district", "city"])
        permit = Permit(f"L-{name}", kind, begin_s, end_s, to, approved_by=by)
        return PermitSet(at_s, permit, rng.random() < 0.2)
    if what == "announce":
        span = (begin_s - 30 * DAY_S, rng.choice([end_s, now_s + 300 * DAY_S]))
        return Announced(at_s, Profile("440304", "", rng.choice(LEVELS), *span))
    if what == "zone":
        kind, outside_m = rng.choice([("exclusion", 4_000.0), ("curfew", HOME_M)])
        daily = rng.choice([None, ("22:00", "06:00"), ("08:00", "20:00")])
        zone = circle(
            outside_m, rng.choice([50, 400]), kind=kind, zone_id=f"Z-{kind}-{name}", daily=daily
        )
        return ZoneSet(at_s, zone, rng.random() < 0.2)
    if what == "plan":
        windows = rng.choice([(), ((EVERY_DAY, 9 * HOUR_S, 10 * HOUR_S),)])
        return PlanSet(at_s, windows, begin_s, end_s)
    if what == "order":
        order = Authorisation(f"A-{name}", 1, begin_s, end_s, end_s - begin_s)
        return Authorised(at_s, order, rng.random() < 0.2)
    if what == "sanction":
        kind = rng.choice(["admonition", "warning"])
        return Sanctioned(now_s, Sanction(f"P-{rng.randrange(4)}", kind, now_s))
    return {
        "back": ReportedBack(now_s, f"L-{name}", now_s - rng.choice([0, HOUR_S])),
        "time": ClockAt(now_s),
    }.get(what)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(DOINGS)
def test_nothing_that_can_arrive_breaks_anything(doings: list[Doing]) -> None:
    """The story itself holds to what must be true always; see timeline.py."""
    story = Life().live(doings).story
    for alert in story.alerts:
        assert alert.kind in KINDS
        assert alert.reason in REASONS
        assert alert.severity in SEVERITIES
        assert alert.since_s > 0
        assert not alert.until_s or alert.since_s <= alert.until_s <= alert.detected_s


@settings(derandomize=True, deadline=None, max_examples=80)
@given(DOINGS)
def test_every_event_delivered_twice_is_told_once(doings: list[Doing]) -> None:
    once, twice = Life().live(doings), Life(times=2).live(doings)
    assert twice.story.told() == once.story.told()


@settings(derandomize=True, deadline=None, max_examples=40)
@given(DOINGS)
def test_frozen_and_thawed_after_every_event_it_goes_on_the_same(doings: list[Doing]) -> None:
    thawed = Life(thaws=True).live(doings)
    assert thawed.story.alerts == Life().live(doings).story.alerts


@settings(derandomize=True, deadline=None, max_examples=60)
@given(DOINGS)
def test_a_clock_that_ticks_between_changes_nothing(doings: list[Doing]) -> None:
    """A live system looks at the clock all the time, a replay never: both tell the same."""
    ticking = Life(ticks=True, timed=True).live(doings)
    assert ticking.story.alerts == Life(timed=True).live(doings).story.alerts


def test_these_lives_are_worth_testing() -> None:
    """All kinds are told of, and nearly all of them end."""
    seen: set[tuple[str, str]] = set()

    @settings(derandomize=True, deadline=None, max_examples=300, database=None)
    @given(DOINGS)
    def collect(doings: list[Doing]) -> None:
        seen.update((a.kind, a.phase) for a in Life().live(doings).story.alerts)

    collect()
    assert {kind for kind, phase in seen if phase == "opened"} >= set(KINDS) - {"off_itinerary"}
    assert {kind for kind, phase in seen if phase == "closed"} >= {
        *("leave_city", "lost_contact", "low_battery", "tamper", "spoofing", "missed_check_in"),
        *("exclusion_zone", "curfew", "authorisation", "border_approach"),
    }


# Zones, in any order of arrival.


def zoned() -> Story:
    story = Story(kinds={"exclusion_zone", "curfew"})
    story.zone("12 20:00", circle(-300, 250, zone_id="Z-1"))
    story.zone("12 20:00", circle(3_000, 500, zone_id="Z-2", daily=("03:00", "12:00")))
    home = circle(HOME_M, 150, kind="curfew", zone_id="Z-H", daily=("20:00", "06:00"))
    story.zone("12 20:00", home)
    return story


def lived(sightings: Sequence[Sighting]) -> Story:
    story = zoned()
    for fix, device in sightings:
        story.live([fix], device=device)
    story.clock("16 12:00")
    return story


@settings(derandomize=True, deadline=None, max_examples=25)
@given(lives(), st.randoms(use_true_random=False), st.lists(st.integers(0, 10_000), max_size=12))
def test_zones_end_the_same_in_any_order_and_any_cut(
    sightings: list[Sighting], rng: random.Random, cuts: list[int]
) -> None:
    shuffled = rng.sample(sightings, len(sightings))
    late = zoned()
    bounds = [0, *sorted({cut % len(sightings) for cut in cuts} - {0}), len(sightings)]
    for begin, end in pairwise(bounds):
        for device in ("phone", "wristband"):
            seen = [s.fix for s in shuffled[begin:end] if s.device == device]
            if seen:
                late.upload(BEGIN_S + SPAN_S + begin * 7, seen, stored=True, device=device)
    late.clock("16 12:00")
    live = lived(sightings)
    assert late.episodes() == live.episodes()
    assert [f.tail for f in late.person.fences] == [f.tail for f in live.person.fences]


@settings(derandomize=True, deadline=None, max_examples=15)
@given(lives(), st.randoms(use_true_random=False))
def test_repeats_tell_nothing_of_zones_twice(sightings: list[Sighting], rng: random.Random) -> None:
    story = zoned()
    for n, (fix, device) in enumerate(sightings):
        story.live([fix], device=device)
        if rng.random() < 0.3:
            again = sightings[rng.randrange(n + 1)]
            story.upload(fix.time_s + 6, [again.fix], device=again.device)
    story.clock("16 12:00")
    assert story.told() == lived(sightings).told()
