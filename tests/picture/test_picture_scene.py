"""What the colours, bars and marks claim, and what the views show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sketches import (
    CITY,
    DONGGUAN,
    HENAN,
    HOME,
    HOUR,
    MINUTE,
    NOON,
    PLACES,
    alert,
    away_for_a_day,
    fix,
    standings,
)

from geomon.alerts import KINDS
from geomon.core.episodes import OF_PLACE
from geomon.picture import Leave, Story
from geomon.picture.scene import INSIDE, LEAVE, OPEN_ALERT, UNJUDGED, outlines, scene_of


def test_away_with_an_alert_open_is_red_and_the_rest_is_not() -> None:
    scene = scene_of(away_for_a_day(), CITY)
    assert standings(scene) == [INSIDE] * 12 + [OPEN_ALERT] * 12 + [INSIDE] * 12
    assert [bar.standing for bar in scene.bars] == [INSIDE, OPEN_ALERT, INSIDE]
    [episode] = scene.episodes
    assert (episode.opened_at, episode.closed_at) == (DONGGUAN, HOME)
    assert episode.until == NOON + 2 * HOUR
    assert episode.closed_reason == "returned"


def test_away_within_a_leave_is_green_until_the_leave_ends() -> None:
    track = [fix(i * HOUR, DONGGUAN) for i in range(4)]
    leave = Leave(NOON - HOUR, NOON + HOUR)
    scene = scene_of(Story("B", "SZ-1", track, [leave]), CITY)
    assert standings(scene) == [LEAVE, LEAVE, UNJUDGED, UNJUDGED]


def test_a_withdrawn_alert_colours_nothing() -> None:
    story = away_for_a_day()
    story.alerts[1]["data"]["reason"] = "withdrawn"
    scene = scene_of(story, CITY)
    assert scene.episodes[0].is_withdrawn
    assert OPEN_ALERT not in standings(scene)


def test_one_fix_across_the_line_is_drawn_but_makes_no_bar() -> None:
    track = [fix(i * MINUTE) for i in range(10)]
    track[5] = fix(5 * MINUTE, (114.1, 22.499))
    scene = scene_of(Story("jitter", "SZ-1", track), CITY)
    assert standings(scene)[5] == UNJUDGED
    assert [bar.standing for bar in scene.bars] == [INSIDE]


def test_the_line_does_not_follow_a_cell_jump_unless_cells_are_all_there_is() -> None:
    jump = fix(15 * MINUTE, (114.1, 22.45), accuracy_m=1500, source="cell")
    unsaid = fix(20 * MINUTE, (114.1, 22.45), accuracy_m=None, source="cell")
    alone = fix(9 * HOUR, accuracy_m=1500, source="cell")
    scene = scene_of(Story("cell", "SZ-1", [fix(0 * HOUR), jump, unsaid, alone]), CITY)
    assert list(scene.firm) == [True, False, False, True]


def test_a_silence_of_hours_is_a_gap_in_the_bar() -> None:
    track = [fix(i * HOUR) for i in (0, 1, 2, 8, 9)]
    bars = scene_of(Story("quiet", "SZ-1", track), CITY).bars
    assert [(b.start - NOON, b.until - NOON) for b in bars] == [
        (0 * HOUR, 2 * HOUR),
        (8 * HOUR, 9 * HOUR),
    ]


def test_a_missed_check_in_is_a_moment_and_a_tamper_lasts() -> None:
    alerts = [
        alert("missed_check_in", "opened", NOON, at=None),
        alert("tamper", "opened", NOON + HOUR, at=None),
    ]
    scene = scene_of(Story("B", "SZ-1", [fix(0 * HOUR), fix(9 * HOUR)], [], alerts), CITY)
    assert [(e.number, e.is_moment) for e in scene.episodes] == [(1, True), (2, False)]


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_about_a_place_is_marked_on_the_map(kind: str) -> None:
    """Others say where the person was last, which is not where a battery ran low."""
    alerts = [
        alert(kind, "opened", NOON, at=DONGGUAN),
        alert(kind, "closed", NOON, until=NOON + HOUR, reason="disposed", at=HOME),
    ]
    [episode] = scene_of(Story("B", "SZ-1", [fix(0 * HOUR)], [], alerts), CITY).episodes
    placed = kind in OF_PLACE | {"border_approach"}
    assert episode.opened_at == (DONGGUAN if placed else None)
    assert episode.closed_at == (HOME if placed else None)
    assert (episode.kind, episode.until) == (kind, NOON + HOUR)  # in table and timeline as ever


def test_silence_far_away_does_not_widen_the_map() -> None:
    alerts = [alert("lost_contact", "opened", NOON, at=HENAN)]
    scene = scene_of(Story("B", "SZ-1", [fix(0 * HOUR)], [], alerts), CITY)
    assert scene.journey is None
    assert OPEN_ALERT not in standings(scene)


def test_a_journey_across_the_country_leaves_the_first_view_with_the_city() -> None:
    far = Story("B", "SZ-1", [fix(0 * HOUR), fix(8 * HOUR, HENAN)])
    near = away_for_a_day()
    scene = scene_of(far, CITY)
    assert scene.frame.north < 23
    assert scene.journey is not None
    assert scene.journey.has(*HENAN)
    assert scene.journey.has(*HOME)
    assert scene_of(near, CITY).journey is None
    assert scene_of(near, CITY).frame.has(*DONGGUAN)
    assert scene.frame.aspect == pytest.approx(1.0824, abs=2e-3)  # 1/cos(22.6 degrees)


def test_the_ground_leaves_out_the_citys_own_coarse_outline_and_what_is_far() -> None:
    scene = scene_of(away_for_a_day(), CITY)
    codes = [o.adcode for o in outlines(CITY, PLACES, scene.frame, None)]
    assert codes == ["440000", "441900"]


def test_a_long_track_is_thinned_without_changing_what_it_says() -> None:
    track = [fix(timedelta(seconds=i), HOME) for i in range(60_000)]
    track[30_000:30_010] = [fix(timedelta(seconds=i), DONGGUAN) for i in range(30_000, 30_010)]
    story = Story("long", "SZ-1", track)
    thin, whole = scene_of(story, CITY), scene_of(story, CITY, most_points=100_000)
    assert len(thin.track) <= 20_000
    assert len(whole.track) == 60_000
    assert thin.bars == whole.bars
    assert UNJUDGED in standings(thin)
    assert (thin.track[0], thin.track[-1]) == (track[0], track[-1])


def test_jitter_by_the_thousand_cannot_defeat_the_thinning() -> None:
    track = [fix(timedelta(seconds=i), DONGGUAN if i % 2 else HOME) for i in range(50_000)]
    assert len(scene_of(Story("jitter", "SZ-1", track), CITY).track) <= 20_000
