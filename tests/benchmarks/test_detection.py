"""The detection bench: rules on small timelines, scores, noise, and that geomon is geomon."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detection.baselines import baselines
from detection.cases import SOURCES, Absence, Case, Fixes, Leave, Spell
from detection.design import (
    CLAIMS,
    Cell,
    case_of,
    claims_changed,
    departures,
    residents,
    shorts,
    some,
    stays,
    wilds,
)
from detection.noise import KINDS, RADIUS_68, gauss_markov, measure
from detection.ours import Geomon, spells_of
from detection.runs import PARTS, run
from detection.scores import LEAVE_SLACK_S, SLACK_S, score, score_spells
from detection.standing import Point, beats, standing
from detection.summary import by_detector

from geomon.alerts import iso_utc
from geomon.cli.bench import DETECTION_PARTS
from geomon.core.episodes import Alert
from geomon.core.observed import ClockAt
from geomon.core.person import Person
from geomon.core.rules import Rules
from geomon.core.step import step
from geomon.intake import Intake, Raw
from geomon.zones.index import ZoneIndex

ROOT = Path(__file__).resolve().parents[2]
NINE_S = 1_709_254_800  # 2024-03-01 09:00 in Shenzhen
MIN = 60
INF = float("inf")
SEED = 7


def track(distances_m: Sequence[float], *, every_s: int = MIN, accuracy_m: float = 10.0) -> Fixes:
    """Fixes at these distances from the line, one after the other, each arriving 2 s later."""
    count = len(distances_m)
    time_s = NINE_S + every_s * np.arange(count)
    distance_m = np.array(distances_m, dtype=np.float64)
    zero = np.zeros(count, dtype=np.int64)
    return Fixes(
        time_s + 2,
        time_s,
        np.full(count, 114.0),
        22.6 + distance_m / 111_195,
        np.full(count, accuracy_m),
        zero,
        zero,
        distance_m,
    )


def told(name: str, setting: str, fixes: Fixes) -> list[tuple[float, float, float]]:
    """Spells of a baseline: minutes after nine of beginning and telling, and of the end."""
    (detector,) = [d for d in baselines() if (d.name, d.setting) == (name, setting)]
    return [
        ((s.since_s - NINE_S) / MIN, (s.told_s - 2 - NINE_S) / MIN, (s.until_s - NINE_S) / MIN)
        for s in detector.spells(fixes)
    ]


# One wild fix; then out for four minutes, the last of them far; and back.
DAY = (-500, 400, -500, 20, 150, 250, 800, -500)


@pytest.mark.parametrize(
    ("name", "setting", "spells"),
    [
        ("point in polygon", "", [(1, 1, 2), (3, 3, 7)]),
        ("consecutive", "2", [(3, 4, 7)]),
        ("consecutive", "3", [(3, 5, 7)]),
        ("consecutive", "5", []),
        ("fixed margin", "100 m", [(1, 1, 2), (4, 4, 7)]),
        ("fixed margin", "300 m", [(1, 1, 2), (6, 6, 7)]),
        ("fixed margin", "1,000 m", []),
        ("margin and dwell", "300 m, 5 min", []),
        ("municipal", "20 min", []),
        ("accuracy circle", "", [(1, 1, 2), (3, 3, 7)]),
        ("second fence", "200 m", [(1, 1, 2), (5, 5, 7)]),
        ("second fence", "500 m", [(6, 6, 7)]),
    ],
)
def test_what_each_rule_says_of_one_wild_fix_and_four_minutes_outside(
    name: str, setting: str, spells: list[tuple[float, float, float]]
) -> None:
    assert told(name, setting, track(DAY)) == spells


def test_a_second_fence_is_left_outside_and_entered_again_inside() -> None:
    """Between its two lines nothing changes; a fixed margin flaps there."""
    fixes = track((-50, 250, 150, 250, 150, -10))
    assert told("second fence", "200 m", fixes) == [(1, 1, 5)]
    assert told("fixed margin", "100 m", fixes) == [(1, 1, 5)]
    fixes = track((-50, 150, 50, 150, 50, -10))
    assert told("fixed margin", "100 m", fixes) == [(1, 1, 2), (3, 3, 4)]


def test_a_margin_with_dwell_waits_beyond_the_margin() -> None:
    fixes = track((-50, 350, 350, 350, 350, 350, 350, 350, -50))
    assert told("margin and dwell", "300 m, 5 min", fixes) == [(1, 6, 8)]


def test_the_municipal_rule_wants_twenty_minutes_without_a_fix_inside_and_two_fixes_outside() -> (
    None
):
    assert told("municipal", "20 min", track((-50, *[30] * 25))) == [(1, 20, INF)]
    # A fix an hour: the first outside comes long after the last inside, but it is alone.
    assert told("municipal", "20 min", track((-50, 30, 30), every_s=3600)) == [(60, 120, INF)]
    assert told("municipal", "20 min", track((-50, 30, -50, 30), every_s=3600)) == []


def test_an_accuracy_circle_across_the_line_says_nothing() -> None:
    fixes = track((-500, 30, 90, 30, -30, -90), accuracy_m=60.0)
    assert told("accuracy circle", "", fixes) == [(2, 2, 5)]
    silent = fixes._replace(accuracy_m=np.full(6, np.nan))  # satellite fixes: 10 m
    assert told("accuracy circle", "", silent) == [(1, 1, 4)]


def test_whoever_is_never_outside_has_no_spell_of_any_detector() -> None:
    fixes = track([-5.0] * 100)
    assert all(not list(d.spells(fixes)) for d in [*baselines(), Geomon()])


# Scores.


def watched(fixes: Fixes, *absences: tuple[float, float], leaves: Sequence[Leave] = ()) -> Case:
    """A day's case; absences in minutes after nine."""
    true = [Absence(NINE_S + a * MIN, NINE_S + b * MIN) for a, b in absences]
    return Case(fixes, true, leaves, 1.0)


