"""The festival and the real tracks as cases of the bench: what is true is what really happened.

The real tracks are kept outside the project: what needs them is skipped where they are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import shapely
from detection.baselines import baselines
from detection.cases import Absence, Case, Fixes, Leave
from detection.festival import GRACE_S, Granted, as_a_whole, cases, leaves_of
from detection.ours import Geomon
from detection.realtracks import (
    INSIDE_M,
    PHONE,
    TAXIS,
    Trace,
    moved_fences,
    phone_at_rest,
    phone_under_way,
    pieces,
    taxis,
    truth_of,
)
from detection.scores import Score, score, score_spells
from festival.almanac import END_S
from festival.people import PersonPlan
from festival.recording import lived
from festival.roles import BREACHES
from festival.sampling import sample_plans
from festival.truth import absences as true_absences
from festival.writing import write
from test_taxis import EXPECTED

from geomon.zones.index import NEAR_M, ZoneIndex

PEOPLE = 50
M_PER_DEGREE = 111_195.0


# -- the festival --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plans() -> list[PersonPlan]:
    return sample_plans(PEOPLE)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, plans: list[PersonPlan]) -> Path:
    """Some of the city's people with every breach among them."""
    folder = tmp_path_factory.mktemp("festival")
    write(folder, 1, [plan.role for plan in plans])
    return folder


@pytest.fixture(scope="module")
def people(city: Path) -> list[Case]:
    """Cases with everybody's fixes, however far inside."""
    return cases(city, near_m=float("inf"))


def test_breaches_are_absences_and_an_overdue_return_is_from_an_hour_after_the_leave(
    people: list[Case],
) -> None:
    away = {case.factors["story"]: case for case in people if case.absences}
    cured = {"leave_cured"} & set(away)
    assert set(away) == {story for story in BREACHES if story != "gone"} | cured
    for story, case in away.items():
        if str(story).startswith("overdue"):
            assert [a.since_s for a in case.absences] == [leave.until_s for leave in case.leaves]


def test_whoever_is_truly_outside_is_absent_or_on_leave(
    people: list[Case], plans: list[PersonPlan]
) -> None:
    outside = 0
    for case, plan in zip(people, plans, strict=True):
        for since_s, until_s in true_absences(lived(plan).track):
            outside += 1
            explained = sorted([*case.absences, *case.leaves])
            at_s = float(since_s)
            for begin_s, end_s in explained:
                if begin_s <= at_s:
                    at_s = max(at_s, end_s)
            assert at_s >= (until_s or at_s), plan.role.story
    assert outside > len(BREACHES)


def test_permits_cover_from_their_arrival_and_a_grace_after_their_end() -> None:
    granted = Granted(1_000, "L-1", 5_000, 90_000, cancelled=False)
    assert leaves_of([granted]) == [Leave(5_000, 90_000 + GRACE_S)]
    late = granted._replace(arrival_s=8_000)
    assert leaves_of([late]) == [Leave(8_000, 90_000 + GRACE_S)]
    goes_on = granted._replace(until_s=END_S)
    assert leaves_of([goes_on]) == [Leave(5_000, float("inf"))]


def test_an_extension_in_time_makes_one_leave_and_a_late_one_leaves_a_gap() -> None:
    granted = Granted(1_000, "L-1", 5_000, 90_000, cancelled=False)
    in_time = Granted(80_000, "L-1", 5_000, 200_000, cancelled=False)
    assert leaves_of([granted, in_time]) == [Leave(5_000, 200_000 + GRACE_S)]
    too_late = in_time._replace(arrival_s=100_000)
    assert leaves_of([granted, too_late]) == [
        Leave(5_000, 90_000 + GRACE_S),
        Leave(100_000, 200_000 + GRACE_S),
    ]


def test_a_cancelled_leave_covers_until_the_cancellation() -> None:
    granted = Granted(1_000, "L-1", 5_000, 90_000, cancelled=False)
    cancelled = Granted(30_000, "L-1", 5_000, 90_000, cancelled=True)
    assert leaves_of([granted, cancelled]) == [Leave(5_000, 30_000)]


