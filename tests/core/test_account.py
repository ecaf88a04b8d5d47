"""The account of a belief: what each fix contributed, and why some contributed less."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import clue
from timeline import Fix, Story, moment, text

from geomon.core.account import LABELS, WHY, Entry, account, deciding, probability
from geomon.core.person import INSIDE, OUTSIDE, Clue
from geomon.core.rules import Rules
from geomon.core.tuning import CEILING, SURE


class Told(Story):
    """A story whose fixes are kept, so that an account can be made of it."""

    def __init__(self, *, device: str = "phone") -> None:
        super().__init__(device=device)
        self.clues: list[Clue] = []

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
        self.clues += [clue(fix, device or self.device) for fix in seen]
        super().upload(
            when, seen, stored=stored, device=device, battery_pct=battery_pct, flags=flags
        )

    def account(self) -> list[Entry]:
        return account(self.person, self.clues, self.rules.tuning)

    def deciding(self) -> list[Entry]:
        return deciding(self.account())


def at_home(*, device: str = "phone", every_s: float = 300) -> Told:
    story = Told(device=device)
    story.stay("08:00", "09:00", every_s=every_s)
    return story


def lines(entries: Sequence[Entry]) -> list[str]:
    """What a table would say: "13 09:00 +5.41 counted +5.41 outside"."""
    return [
        f"{text(e.time_s)} "
        + (f"{e.weight:+.1f} counted {e.counted:+.1f}" if e.clue else f"{e.minutes} minutes")
        + f" {LABELS[e.label]}"
        for e in entries
    ]


def test_a_departure_is_a_stretch_inside_and_the_fixes_that_ended_it() -> None:
    story = at_home()
    story.fix("09:00", 2_500)
    story.fix("09:05", 4_000)
    assert len(story.alerts) == 1
    stretch, first, second = story.deciding()
    assert (text(stretch.time_s), text(stretch.until_s)) == ("13 08:05", "13 08:55")
    assert (stretch.minutes, stretch.fixes, stretch.log_odds) == (11, 11, -CEILING)
    assert first.counted == pytest.approx(first.weight, abs=0.01)
    assert first.label == INSIDE
    assert second.label == OUTSIDE
    assert second.log_odds >= SURE


def test_what_was_counted_and_time_make_the_belief() -> None:
    story = at_home()
    story.fix("09:00", 900, "wifi")
    story.fix("09:10", 1_500)
    story.fix("09:20", -300)
    for before, after in pairwise(story.account()):
        faded = after.log_odds - after.counted
        # Time alone never makes belief surer, and turns none.
        assert abs(faded) <= abs(before.log_odds) + 0.006
        assert faded * before.log_odds >= -0.006


def test_long_at_home_is_one_line() -> None:
    story = Told(device="wristband")
    story.stay("03:47", "09:00")
    [first, stretch] = story.deciding()
    assert first.weight < 0
    assert stretch.minutes == 5 * 60 + 12
    assert stretch.is_settled


def test_fixes_of_one_minute_are_one_line_that_counts_them() -> None:
    story = at_home()
    story.live([Fix(moment("09:00") + second, 2_500.0) for second in range(0, 60, 5)])
    last = story.deciding()[-1]
    assert last.fixes == 12
    assert last.time_s == moment("09:00"), "the earliest stands for the minute"


def test_a_return_begins_with_the_stretch_outside() -> None:
    story = at_home()
    story.stay("09:00", "12:00", 9_000, every_s=600)
    story.stay("12:00", "12:04", every_s=120)
    assert [a.phase for a in story.alerts] == ["opened", "closed"]
    entries = story.deciding()
    assert [LABELS[e.label] for e in entries[:1]] == ["outside"]
    assert entries[0].is_settled
    assert entries[0].minutes > 10
    assert entries[-1].label == INSIDE


def test_an_account_that_ends_in_a_stretch_tells_what_led_to_it() -> None:
    story = at_home()
    story.stay("09:00", "12:00", 9_000, every_s=600)
    told = lines(story.deciding())
    assert told[0] == "13 08:05 11 minutes inside"
    assert told[1].startswith("13 09:00 +")
    assert told[-1].endswith("minutes outside")


# -- why less was counted than a fix says ---------------------------------------------------------


def why(story: Told) -> tuple[str, ...]:
    return story.account()[-1].why


def test_a_fix_that_counts_in_full_needs_no_word() -> None:
    story = at_home()
    story.fix("09:00", 2_500)
    assert why(story) == ()


def test_a_phone_beside_a_wristband_is_not_asked() -> None:
    story = at_home(device="wristband")
    story.fix("09:00", 9_000, device="phone")
    entry = story.account()[-1]
    assert (entry.why, entry.counted) == (("not_asked",), 0.0)
    assert entry.label == INSIDE


def test_further_than_anybody_gets_does_not_count_yet() -> None:
    story = at_home()
    story.fix("08:56", 400_000)
    entry = story.account()[-1]
    assert (entry.why, entry.counted) == (("out_of_reach",), 0.0)


def test_weak_evidence_of_having_left_is_doubted() -> None:
    story = at_home()
    story.fix("09:00", 300, "wifi")
    entry = story.account()[-1]
    assert "doubtful" in entry.why
    assert 0 <= entry.counted < entry.weight


def test_the_error_of_the_fix_before_is_largely_this_ones() -> None:
    story = at_home()
    story.fix("09:00", 2_500)
    story.fix("09:01", 2_500)
    entry = story.account()[-1]
    assert "repeated" in entry.why
    assert entry.counted < entry.weight / 2


def test_wifi_that_says_the_same_place_again_is_no_news() -> None:
    story = at_home()
    story.fix("09:00", 5_200, "wifi")
    story.fix("09:20", -6_000)
    story.fix("09:40", 5_300, "wifi")
    assert "same_access_point" in why(story)


def test_a_mast_that_was_contradicted_says_little_when_it_comes_again() -> None:
    story = at_home()
    story.fix("09:00", 5_000, "cell")
    story.fix("09:10", -6_000)
    story.fix("09:20", 5_000, "cell")
    assert "ghost" in why(story)


def test_one_position_by_wifi_is_not_enough_whatever_it_says() -> None:
    story = at_home()
    story.fix("09:00", 20_000, "wifi")
    entry = story.account()[-1]
    assert "alone" in entry.why
    assert entry.log_odds < SURE


def test_belief_does_not_become_surer_than_it_may() -> None:
    story = at_home()
    story.fix("09:00", 20_000)
    entry = story.account()[-1]
    assert (entry.why, entry.log_odds) == (("ceiling",), CEILING)


def test_deep_inside_a_minute_is_a_minute() -> None:
    story = Told()
    story.fix("08:00", -30_000)
    assert "minute" in why(story)


def test_every_reason_has_words_and_is_told_of_above() -> None:
    assert set(WHY) == {
        *("not_asked", "out_of_reach", "doubtful", "repeated", "same_access_point"),
        *("ghost", "alone", "ceiling", "minute"),
    }


def test_what_is_older_than_the_horizon_is_one_line_without_fixes() -> None:
    story = Told()
    story.stay("10 08:00", "13 09:00", every_s=1_800)
    first = story.account()[0]
    assert (first.fixes, first.clue, first.label) == (0, None, INSIDE)


# -- the account and the belief are one -----------------------------------------------------------

_SEEN = st.tuples(
    st.integers(0, 300),
    st.sampled_from([-6_000.0, -400.0, -30.0, 25.0, 300.0, 2_500.0, 9_000.0, 400_000.0]),
    st.sampled_from(["gnss", "wifi", "cell"]),
    st.sampled_from(["phone", "wristband"]),
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(_SEEN, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_an_account_ends_in_what_is_believed(
    seen: list[tuple[int, float, str, str]], order: random.Random
) -> None:
    """Whatever arrived, in whatever order."""
    story = Told()
    begin_s = moment("08:00")
    fixes = [(Fix(begin_s + 60 * n, m, source), device) for n, m, source, device in seen]
    order.shuffle(fixes)
    for fix, device in fixes:
        story.upload("14:00", [fix], stored=True, device=device)
    story.clock("15:00")
    entries = story.account()
    assert entries[-1].log_odds == story.person.tail.log_odds
    assert entries[-1].label == story.person.tail.label
    assert all(entry.clue for entry in entries), "each line has its fix"
    for entry in entries:
        assert abs(entry.counted) <= abs(entry.weight) + 0.01
        assert 0 < probability(entry.log_odds) < 1
        if abs(entry.counted) < abs(entry.weight) - 0.05:
            assert entry.why, entry


def test_other_rules_another_account() -> None:
    """What it takes is a setting, and an account goes by the same."""
    story = at_home()
    story.rules = Rules(evidence_nats=10.0)
    story.stay("09:00", "09:40", 2_500, every_s=600)
    entries = story.account()
    assert entries[-1].log_odds == story.person.tail.log_odds
    assert entries[-1].log_odds > CEILING