def spell(since: float, said: float, until: float, *, withdrawn: bool = False) -> Spell:
    since_s, told_s, until_s = (NINE_S + m * MIN for m in (since, said, until))
    return Spell(since_s, told_s, until_s, withdrawn)


def test_an_alarm_about_an_absence_is_true_the_next_one_a_repeat_and_any_other_false() -> None:
    case = watched(track([-50] * 200), (100, 140))
    got = score_spells(
        case, [spell(20, 21, 22), spell(103, 110, 120), spell(125, 126, 141), spell(170, 171, INF)]
    )
    assert (got.true, got.repeats, got.false, got.missed) == (1, 1, 2, 0)
    assert got.delays_s == [10 * MIN]
    assert got.false_a_year == pytest.approx(2 * 365.25)
    assert got.share_true == pytest.approx(1 / 3)


def test_an_alarm_said_long_before_somebody_leaves_is_false_and_they_are_missed() -> None:
    case = watched(track([-50] * 200), (100, 140))
    got = score_spells(case, [spell(20, 21, INF, withdrawn=True)])
    assert (got.true, got.false, got.withdrawn, got.missed) == (0, 1, 1, 1)
    slack = SLACK_S / MIN
    assert score_spells(case, [spell(99, 100 - slack, 120)]).true == 1
    assert score_spells(case, [spell(99, 99 - slack, 120)]).true == 0


def test_what_is_missed_has_an_endless_delay() -> None:
    case = watched(track([-50] * 300), (100, 140), (200, 240), (250, 290))
    got = score_spells(case, [spell(103, 110, 141), spell(201, 220, 241)])
    assert (got.delay_s(30), got.delay_s(60), got.delay_s(95)) == (10 * MIN, 20 * MIN, INF)


def test_an_absence_without_a_report_is_unseen_and_not_missed() -> None:
    fixes = track([-50, -50, -50], every_s=3600)
    got = score_spells(watched(fixes, (10, 40)), [])
    assert (got.missed, got.unseen) == (0, 1)
    assert score_spells(watched(fixes, (10, 70)), []).missed == 1


def test_what_lies_in_a_leave_does_not_count_and_what_goes_on_counts_from_its_end() -> None:
    leave = Leave(NINE_S, NINE_S + 100 * MIN)
    case = watched(track([-50] * 300), (100, 200), leaves=[leave])
    late = LEAVE_SLACK_S / MIN
    assert score_spells(case, [spell(10, 11, 90)]).false == 0
    got = score_spells(case, [spell(10, 11, 205)])
    assert (got.true, got.false, got.delays_s) == (1, 0, [0.0])
    alone = watched(track([-50] * 300), leaves=[leave])
    assert score_spells(alone, [spell(10, 11, 100 + late)]).false == 0
    assert score_spells(alone, [spell(10, 11, 101 + late)]).false == 1