def test_nobody_calls_outside_who_never_comes_near_the_boundary(
    city: Path, people: list[Case]
) -> None:
    """Why the fixes of those far inside need not be gone through."""
    far = [case for case in people if case.fixes.distance_m.max(initial=-np.inf) <= -NEAR_M]
    assert far
    for detector in [*baselines(), Geomon(), Geomon(1.0)]:
        for case in far:
            if len(case.fixes.time_s):
                assert list(detector.spells(case.fixes)) == []
    spared = {case.factors["id"] for case in cases(city) if not len(case.fixes.time_s)}
    assert spared == {case.factors["id"] for case in far}


def test_what_was_read_is_kept_and_read_anew_when_the_recording_is_newer(city: Path) -> None:
    cases(city)
    (kept,) = city.glob(f"read-*-{NEAR_M:g}.npz")
    before = kept.stat().st_mtime_ns
    cases(city)
    assert kept.stat().st_mtime_ns == before
    newest = max(city.glob("2024-*.ndjson.gz"))
    newest.touch()
    cases(city)
    assert kept.stat().st_mtime_ns > before


def test_geomon_among_the_detectors_is_geomon_as_a_whole(city: Path, people: list[Case]) -> None:
    told = as_a_whole(city)
    alone, whole = score(people, Geomon()), Score()
    for case in people:
        whole += score_spells(case, told.get(str(case.factors["id"]), []))
    assert alone.true + alone.missed + alone.unseen >= len(BREACHES) - 1
    assert (alone.true, alone.false, alone.missed) == (whole.true, whole.false, whole.missed)


# -- what a track shows --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def square() -> ZoneIndex:
    """Twenty kilometres about 0, 0."""
    return ZoneIndex(shapely.box(-0.09, -0.09, 0.09, 0.09), [], [], "square", adcode="999999")


def track(*beyond_m: float, every_s: int = 30) -> Trace:
    """A track by its distances beyond the eastern line, after ten minutes well inside."""
    far_m = np.array([*[-2_000.0] * 20, *beyond_m, *[-2_000.0] * 20])
    lon = 0.09 + far_m / M_PER_DEGREE
    time_s = 1_700_000_000 + every_s * np.arange(len(lon), dtype=np.int64)
    none = np.full(len(lon), np.nan)
    return Trace("made", time_s, lon, np.zeros(len(lon)), none, np.zeros(len(lon), np.int64))


def seconds(spells: list[Absence]) -> list[tuple[float, float]]:
    """Times after the ten minutes inside."""
    begin_s = 1_700_000_000 + 20 * 30
    return [(since_s - begin_s, until_s - begin_s) for since_s, until_s in spells]


def test_an_absence_begins_and_ends_at_the_crossings(square: ZoneIndex) -> None:
    out = [-900.0, -600, -300, 300, 600, 600, 600, 600, 600, 600, 600, 300, -300, -600, -900]
    found = truth_of(track(*out), square)
    assert found.grey == []
    (crossings,) = seconds(found.absences)
    assert crossings == pytest.approx((75, 345), abs=1)


def test_a_short_or_shallow_way_across_is_grey_and_the_edge_of_the_line_is_nothing(
    square: ZoneIndex,
) -> None:
    short = [-900.0, -600, -300, 100, 300, 100, -300, -600, -900]
    shallow = [-300.0, -100, *[60.0] * 20, -100, -300]
    edge = [-300.0, -100, *[20.0] * 20, -100, -300]
    for out, greys in ((short, 1), (shallow, 1), (edge, 0)):
        found = truth_of(track(*out), square)
        assert (len(found.absences), len(found.grey)) == (0, greys), out


