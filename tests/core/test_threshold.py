"""What changes for whoever asks for more or less evidence that somebody has left."""

from __future__ import annotations

import pytest
from test_account import Told

from geomon.core.rules import Rules
from geomon.core.tuning import CITY, Tuning


def told(evidence_nats: float) -> Told:
    """Somebody who has been at home since eight, five kilometres inside."""
    story = Told()
    story.rules = Rules(evidence_nats=evidence_nats)
    story.stay("08:00", "08:50", every_s=600)
    return story


def has_left(story: Told) -> bool:
    story.clock("12:00")
    return any(alert.kind == "leave_city" for alert in story.alerts)


def test_the_standard_threshold_is_that_of_the_city() -> None:
    assert Tuning.asking(6.5) == CITY


@pytest.mark.parametrize("nats", [0.05, 0.5, 1.0, 3.0, 6.5, 10.0])
def test_what_is_asked_for_is_what_it_takes(nats: float) -> None:
    tuning = Tuning.asking(nats)
    assert tuning.ceiling + tuning.sure == pytest.approx(nats)
    assert 0 < tuning.sure < tuning.ceiling, "a label is reached before belief is as sure as may be"
    assert 0 < tuning.doubt <= tuning.doubt_of_cells <= CITY.doubt, "a mast stays wrong for long"


def test_doubts_shrink_for_whoever_asks_for_little_and_never_grow() -> None:
    doubts = [Tuning.asking(nats).doubt for nats in (0.05, 0.5, 1.0, 2.0, 3.0, 6.5, 10.0)]
    assert doubts == sorted(doubts)
    assert doubts[0] < 0.2 * CITY.doubt
    assert doubts[-3:] == [CITY.doubt] * 3


@pytest.mark.parametrize(("nats", "expected"), [(0.5, True), (3.0, False), (6.5, False)])
def test_thirty_metres_over_the_line_are_told_by_whoever_asks_for_little(
    nats: float, expected: bool
) -> None:
    story = told(nats)
    story.fix("09:00", 30.0, accuracy_m=10.0)
    assert has_left(story) is expected


@pytest.mark.parametrize(("nats", "expected"), [(0.5, True), (1.0, True), (3.0, False)])
def test_one_mast_across_the_river_after_an_hour_of_silence(nats: float, expected: bool) -> None:
    story = told(nats)
    story.fix("09:55", 4_000.0, "cell")
    assert has_left(story) is expected


def test_one_mast_across_the_river_a_minute_after_home_is_not_told_at_one_nat() -> None:
    story = told(1.0)
    story.fix("08:51", 4_000.0, "cell")
    story.fix("08:52", -5_000.0)
    assert not has_left(story)


def test_a_place_contradicted_again_and_again_says_less_each_time() -> None:
    """A phone that gives the same wrong place each morning and noon for a day."""
    counted = []
    story = told(6.5)
    for hour in range(9, 21, 3):
        story.fix(f"{hour:02}:00", 200.0, accuracy_m=5.0)
        counted.append(story.account()[-1].counted)
        story.fix(f"{hour:02}:01", -5_000.0)
    assert counted == sorted(counted, reverse=True)
    assert counted[1] < 0.9 * counted[0]
    assert counted[-1] < 0.6 * counted[1]