def test_scores_add_up() -> None:
    case = watched(track((-500, 400, *[-500] * 10, *DAY[3:])), (12, 16))
    (plain, *_) = baselines()
    both = score([case, case], plain)
    assert (both.days, both.true, both.false, both.absences) == (2.0, 2, 2, 2)
    assert both.delays_s == [2.0, 2.0]


# Noise.


@pytest.mark.parametrize("lasts_s", [60.0, 1800.0])
def test_a_lasting_error_fades_over_its_time_and_has_variance_one(lasts_s: float) -> None:
    times = np.arange(0, 400_000, 20)
    error = gauss_markov(np.random.default_rng(SEED), times, lasts_s).real
    apart = round(lasts_s / 20)
    kept = np.mean(error[apart:] * error[:-apart]) / np.mean(error**2)
    assert np.var(error) == pytest.approx(1.0, abs=0.15)
    assert kept == pytest.approx(np.exp(-1), abs=0.07)


def measured_at_rest(kind: str, days: float = 60, every_s: int = 60) -> tuple[Any, Any]:
    times = NINE_S + np.arange(0, round(days * 86_400), every_s)
    still = np.zeros(len(times))
    got = measure(np.random.default_rng(SEED), kind, times, still, still, 10.0)
    return times, got


def test_independent_errors_are_as_claimed_and_of_the_moment() -> None:
    _, got = measured_at_rest("independent", days=10)
    within = np.hypot(got.x, got.y) <= got.accuracy_m
    assert within.mean() == pytest.approx(0.68, abs=0.01)
    assert abs(np.corrcoef(got.x[1:], got.x[:-1])[0, 1]) < 0.02


def test_correlated_errors_are_as_claimed_and_last() -> None:
    _, got = measured_at_rest("correlated")
    assert (np.hypot(got.x, got.y) <= got.accuracy_m).mean() == pytest.approx(0.68, abs=0.03)
    # Half with a minute, half with thirty: at a minute's distance (e^-1 + e^-1/30) / 2.
    kept = np.corrcoef(got.x[1:], got.x[:-1])[0, 1]
    assert kept == pytest.approx((np.exp(-1) + np.exp(-1 / 30)) / 2, abs=0.06)


@pytest.mark.parametrize(
    ("kind", "source", "share", "far_m"),
    [
        ("multipath", "gnss", (0.01, 0.06), 40.0),  # 4 x 10 minutes a day
        ("cells", "cell", (0.03, 0.12), 250.0),  # 3 x 30 minutes
        ("dishonest", "gnss", (0.0001, 0.008), 60.0),  # 30 s, once or ten times a day
    ],
)
def test_a_kind_of_error_comes_as_often_and_as_far_as_it_says(
    kind: str, source: str, share: tuple[float, float], far_m: float
) -> None:
    _, got = measured_at_rest(kind)
    wrong = (np.hypot(got.x, got.y) > far_m) & (got.source == SOURCES.index(source))
    assert share[0] < wrong.mean() < share[1]


def test_an_access_point_that_moved_house_is_rare_and_far() -> None:
    _, got = measured_at_rest("wifi", days=365, every_s=600)
    far = (np.hypot(got.x, got.y) > 500) & (got.source == SOURCES.index("wifi"))
    assert 0 < far.mean() < 0.005
    assert (got.accuracy_m[far] < 120).all()


def test_a_stale_fix_is_an_old_one_with_a_new_time() -> None:
    times = NINE_S + np.arange(0, 20 * 86_400, 60)
    away = np.linspace(0, 1e6, len(times))  # always on the way
    got = measure(np.random.default_rng(SEED), "stale", times, away, 0 * away, 10.0)
    behind = away - got.x > 500
    assert 0.002 < behind.mean() < 0.03
    assert len(np.unique(got.x[behind])) < behind.sum() / 3


def test_every_case_can_be_made_again_alone_and_another_seed_gives_another() -> None:
    for cell in (some(stays(), 0.02)[0], some(departures(), 0.01)[0]):
        one, again, other = case_of(cell, SEED), case_of(cell, SEED), case_of(cell, SEED + 1)
        assert all(np.array_equal(a, b) for a, b in zip(one.fixes, again.fixes, strict=True))
        assert not np.array_equal(one.fixes.distance_m, other.fixes.distance_m)