def test_a_single_wild_fix_is_nothing_but_one_that_could_be_is_grey(square: ZoneIndex) -> None:
    wild = truth_of(track(*[-300.0] * 9, 3_000.0, *[-300.0] * 9), square)
    assert (wild.absences, wild.grey) == ([], [])
    turned = truth_of(track(*[-300.0] * 9, 200.0, *[-300.0] * 9), square)
    assert (len(turned.absences), len(turned.grey)) == (0, 1)


def test_a_track_is_cut_where_it_is_grey(square: ZoneIndex) -> None:
    grey = [-300.0, -100, *[60.0] * 20, -100, -300]
    out = [-300.0, 300, *[600.0] * 20, 300, -300]
    whole = track(*[-900.0] * 60, *grey, *[-900.0] * 60, *out, *[-900.0] * 60)
    truth = truth_of(whole, square)
    assert (len(truth.absences), len(truth.grey)) == (1, 1)
    fixes = fixes_of(whole, square)
    first, second = pieces(fixes, whole, truth, square)
    assert (list(first.absences), list(second.absences)) == ([], truth.absences)
    assert first.fixes.time_s[-1] < truth.grey[0].since_s
    assert second.fixes.time_s[0] >= truth.grey[0].until_s
    assert second.fixes.distance_m[0] < -100


def fixes_of(made: Trace, zones: ZoneIndex) -> Fixes:
    _, time_s, lon, lat, accuracy_m, source = made
    distance_m = zones.classify(lon, lat).distance_m
    device = np.ones(len(lon), dtype=np.int64)
    return Fixes(time_s, time_s, lon, lat, accuracy_m, source, device, distance_m)


# -- the recorded ones ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(recorded: Callable[[str], Path]) -> Path:
    recorded(PHONE)
    return recorded(TAXIS).parent


def test_three_taxis_left_the_city(data: Path) -> None:
    left = {str(case.factors["taxi"]): case.absences for case in taxis(data) if case.absences}
    assert set(left) == set(EXPECTED)
    for taxi, (since, until) in EXPECTED.items():
        (absence,) = left[taxi]
        assert absence.since_s == pytest.approx(posix_s(since), abs=120)
        ends_s = posix_s(until) if until else float("inf")
        assert absence.until_s == pytest.approx(ends_s, abs=120)


def test_moved_fences_make_many_crossings_and_near_misses(data: Path) -> None:
    moved = dict(moved_fences(data, fences=3))
    assert sum(len(case.absences) for case in moved[0]) > 20
    near = [c for c in moved[0] if not c.absences and -200 < c.fixes.distance_m.max() < 30]
    assert near
    for case, thinned in zip(moved[0], moved[300], strict=True):
        assert thinned.absences == case.absences
        step = (thinned.fixes.time_s - case.fixes.time_s[0]) // 300
        assert (np.diff(step) > 0).all()
        assert set(step) == set((case.fixes.time_s - case.fixes.time_s[0]) // 300)


def test_the_phone_rests_where_it_is_laid_and_its_errors_cross_the_line(data: Path) -> None:
    laid = dict(phone_at_rest(data, places=8))
    assert tuple(laid) == INSIDE_M
    for inside_m, nights in laid.items():
        assert len(nights) == 8
        for case in nights:
            assert len(case.fixes.time_s) > 800
            middle_m = float(np.median(case.fixes.distance_m))
            assert middle_m == pytest.approx(-inside_m, abs=0.05 * inside_m + 40)
    rates = [score(nights, baselines()[0]).false for nights in laid.values()]
    assert rates[0] > 8, "not noisy enough to test with"
    assert rates == sorted(rates, reverse=True)


def test_under_way_the_phone_really_leaves(data: Path) -> None:
    trips = phone_under_way(data, places=8)
    assert sum(len(case.absences) for case in trips) >= 4
    for case in trips:
        for absence in case.absences:
            beyond = (case.fixes.time_s > absence.since_s) & (case.fixes.time_s < absence.until_s)
            assert case.fixes.distance_m[beyond].max() > 100


def posix_s(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
