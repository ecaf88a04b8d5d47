"""Whatever the order of arrival, the same evidence ends in the same episodes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline import Fix, Story, moment

from geomon.core.belief import fold
from geomon.core.person import Belief, freeze, thaw
from geomon.core.rules import Rules

BEGIN_S = moment("00:00")
#: Below the horizon, so that whatever comes late still counts.
SPAN_S = 22 * 3600


class Sighting(NamedTuple):
    """A fix and the device that took it."""

    fix: Fix
    device: str


class Stretch(NamedTuple):
    """Some reports from about one distance."""

    outside_m: float
    pace_s: int
    reports: int
    place: str
    then_silent_h: int
    seed: int


_STRETCH = st.builds(
    Stretch,
    outside_m=st.sampled_from([-6_000.0, -300.0, -40.0, 30.0, 230.0, 3_000.0, 50_000.0]),
    pace_s=st.sampled_from([20, 60, 600, 1_800]),
    reports=st.integers(1, 15),
    place=st.sampled_from(["441900", "411727", ""]),
    then_silent_h=st.sampled_from([0, 0, 1, 5]),
    seed=st.integers(0, 99),
)


def _life(stretches: Sequence[Stretch], span_s: int, with_band: bool) -> list[Sighting]:
    """Stays at home, beside the line, just out and far out, with changing paces and sources."""
    sightings: list[Sighting] = []
    time_s = BEGIN_S
    for stretch in stretches:
        rng = random.Random(stretch.seed)  # noqa: S311
        for _ in range(stretch.reports):
            if time_s >= BEGIN_S + span_s:
                return sightings
            source = rng.choices(["gnss", "wifi", "cell"], [8, 3, 1])[0]
            error_m = {"gnss": 10, "wifi": 40, "cell": 600}[source]
            seen_m = round(stretch.outside_m + rng.gauss(0, error_m), 1)
            device = "wristband" if with_band and rng.random() < 0.7 else "phone"
            sightings.append(Sighting(Fix(time_s, seen_m, source, None, stretch.place), device))
            time_s += stretch.pace_s + rng.randrange(5)
        time_s += stretch.then_silent_h * 3_600
    return sightings


def lives(
    *, least: int = 3, most: int = 16, span_s: int = SPAN_S
) -> st.SearchStrategy[list[Sighting]]:
    """Lives of up to so many stretches, cut after `span_s`; never empty."""
    stretches = st.lists(_STRETCH, min_size=least, max_size=most)
    return st.builds(_life, stretches, st.just(span_s), st.booleans())


def story_with_papers(rules: Rules | None = None) -> Story:
    story = Story(rules)
    story.leave("12 23:00", "06:00", "11:00", to=["441900"])
    story.leave("12 23:01", "15:00", "13 18:30", to=["411700"], permit_id="L-2")
    return story


def told_live(sightings: Sequence[Sighting], rules: Rules | None = None) -> Story:
    story = story_with_papers(rules)
    for fix, device in sightings:
        story.live([fix], device=device)
    story.clock("16 12:00")
    return story


def told_late(sightings: Sequence[Sighting], cuts: Sequence[int]) -> Story:
    """All arrives when all is over, in the order given, in uploads cut at `cuts`."""
    story = story_with_papers()
    bounds = [0, *sorted({cut % len(sightings) for cut in cuts} - {0}), len(sightings)]
    for begin, end in pairwise(bounds):
        for device in ("phone", "wristband"):
            seen = [s.fix for s in sightings[begin:end] if s.device == device]
            if seen:
                story.upload(BEGIN_S + SPAN_S + begin * 7, seen, stored=True, device=device)
    story.clock("16 12:00")
    return story


@settings(derandomize=True, deadline=None, max_examples=100)
@given(lives(), st.randoms(use_true_random=False), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_order_and_any_cut_end_in_the_same_episodes(
    sightings: list[Sighting], rng: random.Random, cuts: list[int]
) -> None:
    live = told_live(sightings)
    shuffled = rng.sample(sightings, len(sightings))
    late = told_late(shuffled, cuts)
    assert late.episodes() == live.episodes()
    assert (late.person.marks, late.person.inside) == (live.person.marks, live.person.inside)
    assert late.person.tail == live.person.tail


@settings(derandomize=True, deadline=None, max_examples=25)
@given(lives(), st.lists(st.integers(0, 10_000), max_size=12))
def test_newest_first_in_the_middle_of_live_reports(
    sightings: list[Sighting], cuts: list[int]
) -> None:
    """The first half is live; the second arrives newest first with live fixes between."""
    half = len(sightings) // 2
    story = story_with_papers()
    for fix, device in sightings[:half]:
        story.live([fix], device=device)
    now_s = sightings[-1].fix.time_s
    story.live([sightings[-1].fix], device=sightings[-1].device)
    for n, (fix, device) in enumerate(reversed(sightings[half:])):
        story.upload(now_s + 5 + n * 11, [fix], stored=True, device=device)
    story.clock("16 12:00")
    assert story.episodes() == told_live(sightings).episodes()


@settings(derandomize=True, deadline=None, max_examples=25)
@given(lives(), st.randoms(use_true_random=False))
def test_repeats_anywhere_tell_nothing_twice(sightings: list[Sighting], rng: random.Random) -> None:
    once = told_live(sightings)
    story = story_with_papers()
    for n, (fix, device) in enumerate(sightings):
        story.live([fix], device=device)
        if rng.random() < 0.3:
            again = sightings[rng.randrange(n + 1)]
            story.upload(fix.time_s + 6, [again.fix], device=again.device)
    story.clock("16 12:00")
    assert story.told() == once.told()
    assert story.episodes() == once.episodes()


@settings(derandomize=True, deadline=None, max_examples=25)
@given(lives())
def test_the_same_input_twice_gives_the_same_alerts(sightings: list[Sighting]) -> None:
    first, second = told_live(sightings), told_live(sightings)
    assert first.alerts == second.alerts
    assert freeze(first.person) == freeze(second.person)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(lives())
def test_belief_that_goes_on_is_belief_from_scratch(sightings: list[Sighting]) -> None:
    """The quick ways (one fix more, a stretch inside passed over) are only quick."""
    story = told_live(sightings)
    person = story.person
    anew: Belief = msgspec.structs.replace(person.base)
    stays = tuple(fold(anew, person.inside, person.origin_min, person.marks))
    assert anew == person.tail
    assert stays == person.stays


@settings(derandomize=True, deadline=None, max_examples=20)
@given(lives(least=12, most=40, span_s=3 * 86_400))
def test_making_room_loses_nothing_of_what_comes_in_order(sightings: list[Sighting]) -> None:
    bounded, unbounded = told_live(sightings), told_live(sightings, Rules(horizon_s=20 * 86_400))
    assert bounded.told() == unbounded.told()
    assert bounded.person.tail == unbounded.person.tail
    kept_s = bounded.person.newest_s - bounded.rules.horizon_s - 2 * 3_600
    assert all(mark.time_s >= kept_s for mark in bounded.person.marks)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(lives(), st.integers(1, 400))
def test_a_state_frozen_and_thawed_anywhere_goes_on_as_if_nothing_had_been(
    sightings: list[Sighting], every: int
) -> None:
    story = story_with_papers()
    for n, (fix, device) in enumerate(sightings):
        story.live([fix], device=device)
        if n % every == 0:
            thawed = thaw(freeze(story.person))
            assert thawed == story.person
            assert freeze(thawed) == freeze(story.person)
            story.person = thawed
    story.clock("16 12:00")
    assert story.alerts == told_live(sightings).alerts


def test_these_lives_are_worth_testing() -> None:
    """The generator makes departures and returns, not only quiet days."""
    seen: set[tuple[str, str]] = set()

    @settings(derandomize=True, deadline=None, max_examples=40, database=None)
    @given(lives())
    def collect(sightings: list[Sighting]) -> None:
        seen.update((a.kind, a.phase) for a in told_live(sightings).alerts)

    collect()
    assert {
        ("leave_city", "opened"),
        ("leave_city", "closed"),
        ("overdue_return", "opened"),
    } <= seen