@pytest.mark.parametrize("kind", KINDS)
def test_who_stays_never_crosses_and_who_leaves_crosses_when_it_is_said(kind: str) -> None:
    """Shown on positions without error: those that claim to be exact to a millimetre are."""
    at_home = Cell("stay", "independent", 50.0, 60, 0.001, days=3.0)
    assert case_of(at_home, SEED).fixes.distance_m.max() < 0
    leaving = Cell("departure", "independent", 500.0, 15, 0.001, 6.0, 45.0)
    case = case_of(leaving, SEED)
    (absence,) = case.absences
    time_s = case.fixes.time_s[case.fixes.distance_m > 0]
    assert absence.since_s < time_s.min() < absence.since_s + 60
    assert absence.until_s - 60 < time_s.max() < absence.until_s
    # And with errors, of each kind, the truth is the same.
    noisy = case_of(Cell("departure", kind, 500.0, 15, 10.0, 6.0, 45.0), SEED)
    assert len(noisy.absences) == 1


def test_claims_may_be_meant_otherwise() -> None:
    case = case_of(some(stays(), 0.01)[0], SEED)
    plain = case.fixes.accuracy_m
    meant = {claims: claims_changed(case, claims).fixes.accuracy_m for claims in CLAIMS}
    assert np.array_equal(meant["as meant"], plain)
    assert np.allclose(meant["of 95 %"] / plain, np.sqrt(np.log(0.05) / np.log(0.32)), atol=1e-3)
    assert np.isnan(meant["missing"]).all()
    assert (meant["always 10"] == 10).all()


def test_a_radius_of_68_percent_holds_that_much() -> None:
    assert np.exp(-(RADIUS_68**2) / 2) == pytest.approx(0.32, abs=1e-4)


# geomon as it is in the bench, and as it is.


def through_intake(zones: ZoneIndex, fixes: Fixes) -> list[Spell]:
    """The whole way: JSON, decoding, checks, geometry, weights, step."""
    raws = [
        Raw(
            json.dumps(
                {
                    "type": "upload",
                    "supervisee_id": "SZ-1",
                    "device": "phone",
                    "device_id": "phone-1",
                    "datum": "wgs84",
                    "received": iso_utc(arrival_s),
                    "fixes": [
                        {
                            "time": iso_utc(time_s),
                            "lon": lon,
                            "lat": lat,
                            "source": SOURCES[source],
                            **({} if np.isnan(accuracy_m) else {"accuracy_m": accuracy_m}),
                        }
                    ],
                }
            ).encode(),
            "sample",
        )
        for arrival_s, time_s, lon, lat, accuracy_m, source in zip(
            *(column.tolist() for column in fixes[:6]), strict=True
        )
    ]
    arrivals, rejected = Intake(zones).take(raws)
    assert not rejected
    person, alerts = Person("SZ-1"), []
    rules = Rules()
    for event in [a.event for a in arrivals] + [ClockAt(int(fixes.arrival_s[-1]) + 45)]:
        person, outcomes = step(person, event, rules)
        alerts += [o for o in outcomes if isinstance(o, Alert) and o.kind == "leave_city"]
    return spells_of(alerts)


def at_the_border(zones: ZoneIndex, fixes: Fixes) -> Fixes:
    """The same movements across Shenzhen's northern border, with real distances."""
    lon, lat = 113.93, 22.75
    while zones.classify([lon], [lat]).distance_m[0] < 0:
        lat += 0.0005
    lons = lon + (fixes.lon - 114.0)
    lats = lat + fixes.distance_m / 111_195
    return fixes._replace(lon=lons, lat=lats, distance_m=zones.classify(lons, lats).distance_m)


@pytest.mark.parametrize("missing", [False, True])
def test_geomon_in_the_bench_says_what_the_whole_way_says(zones: ZoneIndex, missing: bool) -> None:
    cells = [
        Cell("departure", "ordinary", 500.0, 60, 10.0, 20.0, 90.0),
        Cell("departure", "cells", 2_000.0, 15, 10.0, 6.0, 45.0),
        Cell("departure", "stale", 500.0, 60, 30.0, 20.0, 45.0),
        Cell("departure", "wifi", 50.0, 600, 10.0, 6.0, 90.0),
        Cell("stay", "ordinary", 50.0, 60, 30.0, days=1.0),
        Cell("wild", "correlated", 500.0, 15, 10.0, days=0.1),
    ]
    found = 0
    for cell in cells:
        fixes = at_the_border(zones, case_of(cell, SEED).fixes)
        if missing:
            fixes = fixes._replace(accuracy_m=np.full(len(fixes.time_s), np.nan))
        spells = list(Geomon(lead_s=INF).spells(fixes))
        assert spells == through_intake(zones, fixes)
        found += len(spells)
    assert found >= 3


def test_leaving_out_days_far_from_the_line_changes_nothing() -> None:
    for cell in (
        Cell("stay", "ordinary", 500.0, 600, 10.0, days=20.0),
        Cell("stay", "wifi", 150.0, 600, 30.0, days=30.0),
        Cell("departure", "correlated", 2_000.0, 600, 10.0, 6.0, 45.0),
    ):
        fixes = case_of(cell, SEED).fixes
        for nats in (2.0, 6.5):
            assert list(Geomon(nats).spells(fixes)) == list(Geomon(nats, INF).spells(fixes))


def test_an_absence_that_got_another_beginning_is_one_spell_and_a_withdrawn_one_is_marked() -> None:
    def alert(
        phase: str, since: int, at: int, until: int = 0, reason: str = "", by: int = 0
    ) -> Any:
        return Alert(
            *(phase, "SZ-1", "leave_city", since, until, at, 1, reason, "high", 1.0, "", "", ""),
            *("", (), by),
        )

    assert spells_of(
        [
            alert("opened", 100, 160),
            alert("closed", 100, 200, 200, "withdrawn"),
            alert("opened", 80, 200, by=100),
            alert("closed", 80, 400, 390, "returned"),
            alert("opened", 500, 560),
            alert("closed", 500, 600, 600, "withdrawn"),
        ]
    ) == [Spell(80, 160, 390), Spell(500, 560, 600, withdrawn=True)]


# The run.


def test_the_parts_are_those_of_the_command() -> None:
    assert (*PARTS, "tracks") == DETECTION_PARTS
    assert {cell.kind for cell in residents()} == set(KINDS)
    assert {cell.interval_s for cell in [*shorts(), *wilds()]} == {15}


def test_one_detector_beats_another_when_it_is_worse_in_nothing() -> None:
    rows = run(["short", "wild"], share=0.02, seed=SEED, jobs=1)
    found = {f.detector: f.point for f in by_detector(rows)}
    assert beats(found["consecutive 2"], found["consecutive 10"])
    assert not beats(found["consecutive 10"], found["consecutive 2"])
    assert not beats(found["point in polygon"], found["consecutive 2"])
    assert not beats(found["consecutive 2"], found["consecutive 2"])


def test_a_family_beats_by_any_of_its_members_and_is_beaten_in_its_standard_one() -> None:
    quick, slow = Point("quick", 9.0, 0.0, 60.0), Point("slow", 1.0, 0.1, 600.0)
    first, margin = Point("first", 10.0, 0.0, 60.0), Point("margin", 1.0, 0.1, 300.0)
    stands = standing([quick, slow], [first, margin], slow)
    assert stands.beaten == ["first"]
    assert stands.ahead == stands.beaten_by == ["margin"]
    assert standing([quick], [quick], quick) == ([], ["quick"], [], []), "a tie is no win"


def bench(folder: Path, name: str, *words: str) -> tuple[str, Any]:
    """What the command prints, and what it puts into its file."""
    file = folder / f"{name}.json"
    done = subprocess.run(
        [sys.executable, "-m", "geomon", "bench", "detection", *words, "--json", file],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


def test_every_part_of_the_bench_runs_and_is_told_and_drawn(tmp_path: Path) -> None:
    plot = tmp_path / "curve.png"
    parts = [word for part in PARTS for word in ("--only", part)]
    told, found = bench(tmp_path, "all", "--size", "0.004", "--plot", str(plot), *parts)
    assert told.count(f"| {Geomon().name} {Geomon().setting} |") >= len(PARTS)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert {row["part"] for row in found["rows"]} == set(PARTS)


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    words = ("--size", "0.01", "--only", "departure", "--only", "wild")
    (_, one), (_, two) = (bench(tmp_path, jobs, "--jobs", jobs, *words) for jobs in "12")
    assert one["rows"]
    assert one == two
